#!/usr/bin/env bats
# Whatever is wrong with an input: one clear line, exit code 1 or 2, nothing
# left behind.
load helpers

setup_file() {
    model_make
}

# bad PATTERN: bad.csv is refused by all commands that read tables
bad() {
    printf 'id,name\n1,a\n' >good.csv
    refused 1 "$1" "$LINKCTL" link bad.csv good.csv -m tiny -q -o out.csv
    refused 1 "$1" "$LINKCTL" link good.csv bad.csv -m tiny -q -o out.csv
    refused 1 "$1" "$LINKCTL" dedup bad.csv -m tiny -q -o out.csv
    refused 1 "$1" "$LINKCTL" embed bad.csv -m tiny -q -o out.npy
}

@test "a missing file" {
    bad 'bad.csv: No such file or directory'
}

@test "an empty file" {
    : >bad.csv
    bad 'bad.csv: '
    [[ "$stderr" == *empty* ]]
}

@test "a header without rows" {
    echo id,name >bad.csv
    bad 'bad.csv: '
}

@test "a ragged row" {
    printf 'id,name\n1,a\n2,b,c\n' >bad.csv
    bad 'bad.csv: row 2 (line 3)'
}

@test "an unterminated quote" {
    printf 'id,name\n1,a\n2,"b\n3,c\n' >bad.csv
    bad 'bad.csv: row 2 (line 3), column "name"'
}

@test "invalid UTF-8" {
    printf 'id,name\n1,a\n2,b\xff\n' >bad.csv
    bad 'bad.csv: row 2 (line 3), column "name"'
    [[ "${stderr_lines[1]}" == "hint: tables are UTF-8;"*"iconv "* ]]
}

@test "a NUL byte" {
    printf 'id,name\n1,a\n2,b\0b\n' >bad.csv
    bad 'bad.csv: row 2 (line 3), column "name"'
}

@test "a field of 100 MB" {
    { printf 'id,name\n1,'; head -c 100000000 /dev/zero | tr '\0' x; echo; } >bad.csv
    bad 'bad.csv: row 1 (line 2), column "name"'
}

@test "broken JSON lines" {
    printf '{"id": 1}\n{"id": \n' >bad.jsonl
    refused 1 'bad.jsonl: row 2' \
        "$LINKCTL" dedup bad.jsonl -m tiny -q -o out.csv
}

@test "JSON lines without a single field" {
    printf '{}\n{}\n' >bad.jsonl
    printf 'id,name\n1,a\n' >good.csv
    for command in "link bad.jsonl good.csv" "link good.csv bad.jsonl" \
        "dedup bad.jsonl" "embed bad.jsonl"; do
        # shellcheck disable=SC2086
        refused 1 'bad.jsonl: no record has a field' \
            "$LINKCTL" $command -m tiny -q -o out.jsonl
    done
}

@test "repeated and empty ids in a column that --id names" {
    printf 'id,name\n1,a\n2,b\n1,c\n' >bad.csv
    printf 'id,name\n1,a\n' >good.csv
    for command in "link bad.csv good.csv" "dedup bad.csv" "embed bad.csv"; do
        # shellcheck disable=SC2086
        refused 1 'bad.csv: row 3' \
            "$LINKCTL" $command --id id -m tiny -q -o out.jsonl
    done
    printf 'id,name\n1,a\n,b\n' >bad.csv
    refused 1 'bad.csv: row 2' "$LINKCTL" dedup bad.csv --id id -m tiny -q -o out.csv
}

@test "an unknown column is wrong usage, and those that exist are listed" {
    printf 'id,name\n1,a\n' >t.csv
    for command in "link t.csv t.csv --on" "link t.csv t.csv --block" \
        "link t.csv t.csv --right-id" "dedup t.csv --on" "dedup t.csv --block" \
        "dedup t.csv --id" "embed t.csv --on" "embed t.csv --id"; do
        # shellcheck disable=SC2086
        refused 2 '"nmae"' "$LINKCTL" $command nmae -m tiny -q -o out.jsonl
        [ "${stderr_lines[1]}" = "hint: its columns are id, name" ]
    done
}

@test "an output that is also an input" {
    printf 'id,name\n1,a\n' >t.csv
    ln -s t.csv alias.csv
    refused 2 'cannot write t.csv: it is also read' \
        "$LINKCTL" dedup alias.csv -m tiny -q -o t.csv
    refused 2 'it is also read' \
        "$LINKCTL" link t.csv alias.csv -m tiny -q -o o.csv --unmatched alias.csv
}

@test "a manifest that would take an input's place" {
    printf 'id,name\n1,a\n' >t.csv
    cp t.csv o.csv.manifest.json
    for command in "link o.csv.manifest.json t.csv --format csv" \
        "dedup o.csv.manifest.json --format csv"; do
        # shellcheck disable=SC2086
        refused 2 'cannot write o.csv.manifest.json: it is also read' \
            "$LINKCTL" $command -m tiny -q -o o.csv
    done
    cmp t.csv o.csv.manifest.json
    mv o.csv.manifest.json v.npy.manifest.json
    refused 2 'cannot write v.npy.manifest.json: it is also read' \
        "$LINKCTL" embed v.npy.manifest.json --format csv -m tiny -q -o v.npy
}

@test "a manifest that is also another output, before anything is read" {
    refused 2 'cannot write o.csv.manifest.json twice at once' \
        "$LINKCTL" link no.csv no.csv -m tiny -q -o o.csv -u o.csv.manifest.json
}

@test "wrong usage of every kind" {
    refused 2 'a command is needed' "$LINKCTL"
    refused 2 'there is no command "lnik"' "$LINKCTL" lnik
    [ "${stderr_lines[1]}" = "hint: did you mean link?" ]
    refused 2 'there is no command "model lst"' "$LINKCTL" model lst
    [ "${stderr_lines[1]}" = "hint: did you mean model list?" ]
    refused 2 'there is no command "model frobnicate"' "$LINKCTL" model frobnicate
    [ "${stderr_lines[1]}" = "hint: linkctl model --help lists the commands" ]
    refused 2 'model needs a command' "$LINKCTL" model
    [ "${stderr_lines[1]}" = "hint: linkctl model --help lists them" ]
    refused 2 'link needs RIGHT' "$LINKCTL" link a.csv
    refused 2 '--k: 0 is not between 1 and 10000' "$LINKCTL" link a b --k 0
    refused 2 '--max-size: 0 is not between 1 and 1000000000' \
        "$LINKCTL" dedup a --max-size 0
    refused 2 '--on excludes' "$LINKCTL" link a b --on x --left-on y
    refused 2 '--left-on needs --right-on' "$LINKCTL" link a b --left-on y
    refused 2 'only one table can be standard input' "$LINKCTL" link - -
    refused 2 'only one table can be standard input' "$LINKCTL" eval - -
    refused 2 'link: LEFT is empty' "$LINKCTL" link "" b.csv
    refused 2 '--version does not know what to do with x' "$LINKCTL" --version x
    refused 2 'there is no command "lnik"' "$LINKCTL" --help lnik
    refused 2 'help does not know what to do with x' "$LINKCTL" help link x
    [ "$("$LINKCTL" help model list)" = "$("$LINKCTL" model list --help)" ]
}

@test "help of commands that begin with one word lists these" {
    run -0 "$LINKCTL" job --help
    [ "${lines[0]}" = "Usage: linkctl job COMMAND [OPTION]..." ]
    [ "$(grep -c '^  job ' <<<"$output")" -eq 6 ]
    [ "$(grep -c '^  ' <<<"$output")" -eq 6 ]
    [ "$("$LINKCTL" help job)" = "$output" ]
}

@test "a file of a kind that is not written is refused before the work" {
    printf 'id,name\n1,a\n2,b\n' >t.csv
    for file in o.parquet o.XLSX o.csv.gz; do
        refused 2 "cannot write $file: " \
            "$LINKCTL" dedup t.csv -m tiny -q -o $file
    done
}

@test "a model that is not there is noticed before anything is read" {
    for command in "link no.csv no.csv" "dedup no.csv" "embed no.csv"; do
        # shellcheck disable=SC2086
        refused 2 'nomodel' "$LINKCTL" $command -m nomodel -q -o out.jsonl
    done
}

@test "a full disk" {
    printf 'id,name\n1,a\n2,b\n' >t.csv
    refused 1 'could not write /dev/full: No space left on device' \
        "$LINKCTL" dedup t.csv -m tiny -q -o /dev/full
    refused 1 'could not write to standard output: No space left on device' \
        bash -c '"$LINKCTL" --help >/dev/full'
    refused 1 'could not write to standard output: No space left on device' \
        bash -c '"$LINKCTL" dedup t.csv -m tiny -q >/dev/full'
}

@test "a disk that becomes full on the way" {
    disk=$BATS_TEST_TMPDIR/disk
    mkdir "$disk"
    mount -t tmpfs -o size=256k none "$disk" 2>/dev/null || skip "cannot mount"
    python3 -c 'print("id,name"); [print("%d,ab" % i) for i in range(20000)]' >t.csv
    refused 1 "could not write $disk/v.npy: No space left on device" \
        "$LINKCTL" embed t.csv -m tiny -q -o "$disk/v.npy"
    left=$(ls -A "$disk")
    umount "$disk"
    [ -z "$left" ]
}

# many_texts: writes t.csv, which is not encoded in a few seconds; no text comes
# twice, for then it would be
many_texts() {
    python3 -c 'print("id,name"); [print("%d,%d %s" % (i, i, "ab " * 60)) for i in range(400000)]' >t.csv
}

# interrupted SIGNAL: in the middle of encoding; only the input is left
interrupted() {
    many_texts
    run --separate-stderr timeout --signal="$1" 2 "$LINKCTL" embed t.csv -m tiny -o v.npy
    [ "$status" -eq 124 ] # timeout's own
    [[ "$stderr" == *"linkctl: interrupted" ]]
    [ "$(ls -A)" = t.csv ]
}

@test "Ctrl-C leaves nothing behind" {
    interrupted INT
}

@test "a request to end leaves nothing behind" {
    interrupted TERM
}

@test "a request to dump core leaves nothing else behind" {
    many_texts
    # the limit keeps the dump itself away
    run bash -c 'ulimit -c 0; env --default-signal=QUIT "$LINKCTL" embed t.csv -m tiny -q -o v.npy & \
        until compgen -G ".linkctl.*" >/dev/null; do sleep 0.1; done; \
        kill -QUIT $!; wait $!'
    [ "$status" -eq 131 ]
    [ "$(ls -A)" = t.csv ]
}

@test "a closed descriptor is not taken for an output" {
    printf 'id,name\n1,a\n' >t.csv
    "$LINKCTL" dedup t.csv -m tiny -o o.csv 2>&-
    [ "$(cat o.csv)" = "$(printf 'id,name,entity_id\n1,a,1')" ]
    refused 1 'could not write to standard output: Bad file descriptor' \
        bash -c '"$LINKCTL" dedup t.csv -m tiny -q >&-'
}

@test "an interrupted run ends with 1 within a second" {
    mkfifo pipe
    # nobody writes, so linkctl sits in a read
    sleep 20 >pipe &
    writer=$!
    env --default-signal=INT "$LINKCTL" dedup pipe -m tiny -o out.csv 2>err &
    linkctl=$!
    for _ in $(seq 100); do
        compgen -G '.linkctl.*' >/dev/null && break
        sleep 0.1
    done
    start=$(date +%s)
    kill -INT $linkctl
    status=0
    wait $linkctl || status=$?
    kill $writer
    [ "$status" -eq 1 ]
    [ $(($(date +%s) - start)) -le 2 ]
    [ "$(cat err)" = "linkctl: interrupted" ]
    [ "$(ls -A)" = "$(printf 'err\npipe')" ]
}

@test "a reader that goes away ends the run in silence" {
    python3 -c 'print("id,name"); [print("%d,ab" % i) for i in range(5000)]' >t.csv
    run --separate-stderr bash -c \
        '"$LINKCTL" embed t.csv -m tiny -q | head -n 1 >/dev/null; exit "${PIPESTATUS[0]}"'
    [ "$status" -eq 1 ]
    [ -z "$stderr" ]
}
