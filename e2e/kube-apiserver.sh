#!/bin/sh
# kube-apiserver from its Go module, once, into a directory that names its version; the kubelet's parser of env files stays
# in Go's module cache. `go install` refuses the module for its `replace` lines, so a module around it has the same ones.
set -eu
version=1.35.4
directory=$1/kube-apiserver-$version
command -v go >/dev/null || {
    echo "kube-apiserver is not built: it needs Go 1.25 or later" >&2
    exit
}
go mod download "k8s.io/kubernetes@v$version"
[ -x "$directory/kube-apiserver" ] && exit
echo "building kube-apiserver $version, once: takes 8 to 15 minutes"
work=$directory.build
rm -rf "$work"
mkdir -p "$work"
cd "$work"
printf 'module wrapper\n\ngo 1.25.0\n\nrequire k8s.io/kubernetes v%s\n' "$version" >go.mod
list=$(go mod download -json "k8s.io/kubernetes@v$version" | sed -n 's/^[[:space:]]*"GoMod": "\(.*\)",\{0,1\}$/\1/p')
sed -n "s|^[[:space:]]*\\(k8s.io/[^ ]*\\) => ./staging/src/k8s.io/.*|replace \\1 => \\1 v0.${version#1.}|p" "$list" >>go.mod
export CGO_ENABLED=0 GOFLAGS=-mod=mod
go get -tool "k8s.io/kubernetes/cmd/kube-apiserver@v$version"
of=k8s.io/component-base/version
go build -o kube-apiserver \
    -ldflags "-s -w -X $of.gitVersion=v$version -X $of.gitMajor=1 -X $of.gitMinor=35" k8s.io/kubernetes/cmd/kube-apiserver
mkdir -p "$directory"
mv kube-apiserver "$directory/"
cd /
rm -rf "$work"
