#!/usr/bin/env bats
# linkctl as the client of a linkd that really runs, with a tiny model.
load helpers
load daemon

setup_file() {
    model_make
}

firms_make() {
    cat >firms.csv <<'END'
key,name,city,founded
1,alpha trading company,paris,1900
2,"beta, gamma and sons",london,1950
3,delta motor works,turin,1980
4,quartz 77 xylophone,oslo,
5,alpha trading compani,paris,1900
END
    "$LINKCTL" collection create firms --on name,city --filter city -q
    "$LINKCTL" collection import firms firms.csv -q
}

# rows_make N: a table that takes a while to link
rows_make() {
    python3 -c "
import random, sys
random.seed(1)
letters = 'abcdefghijklmnopqrstuvwxyz'
print('id,name')
for i in range(int(sys.argv[1])):
    print('%d,%s' % (i, ' '.join(''.join(random.choices(letters, k=6)) for _ in range(30))))" "$1"
}

@test "a collection is made, listed, described and dropped" {
    run --separate-stderr "$LINKCTL" collection create firms --on name,city --index exact -t 0.8
    [ "$status" -eq 0 ]
    [ "$stderr" = "created collection firms" ]
    [[ "$("$LINKCTL" collection list)" =~ firms\ +tiny\ +32\ +0\ +0\ +0$ ]]
    "$LINKCTL" collection info firms --json | python3 -c '
import json, sys
info = json.load(sys.stdin)
assert info["text"] == ["name", "city"] and info["index"] == "exact", info
assert abs(info["threshold"] - 0.8) < 1e-6, info'
    [[ "$("$LINKCTL" collection info firms)" == *"model:"*"tiny"* ]]
    refused 1 firms "$LINKCTL" collection create firms
    "$LINKCTL" collection drop firms -q
    [ "$("$LINKCTL" collection list)" = "there is no collection" ]
}

@test "rows are imported, exported, and come back as they were" {
    firms_make
    run --separate-stderr "$LINKCTL" collection import firms firms.csv
    [[ "$stderr" == *"5 rows: 0 created, 5 replaced" ]]
    "$LINKCTL" collection export firms --id key -q -o out.csv
    cmp firms.csv out.csv
    "$LINKCTL" collection export firms --id key -q -o out.jsonl
    [ "$(tail -n 2 out.jsonl | head -n 1)" = \
        '{"key":"4","name":"quartz 77 xylophone","city":"oslo"}' ]
    "$LINKCTL" collection create again --on name,city -q
    "$LINKCTL" collection import again out.jsonl -q
    [ "$("$LINKCTL" collection export again --id key -q)" = "$(cat out.jsonl)" ]
}

@test "a table without what makes texts is refused, and what is missing is told" {
    firms_make
    printf 'key,title,town\n1,a,b\n' >wrong.csv
    refused 2 'wrong.csv has no column of those that make the text of firms: "name", "city"' \
        "$LINKCTL" collection import firms wrong.csv
    [ "${stderr_lines[1]}" = "hint: its columns are key, title, town" ]
    "$LINKCTL" collection export firms --id key -q -o out.csv
    cmp firms.csv out.csv
    printf 'key,name,town\n1,a,b\n' >half.csv
    run --separate-stderr "$LINKCTL" collection import firms half.csv
    [ "$status" -eq 0 ]
    [ "${stderr_lines[0]}" = 'half.csv has no column "city": texts are made without' ]
}

@test "numbers and nested values of JSON lines stay what they were" {
    printf '%s\n' '{"id":"a","n":1e5,"x":0.1,"l":[1,{"k":null}],"t":"\u00e9"}' >in.jsonl
    "$LINKCTL" collection create c -q
    "$LINKCTL" collection import c in.jsonl -q
    run --separate-stderr "$LINKCTL" collection export c -q
    python3 -c '
import json, sys
assert json.loads(sys.argv[1]) == json.load(open("in.jsonl"))' "$output"
}

@test "more rows than one batch takes arrive, from a pipe too" {
    rows_make 2500 >rows.csv
    "$LINKCTL" collection create c -q
    run --separate-stderr bash -c '"$LINKCTL" collection import c - --id id <rows.csv'
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"2,500 rows: 2,500 created, 0 replaced"* ]]
    "$LINKCTL" collection export c -q -o out.csv
    cmp rows.csv out.csv
}

@test "ids of which one repeats are not replaced by row numbers" {
    firms_make
    sed -i 's/^5,/1,/' firms.csv
    refused 1 'column "key" looks like ids, but row 5 (line 6) has "1" again' \
        "$LINKCTL" collection import firms firms.csv
    [[ "$stderr" == *"hint: --id names"* ]]
    "$LINKCTL" collection export firms --id key -q -o out.csv
    [ "$(wc -l <out.csv)" -eq 6 ] # and nothing was stored
    run --separate-stderr bash -c '"$LINKCTL" collection import firms - <firms.csv'
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"ids are row numbers"* ]]
}

@test "a field that is called as the ids' column is not overwritten" {
    printf 'key,id\na,1\n' >in.csv
    "$LINKCTL" collection create c -q
    "$LINKCTL" collection import c in.csv -q
    refused 2 'a record has a field "id"' "$LINKCTL" collection export c -o out.csv
    "$LINKCTL" collection export c --id key -q -o out.csv
    cmp in.csv out.csv
}

# npy FILE DIM VALUES: rows of DIM numbers; VALUES are Python's
npy() {
    python3 - "$@" <<'END'
import struct, sys
path, dim, values = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (len(values) // dim, dim)
head = head.ljust(117) + "\n"
with open(path, "wb") as f:
    f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
    f.write(struct.pack("<%df" % len(values), *values))
END
}

@test "ready-made vectors go in as NumPy and are found" {
    npy v.npy 2 "[1, 0, 0, 1, 1, 1]"
    npy q.npy 2 "[0, 2]"
    npy wide.npy 3 "[0, 2, 1]"
    "$LINKCTL" collection create v --model none --dim 2 -q
    "$LINKCTL" collection import v v.npy --first-id 7 -q
    run --separate-stderr "$LINKCTL" search v --vector-file q.npy -k 1 --json
    [ "$output" = '{"id":"8","score":1.0,"fields":{}}' ]
    refused 2 'vectors of 3 numbers do not fit' "$LINKCTL" collection import v wide.npy
    # JSON lines carry the vectors along
    "$LINKCTL" collection export v -q -o v.jsonl
    "$LINKCTL" collection create w --model none --dim 2 -q
    "$LINKCTL" collection import w v.jsonl -q
    [ "$("$LINKCTL" collection export w -q)" = "$(cat v.jsonl)" ]
}

@test "a vector that is none is named by row and number, and nothing is stored" {
    local before
    npy v.npy 2 "[1, 2] * 3"
    "$LINKCTL" collection create v --model none --dim 2 -q
    "$LINKCTL" collection import v v.npy --first-id 5000 -q
    before=$("$LINKCTL" collection export v -q)

    # in the second batch of a thousand rows
    npy nan.npy 2 "[1, 2] * 1200 + [3, float('nan')] + [1, 2] * 9"
    refused 1 "nan.npy: row 1201: number 2 is not finite" "$LINKCTL" collection import v nan.npy
    npy zero.npy 2 "[1, 2] * 1200 + [0, 0]"
    refused 1 "zero.npy: row 1201 is all zero" "$LINKCTL" collection import v zero.npy
    npy inf.npy 2 "[1, float('-inf')]"
    refused 1 "inf.npy: row 1: number 2 is not finite" "$LINKCTL" search v --vector-file inf.npy
    refused 2 "vectors are imported from .npy files, not from v.fvecs" \
        "$LINKCTL" collection import v v.fvecs

    # as Python's json module writes it
    printf '{"id":"a","vector":[1,2]}\n{"id":"b","vector":[1,NaN]}\n' >v.jsonl
    refused 1 "v.jsonl: row 2 (line 2): invalid JSON at byte 25" \
        "$LINKCTL" collection import v v.jsonl
    for number in 1e39 null '"NaN"'; do
        printf '{"id":"a","vector":[1,2]}\n\n{"id":"b","vector":[1,%s]}\n' "$number" >v.jsonl
        refused 1 "v.jsonl: row 2: the vector: number 1 is not" "$LINKCTL" collection import v v.jsonl
        [ "$(curl -s -o answer -w '%{http_code}' --unix-socket s http://x/v1/collections/v/records \
            -H 'Content-Type: application/json' \
            -d '{"records":[{"id":"a","vector":[1,2]},{"id":"b","vector":[1,'"$number"']}]}')" = 400 ]
        grep -q '"detail":"record 1: the vector: number 1 is not' answer
    done
    [ "$(curl -s -o answer -w '%{http_code}' --unix-socket s http://x/v1/collections/v/records \
        -H 'Content-Type: application/x-npy' --data-binary @nan.npy)" = 400 ]
    grep -q '"detail":"vector 1200: number 1 is not finite"' answer
    [ "$("$LINKCTL" collection export v -q)" = "$before" ]

    # rows are counted in the table, not in its last batch; those before it are there
    python3 -c '
for i in range(1200):
    print("{\"id\":\"%d\",\"vector\":[1,%s]}" % (i, "null" if i == 1100 else i))' >v.jsonl
    refused 1 "v.jsonl: row 1101: the vector: number 1 is not a number" \
        "$LINKCTL" collection import v v.jsonl
}

@test "search finds what is alike, as a table for people and as lines for pipes" {
    firms_make
    run --separate-stderr "$LINKCTL" search firms "alpha trading company paris" -k 2
    [ "${#lines[@]}" -eq 2 ]
    [[ "${lines[0]}" == '{"id":"1","score":'*'"city":"paris"'* ]]
    [[ "${lines[1]}" == '{"id":"5",'* ]]
    run --separate-stderr "$LINKCTL" search firms --record 1 -k 1 --format table --fields name
    [[ "${lines[0]}" =~ ^\ SCORE\ \ ID\ \ name$ ]]
    [[ "${lines[1]}" =~ ^0\.9[0-9]{3}\ \ 5\ +alpha\ trading\ compani$ ]]
    run --separate-stderr "$LINKCTL" search firms x --exact --filter '{"eq": {"city": "oslo"}}'
    [ "${#lines[@]}" -eq 1 ]
    [[ "$output" == '{"id":"4",'* ]]
    run --separate-stderr "$LINKCTL" search firms x -t 1 --format table
    [ "$output" = "no record is near enough" ]
}

@test "link through linkd writes the bytes that file mode writes" {
    tables_make
    for form in csv tsv jsonl; do
        "$LINKCTL" link left.csv right.csv -m tiny --min-score 0.9 -q -o file.$form
        "$LINKCTL" link left.csv right.csv -m tiny --min-score 0.9 -q --socket s -o job.$form
        cmp file.$form job.$form
    done
    "$LINKCTL" link left.csv right.csv --left-on name --right-on name --block city \
        --assign many-to-many --min-score 0 -m tiny -q -o file.csv
    "$LINKCTL" link left.csv right.csv --left-on name --right-on name --block city \
        --assign many-to-many --min-score 0 -m tiny -q -s s -o job.csv
    cmp file.csv job.csv
    [ "$("$LINKCTL" job list)" = "there is no job" ] # fetched and forgotten
    python3 -c '
import json
manifest = json.load(open("job.jsonl.manifest.json"))
assert manifest["counts"]["pairs"] == 3, manifest
assert [i["rows"] for i in manifest["inputs"]] == [4, 4], manifest'
}

@test "a file is linked with a collection" {
    firms_make
    tables_make
    run --separate-stderr "$LINKCTL" link left.csv collection:firms --min-score 0.9
    [ "$status" -eq 0 ]
    [ "$(cut -d, -f1,2 <<<"$output" | tail -n +2 | tr '\n' ' ')" = "1,1 2,2 3,3 4,4 " ]
    [[ "$stderr" == *"4 left rows, 5 right rows: 4 pairs"* ]]
}

@test "dedup through linkd writes the bytes that file mode writes" {
    firms_make
    for form in csv jsonl; do
        "$LINKCTL" dedup firms.csv --on name -m tiny --min-score 0.9 -q -o file.$form
        "$LINKCTL" dedup firms.csv --on name -m tiny --min-score 0.9 -q -s s -o job.$form
        cmp file.$form job.$form
    done
    [ "$(tail -n 1 job.csv)" = "5,alpha trading compani,paris,1900,1" ]
}

# people_make: two tables of people, half of whom are in both, with slips
people_make() {
    python3 - <<'END'
import random
random.seed(7)
syllables = "ba ke li mo nu ra si to vu ze dor fan gel hin jos pam".split()
def person():
    name = ["".join(random.choices(syllables, k=3)) for _ in range(2)]
    return name + ["%d-%02d-%02d" % (random.randrange(1900, 1980), random.randrange(1, 13), random.randrange(1, 29))]
def slip(row):
    return [row[0] + "x", *row[1:]] if random.random() < 0.3 else row
left = [person() for _ in range(200)]
right = [slip(p) for p in random.sample(left, 100)] + [person() for _ in range(100)]
for path, rows in ("l.csv", left), ("r.csv", right), ("all.csv", left + right):
    with open(path, "w") as file:
        print("id,first,last,born", file=file)
        for i, row in enumerate(rows):
            print("%d,%s" % (i, ",".join(row)), file=file)
END
}

# summary_lines FILE: what was decided, without columns and seconds
summary_lines() {
    grep -v -e '^columns compared' -e '^  ' -e '^read ' -e ': .* in .* s (' \
        -e '^[a-z]*: [0-9.]* s$' "$1"
}

@test "by probability linkd says and writes what file mode does" {
    people_make
    local options
    for options in '-m tiny' '-m none --assign one-to-one' '-m tiny -t 0.9 --on last,born -k 5'; do
        # shellcheck disable=SC2086
        {
            "$LINKCTL" link l.csv r.csv $options -o file.csv 2>file.txt
            "$LINKCTL" link l.csv r.csv $options -s s -o job.csv 2>job.txt
        }
        cmp file.csv job.csv
        diff <(summary_lines file.txt) <(summary_lines job.txt)
        [[ "$(cat job.txt)" == *"expected: precision "* ]]
    done
    for options in '-m tiny' '-m none -t 0.9 --block born'; do
        # shellcheck disable=SC2086
        {
            "$LINKCTL" dedup all.csv $options -o file.jsonl 2>file.txt
            "$LINKCTL" dedup all.csv $options -s s -o job.jsonl 2>job.txt
        }
        cmp file.jsonl job.jsonl
        diff <(summary_lines file.txt) <(summary_lines job.txt)
    done
    python3 -c '
import json
file, job = (json.load(open(n + ".csv.manifest.json")) for n in ("file", "job"))
assert file["verdict"] == job["verdict"], (file, job)'
}

@test "the fields of a collection are compared as columns are" {
    people_make
    "$LINKCTL" collection create people --on first,last,born -q
    "$LINKCTL" collection import people r.csv -q
    "$LINKCTL" link l.csv r.csv -m tiny -q -o file.csv
    "$LINKCTL" link l.csv collection:people -q -o job.csv
    cmp file.csv job.csv
    "$LINKCTL" link l.csv r.csv -m none -q -o file.csv
    "$LINKCTL" link l.csv collection:people -m none -q -o job.csv
    cmp file.csv job.csv
}

@test "the entities of a collection are found and, with --apply, kept" {
    firms_make
    run --separate-stderr "$LINKCTL" dedup collection:firms --min-score 0.9 --apply
    [ "$output" = "$(printf 'id,entity_id\n1,1\n2,2\n3,3\n4,4\n5,1')" ]
    [[ "$("$LINKCTL" search firms --record 1 -k 1)" == *'"id":"5",'*'"entity":'* ]]
    refused 2 '--apply needs a collection' "$LINKCTL" dedup firms.csv --apply
}

@test "new rows join the entities of a collection, and merges are told" {
    people_make
    "$LINKCTL" collection create people --on first,last,born -q
    "$LINKCTL" collection import people r.csv -q
    "$LINKCTL" dedup collection:people --apply -q -o before.csv
    sed 's/^\([0-9]\)/n\1/' l.csv >new.csv
    run --separate-stderr "$LINKCTL" link new.csv collection:people --apply -o pairs.csv
    [ "$status" -eq 0 ]
    [[ "$("$LINKCTL" collection list)" =~ people\ +tiny\ +32\ +400\ +400\ +30[0-9]$ ]]
    [ -z "$("$LINKCTL" collection log people)" ]
    # a record becomes another person, and becomes the first one again
    local pair id
    pair=$(sed -n 2p pairs.csv)
    id=$(cut -d, -f1 <<<"$pair")
    printf 'id,first,last,born\n%s,zzuqwo,yxuvwx,2001-02-03\n' "$id" >one.csv
    "$LINKCTL" collection import people one.csv -q
    "$LINKCTL" dedup collection:people --apply -q -o after.csv
    { head -n 1 l.csv; grep "^$id," new.csv; } >one.csv
    "$LINKCTL" collection import people one.csv -q
    "$LINKCTL" dedup collection:people --apply -q -o after.csv
    run --separate-stderr "$LINKCTL" collection log people
    echo "$output"
    [[ "$output" == *"was split off from it"* ]]
    [[ "$output" =~ entity\ [0-9]+:\ [0-9]+\ was\ merged\ into\ it,\ since\ .*\ are\ one\ with\ probability\ [01]\. ]]
    "$LINKCTL" collection log people --json | python3 -c '
import json, sys
events = [json.loads(line) for line in sys.stdin]
assert any(e["event"] == "split" and e["other"] > e["entity"] for e in events), events
assert [e["seq"] for e in events] == sorted(e["seq"] for e in events), events'
    refused 1 'nope' "$LINKCTL" collection log nope
    refused 2 '--apply needs a collection' "$LINKCTL" link l.csv r.csv --apply
}

@test "what only works on files is refused, not ignored" {
    tables_make
    refused 2 '--wide is not possible through linkd' \
        "$LINKCTL" link left.csv right.csv --socket s --wide
    refused 2 '--threads is not possible through linkd' \
        "$LINKCTL" dedup left.csv --socket s --threads 2
    refused 2 'linkd clusters by average linkage, unless there is --min-score' \
        "$LINKCTL" dedup left.csv --socket s --cluster components
    refused 2 '--one-per is not possible through linkd' \
        "$LINKCTL" dedup left.csv --socket s --one-per city
    refused 2 'a table cannot be standard input' "$LINKCTL" dedup - --socket s
}

@test "a signal cancels the job that is waited for, and leaves no file" {
    rows_make 20000 >big.csv
    "$LINKCTL" dedup big.csv -m tiny -s s -q -o out.csv 2>message 3>&- &
    local client=$! status=0
    until_true bash -c '"$LINKCTL" job list | grep -q running'
    kill -TERM "$client"
    wait "$client" || status=$?
    cat message
    [ "$status" -ne 0 ]
    [ "$(cat message)" = "linkctl: interrupted: job 1 is cancelled" ]
    until_true bash -c '"$LINKCTL" job list | grep -q cancelled'
    [ ! -e out.csv ]
    refused 1 'job 1 was cancelled' "$LINKCTL" job wait 1
    "$LINKCTL" job delete 1 -q
    refused 1 'job' "$LINKCTL" job show 1
}

@test "a job is cancelled by its number" {
    rows_make 20000 >big.csv
    "$LINKCTL" dedup big.csv -m tiny -s s -q -o out.csv 2>message 3>&- &
    local client=$! status=0
    until_true bash -c '"$LINKCTL" job list | grep -q running'
    "$LINKCTL" job cancel 1 -q
    wait "$client" || status=$?
    [ "$status" -eq 1 ]
    [ "$(cat message)" = "linkctl: job 1 was cancelled" ]
}

@test "a backup is a data directory without faults" {
    firms_make
    run --separate-stderr "$LINKCTL" backup copy
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"backup is in $work/copy"* ]]
    run --separate-stderr "$LINKCTL" fsck --data copy
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [[ "$stderr" == *"1 collection, 5 records, 5 vectors, "* ]]
    "$LINKCTL" compact --data copy -q
    "$LINKCTL" fsck --data copy -q
    refused 1 'exists already' "$LINKCTL" backup copy
    [[ "$("$LINKCTL" job list)" == *"backup  failed"*"backup  done"* ]]
    [[ "$("$LINKCTL" job show 1)" == *"state:"*"done"* ]]
    [[ "$("$LINKCTL" job wait 1 --json)" == *'"state":"done"'* ]]
}

@test "fsck asks the linkd that has the directory open" {
    firms_make
    run --separate-stderr "$LINKCTL" fsck --socket s
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"1 collection, 5 records, 5 vectors, "* ]]
    refused 1 'in use' "$LINKCTL" fsck --data data
    refused 1 'in use' "$LINKCTL" compact --data data
    refused 2 '--data excludes --socket' "$LINKCTL" fsck --data data --socket s
}

@test "a damaged backup has faults, one a line, and the exit code says so" {
    firms_make
    "$LINKCTL" backup copy -q
    python3 - <<'END'
data = open("copy/data.mdb", "rb").read()
at = data.index(b"delta motor works")
with open("copy/data.mdb", "r+b") as file:
    file.write(data[:at] + b"D" + data[at + 1:])
END
    run --separate-stderr "$LINKCTL" fsck --data copy
    echo "$output"
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -ge 1 ]
    [[ "$stderr" == *"linkctl: "*"fault"* ]]
}

@test "without linkd the message says where it was looked for and how to start it" {
    refused 1 'could not reach linkd at nowhere: No such file or directory' \
        "$LINKCTL" collection list --socket nowhere
    [ "${stderr_lines[1]}" = \
        "hint: is linkd running? start it with: linkd --data DIR --socket PATH" ]
    kill -KILL "$daemon"
    wait "$daemon" || true
    refused 1 'Connection refused' "$LINKCTL" job list
    export XDG_RUNTIME_DIR=/nonexistent
    unset LINKD_SOCKET
    refused 1 'could not reach linkd at /nonexistent/linkd.sock' "$LINKCTL" job list
}

@test "what linkd refuses is told in its words" {
    firms_make
    refused 1 'no collection "nope"' "$LINKCTL" search nope x
    [[ "${stderr_lines[1]}" == *"linkctl collection list"* ]]
    refused 1 'no collection "nope"' "$LINKCTL" collection import nope firms.csv
    refused 1 'no collection "nope"' "$LINKCTL" collection export nope -o x.csv
    refused 2 'filter' "$LINKCTL" search firms x --filter '{"near": 1}'
    refused 2 '--filter is not JSON' "$LINKCTL" search firms x --filter '{'
    refused 2 'search needs TEXT' "$LINKCTL" search firms
    refused 2 '--dim needs --model none' "$LINKCTL" collection create x --dim 3
    refused 2 'cannot be' "$LINKCTL" collection create x --index tree
    refused 2 'not the number of a job' "$LINKCTL" job show x
    refused 2 'there is no command "job foo"' "$LINKCTL" job foo
}

# A file of as many rows as it takes to see the job run.
big_job_begin() {
    local n
    for n in 4000 16000 64000; do
        rows_make $n >big.csv
        "$LINKCTL" dedup big.csv -m tiny --min-score 0.99 -q -s s -o job.csv 3>&- &
        client=$!
        while kill -0 $client 2>/dev/null; do
            if "$LINKCTL" job list | grep -q running; then return 0; fi
        done
        wait $client
    done
    return 1
}

@test "jobs outlive the linkd that runs them" {
    local client
    big_job_begin
    kill -KILL "$daemon"
    wait "$daemon" || true
    daemon_start
    wait "$client"
    "$LINKCTL" dedup big.csv -m tiny --min-score 0.99 -q -o file.csv
    cmp file.csv job.csv
}
