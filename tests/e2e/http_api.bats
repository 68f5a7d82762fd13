#!/usr/bin/env bats
# What the documentation tells about curl is what happens.
load helpers

setup_file() {
    root=$BATS_TEST_DIRNAME/../..
    export console=$BATS_TEST_DIRNAME/console root
    store=${LINKD_MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/linkd/models}
    if [ "${LINKD_TEST_SLOWNESS:-1}" = 1 ] && [ -d "$store/all-MiniLM-L6-v2" ]; then
        export LINKD_MODELS=$store any_output=
    else # it is not installed, or sanitizers make it slow: scores are others
        model_make
        mv "$LINKD_MODELS/tiny" "$LINKD_MODELS/all-MiniLM-L6-v2"
        export any_output=--any-output
    fi
}

# short: a socket's path has 107 bytes at most
setup() {
    work=$(mktemp -d /tmp/linkd-e2e-XXXXXX)
    cd "$work" || return 1
    mkdir bin
    ln -s "$LINKD" bin/linkd
    ln -s "$LINKCTL" bin/linkctl
    ln -s "$(realpath "$root")/examples" examples
    PATH=$work/bin:$PATH
    # the pages' scores, which f32 gives on any processor
    export LINKD_PRECISION=f32
}

teardown() {
    if [ -n "${pid:-}" ]; then
        kill "$pid" && wait "$pid"
    fi
    cd /
    rm -rf "$work"
}

@test "the session of docs/curl.md goes as it is written" {
    # shellcheck disable=SC2086  # empty or one option
    run "$console" "$root/docs/curl.md" $any_output
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "the README's questions to linkd are answered as it is written" {
    # a reader types the next line when linkd is ready; curl asks again
    printf '%s\n' fail 'retry = 60' 'retry-delay = 1' retry-all-errors >.curlrc
    export CURL_HOME=$work
    # shellcheck disable=SC2016  # a script of its own
    printf '#!/bin/sh\nexec "$LINKD" "$@" 2>linkd.log\n' >script
    chmod +x script && mv -f script bin/linkd
    # shellcheck disable=SC2086
    run "$console" "$root/README.md" --matching 'linkd\.sock|^\$ ask ' $any_output
    echo "$output"
    [ "$status" -eq 0 ]
}

# The indented curl lines of a page, with what is this machine's in place of
# the paths that a reader would have.
curl_lines() { # curl_lines PAGE
    sed -n '/^    curl /{:next;/\\$/{N;b next};s/^ *//;p}' "$root/docs/$1" |
        sed -e 's#/run/linkd/linkd.sock#linkd.sock#; s#\./linkd.sock#linkd.sock#' \
            -e "s#/etc/linkd/token#token#; s#127.0.0.1:8765#127.0.0.1:$port#" \
            -e "s#\"directory\": *\"[^\"]*\"#\"directory\": \"$work/backup\"#"
}

@test "every curl line of http-api.md and running.md succeeds" {
    port=$(python3 -c 'import socket; s = socket.socket()
s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    (umask 077; head -c 32 /dev/urandom | base64 >token)
    linkd --data data --socket linkd.sock --listen "127.0.0.1:$port" \
        --token-file token 2>err 3>&- &
    pid=$!
    curl -s --retry 60 --retry-all-errors --retry-delay 1 \
        --unix-socket linkd.sock http://localhost/readyz
    curl_lines http-api.md >lines
    curl_lines running.md >>lines
    cat lines
    [ "$(grep -c '^curl' lines)" -ge 4 ]
    sed 's/^curl /curl -sS --fail-with-body -m 30 /' lines >script
    bash -e script
}
