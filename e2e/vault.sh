#!/bin/sh
# HashiCorp Vault from its Go modules, for `cargo xtask verify`: about 20 minutes and 7 GB of caches, once. It needs Go.
set -eu
version=1.21.1
cache=${CRYOKEY_TEST_CACHE:-$HOME/.cache/cryokey-tests}/vault-$version
[ -x "$cache/vault" ] && exit
mkdir -p "$cache"
cd "$cache"
# Go refuses to install a program whose module replaces others; a module around it that repeats the replacements may.
cat >go.mod <<END
module wrapper
go 1.25.3
require github.com/hashicorp/vault v$version
replace github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3
replace github.com/ma314smith/signedxml v1.1.1 => github.com/moov-io/signedxml v1.1.1
END
export CGO_ENABLED=0 GOFLAGS=-mod=mod
go get -tool "github.com/hashicorp/vault@v$version"
go build -ldflags "-s -w" -o vault github.com/hashicorp/vault
