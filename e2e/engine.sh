#!/bin/sh
# A container engine with a Swarm of one node, for the end-to-end tests. It is started in network and mount namespaces
# of its own, says `ready` or why it cannot be, and runs until its standard input ends. All of its state is in DIR.
#
#   engine.sh DIR
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
dir=$1
cgroup=$(basename "$dir")

# The first process of a PID namespace, see below.
run_engine() {
    export DOCKER_HOST="unix://$dir/sock" DOCKER_CONFIG="$dir/config"
    dockerd --data-root "$dir/data" --host "$DOCKER_HOST" --cgroup-parent "/$cgroup" --shutdown-timeout 5 \
        </dev/null >"$dir/log" 2>&1 &
    pid=$!
    tries=300
    until docker version >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ $tries -le 0 ] || ! kill -0 $pid 2>/dev/null; then
            tail -n 20 "$dir/log" >&2
            die "dockerd does not start here; to run it: see what it wrote, above"
        fi
        sleep 0.1
    done
    docker swarm init --advertise-addr 127.0.0.1 >/dev/null || die "docker swarm init failed"
    echo ready
    cat >/dev/null
    kill -TERM $pid
    timeout 30 tail --pid=$pid -f /dev/null >/dev/null || {
        echo "dockerd did not stop in time and is killed" >&2
        kill -KILL -1
        sleep 1
    }
}

die() {
    echo "$*"
    exit 1
}

if [ "${2:-}" = inside ]; then
    run_engine
    exit
fi
for tool in docker dockerd containerd runc iptables ip; do
    command -v $tool >/dev/null ||
        die "$tool is not installed; to run it: apt-get install --yes --no-install-recommends docker.io iproute2 iptables"
done
# Sockets and locks that have a fixed path there.
mount -t tmpfs tmpfs /run
# When the first process of a PID namespace ends, the kernel ends all the others: no shim and no container is left.
unshare --pid --fork --kill-child --mount-proc "$0" "$dir" inside || :
find /sys/fs/cgroup -depth -type d -path "*/$cgroup*" -exec rmdir {} +
