#!/bin/sh
# A private container engine for the end-to-end tests: dockerd in a network
# namespace of its own, with all of its state under one directory.
#
#   engine.sh start DIR [--swarm]         start it, wait until it answers, print what to eval
#   engine.sh env   DIR                   print that again
#   engine.sh exec  DIR COMMAND [ARG...]  run COMMAND in its network namespace
#   engine.sh stop  DIR [--purge]         stop it; --purge deletes DIR too
#   engine.sh guard DIR PID               in the background: when PID has ended, however, stop --purge
#   engine.sh run [--swarm] COMMAND [ARG...]
#                                         start in a fresh directory, run COMMAND with
#                                         DOCKER_HOST and ENGINE_DIR set, stop, delete
#
# Environment:
#   ENGINE_DOCKER   client to use                            (default: docker)
#   ENGINE_DOCKERD  engine to use                            (default: dockerd)
#   ENGINE_ARGS     more arguments for the engine, split at blanks
#   ENGINE_COMPOSE  compose plugin binary: makes `docker compose` work
#   ENGINE_WAIT     seconds to wait for the engine to answer (default: 30)
#   ENGINE_STOP     seconds to wait for it to stop           (default: 30)
#
# Exit status: that of COMMAND for exec and run, else 0, or 1 after a message.
#
# `ip netns exec` can't be used: it mounts a new /sys, which hides the cgroup
# hierarchies below it, and the engine then refuses to start. `nsenter --net`
# changes the network namespace and nothing else.
set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
docker=${ENGINE_DOCKER:-docker}
dockerd=${ENGINE_DOCKERD:-dockerd}

die() {
    echo "engine: $*" >&2
    exit 1
}

usage() {
    sed -n '5,12s/^# *//p' "$0" >&2
    exit 1
}

# What follows the command's name in /proc/PID/stat (the name may hold blanks):
# the first field is the state, the 20th the start time.
stat_of() { sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f"$2"; }

# A zombie counts as gone.
alive() {
    case $(stat_of "$1" 1) in '' | Z | X) return 1 ;; esac
}

# Sets pid if the engine runs: the process in DIR/pid, with the start time
# recorded there, so that a process number used again is never mistaken for it.
engine_pid() {
    [ -s "$dir/pid" ] || return 1
    read -r pid start_time <"$dir/pid" || return 1
    alive "$pid" && [ "$(stat_of "$pid" 20)" = "$start_time" ]
}

# The engine's containerd and shims, found by the path of its own sockets and
# configuration in their arguments.
remnants() {
    for p in /proc/[0-9]*; do
        { args=$(tr '\0' ' ' <"$p/cmdline"); } 2>/dev/null || continue
        case $args in
            containerd*" $dir/exec/"* | /*/containerd*" $dir/exec/"*) echo "${p#/proc/}" ;;
        esac
    done
}

client() { DOCKER_HOST=unix://$dir/sock DOCKER_CONFIG=$dir/config "$docker" "$@"; }

print_env() {
    echo "export DOCKER_HOST='unix://$dir/sock' DOCKER_CONFIG='$dir/config' ENGINE_DIR='$dir'"
}

set_dir() {
    case ${1:-} in
        '' | -*) usage ;;
        *[!A-Za-z0-9/._-]*) die "only letters, digits and . _ - / in the directory's name: $1" ;;
    esac
    mkdir -p "$1"
    dir=$(cd "$1" && pwd -P)
    # A socket's path has at most 107 bytes; the longest is
    # exec/containerd/containerd.sock.ttrpc.
    [ ${#dir} -le 68 ] || die "directory name too long for the sockets in it: $dir"
}

start() {
    case $* in '' | --swarm) ;; *) usage ;; esac
    [ "$(id -u)" = 0 ] || die "needs root"
    for tool in "$docker" "$dockerd" containerd runc iptables ip nsenter setsid; do
        command -v "$tool" >/dev/null || die "$tool is not installed"
    done
    [ -d /sys/fs/cgroup/devices ] || [ -e /sys/fs/cgroup/cgroup.controllers ] ||
        die "no cgroup hierarchy is mounted at /sys/fs/cgroup"
    ! engine_pid || die "already runs in $dir"
    teardown # what a run that was killed has left

    chmod 0700 "$dir"
    mkdir -p "$dir/config/cli-plugins"
    if [ -n "${ENGINE_COMPOSE:-}" ]; then
        [ -x "$ENGINE_COMPOSE" ] || die "not executable: $ENGINE_COMPOSE"
        ln -sf "$ENGINE_COMPOSE" "$dir/config/cli-plugins/docker-compose"
    fi

    netns=engine-$$
    ip netns add "$netns" || die "cannot make a network namespace"
    echo "$netns" >"$dir/netns"
    nsenter --net="/run/netns/$netns" ip link set lo up

    # In a session of its own, so that a Ctrl-C at the terminal reaches only the
    # caller, who then stops the engine. Without job control setsid and nsenter
    # become dockerd in place: $! is its process number.
    # shellcheck disable=SC2086 # ENGINE_ARGS is split
    setsid nsenter --net="/run/netns/$netns" "$dockerd" \
        --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" \
        --host "unix://$dir/sock" --shutdown-timeout 5 ${ENGINE_ARGS:-} \
        </dev/null >"$dir/log" 2>&1 &
    pid=$!
    echo "$pid $(stat_of "$pid" 20)" >"$dir/pid"

    tries=$((${ENGINE_WAIT:-30} * 10))
    until client version >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ $tries -le 0 ] || ! alive "$pid"; then
            teardown
            echo "engine: did not start; the end of its log:" >&2
            tail -n 20 "$dir/log" >&2
            exit 1
        fi
        sleep 0.1
    done
    if [ "${1:-}" = --swarm ] &&
        [ "$(client info --format '{{.Swarm.LocalNodeState}}')" != active ] &&
        ! client swarm init --advertise-addr 127.0.0.1 >/dev/null; then
        teardown
        die "swarm init failed"
    fi
}

# Stops what runs and removes what is left; harmless when nothing is.
teardown() {
    if engine_pid; then
        kill -TERM "$pid"
        tries=$((${ENGINE_STOP:-30} * 10))
        while alive "$pid"; do
            tries=$((tries - 1))
            if [ $tries -le 0 ]; then
                echo "engine: did not stop in time, killing it" >&2
                kill -KILL "$pid" 2>/dev/null || :
                break
            fi
            sleep 0.1
        done
    fi
    # After an orderly stop there are no remnants, and no control groups of
    # containers either.
    for p in $(remnants); do
        # A container's first process is its shim's child.
        # shellcheck disable=SC2013 # words are wanted
        for c in $(cat "/proc/$p/task/"*/children 2>/dev/null); do
            kill -KILL "$c" 2>/dev/null || :
        done
        kill -KILL "$p" 2>/dev/null || :
    done
    for c in "$dir"/data/containers/*/; do
        c=${c%/}
        for g in /sys/fs/cgroup/docker/"${c##*/}" /sys/fs/cgroup/*/docker/"${c##*/}"; do
            [ ! -d "$g" ] || rmdir "$g" 2>/dev/null || :
        done
    done
    # Deepest mounts first.
    awk -v d="$dir/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
        while read -r m; do umount -l "$m" || :; done
    rm -f "$dir/pid" "$dir/dockerd.pid" "$dir/sock"
    if [ -s "$dir/netns" ]; then
        netns=$(cat "$dir/netns")
        [ ! -e "/run/netns/$netns" ] || ip netns del "$netns" || :
        rm -f "$dir/netns"
    fi
}

purge() { rm -rf --one-file-system "$dir"; }

[ $# -ge 1 ] || usage
action=$1
shift
case $action in
    start)
        set_dir "${1:-}"
        shift
        start "$@"
        print_env
        ;;
    env)
        set_dir "${1:-}"
        engine_pid || die "does not run in $dir"
        print_env
        ;;
    exec)
        set_dir "${1:-}"
        shift
        [ $# -gt 0 ] || usage
        engine_pid || die "does not run in $dir"
        export DOCKER_HOST="unix://$dir/sock" DOCKER_CONFIG="$dir/config" ENGINE_DIR="$dir"
        exec nsenter --net="/run/netns/$(cat "$dir/netns")" "$@"
        ;;
    stop)
        set_dir "${1:-}"
        shift
        case $* in '' | --purge) ;; *) usage ;; esac
        teardown
        [ -z "${1:-}" ] || purge
        ;;
    guard)
        set_dir "${1:-}"
        case ${2:-} in '' | *[!0-9]*) usage ;; esac
        alive "$2" || die "no such process: $2"
        # In a session of its own: what kills the caller's whole group must not kill its guard.
        GUARDED="$2 $(stat_of "$2" 20)" setsid "$0" guarded "$dir" </dev/null >/dev/null 2>&1 &
        ;;
    guarded)
        set_dir "${1:-}"
        pid=${GUARDED%% *}
        while alive "$pid" && [ "$(stat_of "$pid" 20)" = "${GUARDED#* }" ]; do
            [ -d "$dir" ] || exit 0 # stopped and purged in the ordinary way
            sleep 0.5
        done
        teardown
        purge
        ;;
    run)
        swarm=
        if [ "${1:-}" = --swarm ]; then
            swarm=--swarm
            shift
        fi
        [ $# -gt 0 ] || usage
        set_dir "$(mktemp -d "${TMPDIR:-/tmp}/engine.XXXXXX")"
        # COMMAND runs in the foreground (in the background it would ignore
        # SIGINT), so a signal to this script alone acts when COMMAND has ended.
        trap 'status=$?; trap "" HUP INT TERM; trap - EXIT; teardown; purge; exit $status' EXIT
        trap 'exit 129' HUP
        trap 'exit 130' INT
        trap 'exit 143' TERM
        start ${swarm:+"$swarm"}
        status=0
        DOCKER_HOST=unix://$dir/sock DOCKER_CONFIG=$dir/config ENGINE_DIR=$dir "$@" || status=$?
        exit "$status"
        ;;
    *) usage ;;
esac
