#!/bin/sh
# A network for the tests of remote providers: everything is on the loopback interface, and nothing leaves it. It is
# started in network and mount namespaces of its own, says `ready` or why it cannot be, and runs until its standard
# input ends.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

for tool in ip nsenter; do
    command -v $tool >/dev/null || {
        echo "$tool is not installed; to run it: apt-get install --yes --no-install-recommends iproute2 util-linux"
        exit 1
    }
done
# Every address of the range is this machine's; for cryokey they are no loopback addresses. RFC 2544 keeps it for tests.
ip address add 198.18.0.1/15 dev lo
# Where the metadata services of the clouds are.
ip address add 169.254.169.254/32 dev lo
ip address add 169.254.170.2/32 dev lo
ip address add 169.254.170.23/32 dev lo
ip -6 address add fd00:ec2::254/128 dev lo nodad
echo ready
cat >/dev/null
