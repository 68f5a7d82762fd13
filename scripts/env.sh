# shellcheck shell=bash
# shellcheck disable=SC2034  # the sourcing script uses what is set here
# Sourced by the other scripts: where things are, and how they fail.
#
# Nothing is expected of the environment but PATH, and not much of that:
# services and containers often have neither HOME nor the sbin directories.
export LC_ALL=C.UTF-8
export PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
if [ -z "${HOME:-}" ]; then
    HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
    export HOME
fi

me=$0
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
log=$build/$(basename "$0").log
cache=${XDG_CACHE_HOME:-$HOME/.cache}/linkd
models=${LINKD_MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/linkd/models}
jobs=$(nproc)
linkctl=$build/release/linkctl
linkd=$build/release/linkd
# Where we and our tools write, and so where a disk may be full.
written=("$build" "$cache" "$models" "${TMPDIR:-/tmp}" /var/cache/apt /usr)

line_open=
fail() { # fail SENTENCE [HINT]
    printf '%s%s: %s\n' "${line_open:+$'\n'}" "$me" "$1" >&2
    [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
    trap - ERR
    exit 1
}

# The first directory whose file system has less than 4 MB left.
full_disk() {
    local dir blocks
    for dir in "${written[@]}"; do
        while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
        blocks=$(df -Pk "$dir" | awk 'NR == 2 { print $4 }')
        if [ "$blocks" -lt 4096 ]; then
            echo "$dir"
            return 0 # a bare return in a trap would be the failure's status
        fi
    done
}

# How apt and pip say it.
no_network='Temporary failure resolving|Could not resolve|Unable to connect'
no_network+='|Could not connect|Failed to establish|Network is unreachable'
no_network+='|NameResolutionError|Cannot connect to proxy|ProxyError|timed out'
not_offered='404 +Not Found|Unable to locate package|No matching distribution'

# What the log of a failed step means to the person reading.
explain() { # explain WHAT
    local full
    full=$(full_disk)
    if [ -n "$full" ]; then
        fail "could not $1: the disk that holds $full is full" \
            "free some space there and run $me again"
    fi
    if grep -qsE 'No space left on device|enough free space' "$log"; then
        fail "could not $1: no space left on device" \
            "free some space and run $me again; what was tried is in $log"
    fi
    if grep -qsE 'DO NOT MATCH THE HASHES|Hash Sum mismatch|FAILED$' "$log"; then
        fail "could not $1: what was downloaded has not the expected SHA-256" \
            "run $me again; if it stays so, do not use the file: see $log"
    fi
    if grep -qsE "$no_network" "$log"; then
        fail "could not $1: no network, or the package mirror is down" \
            "run $me again when it is back; what was tried is in $log"
    fi
    if grep -qsE "$not_offered" "$log"; then
        fail "could not $1: the package mirrors in use do not have it" \
            "see $log"
    fi
    [ -z "$line_open" ] || echo >&2
    line_open=
    tail -n 40 "$log" >&2
    fail "could not $1" "see above, and all of it in $log"
}

# Adds standard input to a file. Not by a builtin with a redirection: on a full
# disk the text stays in bash's own buffer, which then fails wherever it is next
# flushed.
append_to() { # append_to FILE
    tee -a "$1" >/dev/null 2>&1 || explain "write $1"
}

run() { # run WHAT COMMAND...: the command's output goes to the log
    local what=$1
    shift
    append_to "$log" <<<$'\n'"== $what: $*"
    "$@" >>"$log" 2>&1 </dev/null || explain "$what"
}

# One line a step: its name and what it does, then "done" and the time.
step() { # step NAME TEXT
    step_start=$SECONDS
    line_open=yes
    printf '%-9s %s ... ' "$1" "$2"
}

step_done() {
    printf 'done, %s s\n' $((SECONDS - step_start))
    line_open=
}

trap 'explain "go on after line $LINENO of $0"' ERR
cd "$root" || exit 1
folders=() # of the source
for folder in base encoder index compat linkage daemon cli; do
    [ ! -f "$folder/CMakeLists.txt" ] || folders+=("$folder")
done
mkdir -p "$build" 2>/dev/null || explain "make the directory $build"
