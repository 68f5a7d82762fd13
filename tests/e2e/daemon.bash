# shellcheck shell=bash
# Sourced after helpers.bash where linkctl is the client of a linkd that really
# runs: each test has a directory and a daemon of its own. The daemon's standard
# error goes to the file err.

work_enter() {
    # short: a socket's path has 107 bytes at most
    work=$(mktemp -d /tmp/linkctl-e2e-XXXXXX)
    cd "$work" || return 1
    export LINKD_SOCKET=$work/s
    unset XDG_RUNTIME_DIR
}

daemon_start() { # daemon_start [MODEL]
    "$LINKD" --data data --socket s --model "${1:-tiny}" 2>>err 3>&- &
    daemon=$!
    until_true "$LINKCTL" collection list
}

work_leave() {
    kill -TERM "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
    cd /
    rm -rf "$work"
}

setup() {
    work_enter
    daemon_start
}

teardown() {
    work_leave
}
