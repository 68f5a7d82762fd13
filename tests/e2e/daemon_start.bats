#!/usr/bin/env bats
# linkd from its start to its end: sockets, locks, options, signals, systemd.
load helpers

setup() {
    # short: a socket's path has 107 bytes at most
    work=$(mktemp -d /tmp/linkd-e2e-XXXXXX)
    cd "$work" || return 1
    pids=()
}

teardown() {
    local pid
    for pid in "${pids[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    cd /
    rm -rf "$work"
}

# daemon ARGUMENT...: starts linkd here and remembers it as $pid; its standard
# error goes to the file err.
daemon() {
    "$LINKD" --data data --socket s "$@" 2>>err 3>&- &
    pid=$!
    pids+=("$pid")
}

# get PATH [CURL'S ARGUMENT...]: prints the status and keeps the body in `body`
get() {
    local path=$1
    shift
    curl -s -m 10 -o body -w '%{http_code}' --unix-socket s "$@" \
        "http://localhost$path"
}

is_ready() { [ "$(get /readyz)" = 200 ]; }
has_line() { grep -q "$2" "$1" 2>/dev/null; }

# ended PID STATUS: waits for the end of a daemon
ended() {
    local status=0
    wait "$1" || status=$?
    echo "ended with $status"
    [ "$status" -eq "$2" ]
}

# refused STATUS PATTERN ARGUMENT...: ends at once with one line that says why
refused() {
    local wanted=$1 pattern=$2
    shift 2
    run --separate-stderr timeout 60 "$LINKD" "$@"
    echo "status $status, stderr: $stderr"
    [ "$status" -eq "$wanted" ]
    [[ "$stderr" == *"linkd: "*"$pattern"* ]]
}

@test "a default model that is not there is told, and may come later" {
    daemon --model nope
    until_true is_ready
    has_line err 'warn there is no model "nope" in the model store: '
    [ "$(get /v1/collections/a -X PUT -H Content-Type:application/json -d '{}')" = 400 ]
    kill "$pid"
    ended "$pid" 0
}

@test "the data directory is made, and it gets ready" {
    "$LINKD" --data a/b/data --socket s 2>err 3>&- &
    pids+=($!)
    until_true is_ready
    [ -f a/b/data/data.mdb ]
    [ "$(stat -c %a a/b/data)" = 700 ]
    [ "$(stat -c %a s)" = 660 ]
    [ "$(get /healthz)" = 200 ]
    [ "$(cat body)" = '{"status":"ok"}' ]
}

@test "SIGTERM ends it with 0 and takes the socket away" {
    daemon
    until_true is_ready
    kill -TERM "$pid"
    ended "$pid" 0
    [ ! -e s ]
    daemon
    until_true is_ready
    kill -INT "$pid"
    ended "$pid" 0
}

@test "what kill -9 leaves behind does not hinder the next start" {
    daemon
    until_true is_ready
    kill -KILL "$pid"
    ended "$pid" 137
    [ -S s ]
    daemon
    until_true is_ready
    has_line err 'replacing s, on which nobody answers'
}

@test "a socket on which somebody answers is left alone" {
    daemon
    until_true is_ready
    refused 1 's: another process answers on this socket' --data other --socket s
    [ "$(get /readyz)" = 200 ]
}

@test "a second daemon on one directory leaves the first one's socket alone" {
    daemon
    until_true is_ready
    refused 1 'data directory "data" is in use by another linkd' \
        --data data --socket s
    refused 1 'in use' --data data --socket s2
    [ ! -e s2 ]
    [ "$(get /readyz)" = 200 ]
}

@test "a path over 107 bytes and a file that is no socket are refused" {
    refused 2 "the socket's path has 108 bytes, the system allows 107" \
        --data data --socket "$(printf 'x%.0s' {1..108})"
    echo precious >s
    refused 2 's exists and is not a socket' --data data --socket s
    [ "$(cat s)" = precious ]
    refused 1 'its directory does not exist' --data data --socket none/s
}

@test "a directory that is not ours is refused and stays as it is" {
    mkdir data
    echo precious >data/letter
    refused 1 'is not a data directory' --data data --socket s
    [ "$(ls -A data)" = letter ]
    [ ! -e s ]
}

@test "wrong options end it with 2 before anything is made" {
    printf 'data = data\nsokcet = s\n' >conf
    refused 2 'conf line 2: sokcet: there is no such option' --config conf
    refused 2 '--max-body: "lots" is not a size' --max-body lots
    refused 2 'there is no user "nobody-of-that-name"' --data data --socket s \
        --admin-user nobody-of-that-name
    [ ! -e s ]
}

@test "the config file that comes with it states the defaults" {
    local root=$BATS_TEST_DIRNAME/../..
    # with every option in force it is right, and it names every option
    sed 's/^#\([a-z-]* = \)/\1/' "$root/packaging/linkd.conf" >conf
    "$LINKD" --config conf --check-config
    grep -o '^[a-z-]* =' conf | cut -d' ' -f1 | sort >named
    "$LINKD" --help | sed -n 's/^  --\([a-z-]*\) .*/\1/p' |
        grep -vx 'config\|check-config\|help\|version' | sort >known
    diff named known
    # and each default is what help says
    "$LINKD" --help | sed -n 's/^  --\([a-z-]*\) .*\[\(.*\)\]$/\1 = \2/p' |
        sort >defaults
    [ "$(wc -l <defaults)" -ge 15 ]
    run comm -23 defaults <(sort conf)
    [ -z "$output" ]
}

@test "options that the system refuses leave no trace" {
    echo 0123456789abcdef >token
    chmod 604 token
    refused 2 'chmod o=' --data data --socket s --listen 127.0.0.1:0 \
        --token-file token
    chmod 600 token
    refused 2 'such as 127.0.0.1:8765' --data data --socket s \
        --listen 127.0.0.1:99999 --token-file token
    refused 2 '127.0.0.1 and [::1] only' --data data --socket s \
        --listen 0.0.0.0:1 --token-file token
    refused 2 'no user "nobody-here"' --data data --socket s \
        --admin-user nobody-here --log-file log
    refused 2 'bytes' --data data --socket "$(printf '%0108d' 0)"
    [ ! -e data ]
    [ ! -e log ]
}

@test "help and version say what they are asked and end with 0" {
    run "$LINKD" --help
    [ "$status" -eq 0 ]
    [[ "$output" == "Usage: linkd "* ]]
    run "$LINKD" --version
    [ "$status" -eq 0 ]
    [[ "$output" =~ ^linkd\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "SIGHUP goes on in a new log file" {
    daemon --log-file log --log-format json
    until_true is_ready
    mv log log.1
    kill -HUP "$pid"
    until_true test -e log
    kill -TERM "$pid"
    ended "$pid" 0
    has_line log '"level":"info","message":"ended"}$'
    has_line log.1 '"message":"ready"}$'
    ! has_line log '"message":"ready"'
    [ ! -s err ]
}

@test "systemd's socket is used and left in place" {
    command -v systemd-socket-activate >/dev/null || skip "no systemd"
    systemd-socket-activate -l "$work/s" "$LINKD" --data data \
        --socket unused 2>err 3>&- &
    pids+=($!)
    pid=$!
    until_true test -S s
    until_true is_ready
    has_line err 'listening on a Unix socket from systemd'
    [ ! -e unused ]
    kill -TERM "$pid"
    ended "$pid" 0
    [ -S s ]
}

@test "systemd is told READY and STOPPING" {
    command -v python3 >/dev/null || skip "no python3"
    python3 -c '
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("notify")
while True:
    text = s.recv(4096).decode()
    print(text, flush=True)
    if "STOPPING=1" in text:
        break
' >notices 3>&- &
    pids+=($!)
    local listener=$!
    until_true test -S notify
    NOTIFY_SOCKET=$work/notify daemon
    until_true is_ready
    until_true has_line notices READY=1
    kill -TERM "$pid"
    ended "$pid" 0
    ended "$listener" 0
    [ "$(grep -c 'READY=1\|STOPPING=1' notices)" -eq 2 ]
}

@test "TCP wants the token, and the token alone" {
    printf '0123456789abcdef0123\n' >token
    chmod 600 token
    daemon --listen 127.0.0.1:0 --token-file token
    until_true is_ready
    local port
    port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\)$/\1/p' err)
    tcp() {
        curl -s -m 10 -o body -w '%{http_code}' "$@" \
            "http://127.0.0.1:$port/v1/collections"
    }
    [ "$(tcp)" = 401 ]
    [ "$(tcp -H 'Authorization: Bearer 0123456789abcdef012X')" = 401 ]
    [ "$(tcp -H 'Authorization: Bearer 0123456789abcdef0123')" = 200 ]
    [ "$(cat body)" = '{"collections":[]}' ]
    # the Unix socket goes by the user
    [ "$(get /v1/collections)" = 200 ]
}

@test "TCP without a token, or for other machines, is refused" {
    refused 2 'TCP needs a token' --data data --socket s --listen 127.0.0.1:0
    printf '0123456789abcdef0123\n' >token
    chmod 604 token
    refused 2 'can be read or written by others' --data data --socket s \
        --listen 127.0.0.1:0 --token-file token
    chmod 600 token
    refused 2 'TCP is for 127.0.0.1 and [::1] only' --data data --socket s \
        --listen 0.0.0.0:0 --token-file token
    [ ! -e s ]
}

@test "metrics and openapi.json are served" {
    daemon
    until_true is_ready
    [ "$(get /metrics)" = 200 ]
    has_line body '^linkd_build_info{version='
    has_line body '^linkd_store_database_limit_bytes 1099511627776$'
    has_line body '^linkd_jobs{state="queued"} 0$'
    [ "$(get /openapi.json)" = 200 ]
    has_line body '"/v1/collections/{collection}/search":{"post"'
}
