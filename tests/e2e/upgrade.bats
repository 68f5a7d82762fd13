#!/usr/bin/env bats
# linkctl upgrade against a linkd that really runs: two tiny models, one
# collection, there and back.
load helpers
load daemon

setup_file() {
    model_make
    "$MAKE_TINY_MODEL" "$LINKD_MODELS/other" 7
}

setup() {
    work_enter
    daemon_start
    python3 -c "
import random
random.seed(1)
print('id,name')
for i in range(150):
    print('%d,%s' % (i, ' '.join(''.join(random.choices('abcdefghijklmnopqrstuvwxyz', k=6)) for _ in range(4))))" >firms.csv
    "$LINKCTL" collection create firms --on name -q
    "$LINKCTL" collection import firms firms.csv -q
}

@test "a model is probed, changed, backfilled, taken back and freed" {
    run --separate-stderr "$LINKCTL" upgrade probe firms --model other
    [ "$status" -eq 0 ]
    [[ "$output" == "MRR@10 of 30 queries made from the records themselves, on 150 of 150 records:"* ]]
    [[ "$stderr" == "at most 210 texts to encode, about "* ]]
    [[ "$stderr" == *"hint: these queries are made from records, so the figures are provisional;"* ]]
    [[ "$output" == *"verdict "* ]]
    [[ "$("$LINKCTL" upgrade status firms)" == *"1  serving  tiny "* ]]

    run --separate-stderr "$LINKCTL" upgrade start firms --model other
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"other serves collection firms"* ]]
    [ "$("$LINKCTL" upgrade backfill firms --limit 50)" = "50 records moved, 0 texts encoded" ]
    run "$LINKCTL" upgrade status firms
    [[ "${lines[1]}" =~ ^\ +1\ +old\ +tiny\ +100\ +66\.7\ +50\ +fuse$ ]]
    [[ "${lines[2]}" =~ ^\ +2\ +serving\ +other\ +50\ +33\.3\ +0\ +native$ ]]
    [ "${lines[3]}" = "MRR@10 of 30 queries made from the records themselves, on a sample, at the start:" ]
    [[ "${lines[9]}" =~ ^\ \ expected\ by\ now\ +[01]\.[0-9]{3}\ \ \(fuse\)$ ]]
    [[ "${lines[10]}" =~ ^left\ to\ move\ +100\ records,\ of\ which\ 0\ to\ encode$ ]]
    [[ "$("$LINKCTL" collection info firms)" == *"threshold:   "*"  (a score of the first model)"* ]]
    run --separate-stderr "$LINKCTL" search firms "quick brown" -k 3 --format table --fields name
    [[ "${lines[0]}" =~ ^PROBABILITY\ \ GENERATION\ \ \ SCORE\ \ ID\ +name$ ]]
    [[ "${lines[1]}" =~ ^\ +[01]\.[0-9]{4}\ +[12]\ +-?[01]\.[0-9]{4}\ \ [0-9]+\  ]]

    [ "$("$LINKCTL" upgrade rollback firms)" = "generation 1 serves, 50 records went back" ]
    refused 1 "there is no generation to go back to" "$LINKCTL" upgrade rollback firms
    run --separate-stderr "$LINKCTL" upgrade probe firms --model other
    [ "$output" = "the collection had this model before: a start goes back to it as it was" ]
    [ "$stderr" = "" ]
    run --separate-stderr "$LINKCTL" upgrade start firms --model other --anchors 100
    [[ "$stderr" == *"--queries, --labels, --head and --anchors have no effect"* ]]
    "$LINKCTL" upgrade rollback firms -q
    [ "$("$LINKCTL" upgrade gc firms -q)" = "freed 50 vectors and 1 generation" ]
    "$LINKCTL" upgrade status firms --json | python3 -c '
import json, sys
status = json.load(sys.stdin)
assert status["serving"] == 1 and len(status["generations"]) == 1, status'
    "$LINKCTL" fsck -q
}

@test "a probe makes a page about it" {
    sed -i '2s/,.*/,<script>x()<\/script> <b>bold/' firms.csv
    "$LINKCTL" collection import firms firms.csv -q
    run --separate-stderr "$LINKCTL" upgrade probe firms --model other --report page.html
    [ "$status" -eq 0 ]
    [[ "$output" == *"verdict "* ]]
    is_self_contained page.html
    for wanted in 'firms to other</h1>' 'Ways to search' Compatibility Backfill \
        'Scores before and after calibration' 'Queries that get better' 'Queries that get worse' \
        '<polyline' 'log-odds</text>'; do
        grep -q -- "$wanted" page.html || { echo "no $wanted"; false; }
    done
    refused 1 "could not write nowhere/page.html" "$LINKCTL" upgrade probe firms --model other --report nowhere/page.html
    refused 2 "--report" "$LINKCTL" upgrade start firms --model other --report page.html
    browser_shows page.html
}

@test "hits of an upgraded collection keep their order across a restart" {
    local before
    "$LINKCTL" upgrade start firms --model other -q >/dev/null
    "$LINKCTL" upgrade backfill firms --limit 60 -q >/dev/null
    before=$(curl -s --unix-socket s http://x/v1/collections/firms/search -d '{"text":"quick brown","k":20}')
    [[ "$before" == *'"generation":1'* ]]
    kill -KILL "$daemon"
    wait "$daemon" 2>/dev/null || true
    daemon_start
    [ "$(curl -s --unix-socket s http://x/v1/collections/firms/search -d '{"text":"quick brown","k":20}')" = "$before" ]
}

@test "a model that was exchanged behind linkd's back keeps it from starting" {
    local before
    kill -TERM "$daemon"
    wait "$daemon"
    cp -r "$LINKD_MODELS" models
    export LINKD_MODELS=$PWD/models
    daemon_start
    "$LINKCTL" upgrade start firms --model other -q >/dev/null
    "$LINKCTL" upgrade backfill firms --limit 50 -q >/dev/null
    before=$("$LINKCTL" search firms "quick brown" -k 20 --json)
    kill -TERM "$daemon"
    wait "$daemon"
    mv models/other models/kept
    "$MAKE_TINY_MODEL" models/other 9

    run timeout 60 "$LINKD" --data data --socket s --model tiny
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "${lines[-1]}" == *'model "other" is not the one that collection "firms" was made with: its files are others; put that one back, or give this one another name' ]]

    # as it says, the one and then the other
    mv models/other models/better
    daemon_start
    refused 1 'there is no model "other" in the model store' "$LINKCTL" search firms "quick brown"
    kill -TERM "$daemon"
    wait "$daemon"
    mv models/kept models/other
    daemon_start
    [ "$("$LINKCTL" search firms "quick brown" -k 20 --json)" = "$before" ]

    # an older model is done without
    kill -TERM "$daemon"
    wait "$daemon"
    rm -r models/tiny
    "$MAKE_TINY_MODEL" models/tiny 9
    : >err
    daemon_start
    grep -q 'warn model "tiny" is not the one that collection "firms" was made with: its files are others; put that one back, or give this one another name; until then queries for its records are mapped$' err
    [[ "$("$LINKCTL" search firms "quick brown" -k 20 --json)" == *'"way":"align"'* ]]
    "$LINKCTL" fsck -q
}

# limits_damage: flips a bit in the scale of limits and in its copy, the two equal
# blobs of the kind. The daemon is stopped and started for it.
limits_damage() {
    kill -TERM "$daemon"
    wait "$daemon"
    python3 - <<'END'
import re, struct
SIZE = 32 + 3 * (24 + 8 * 512)
with open("data/data.mdb", "r+b") as file:
    data = file.read()
    bodies = {}
    for at in re.finditer(b"\x09\0\0\0\0\0\0\0", data):
        bodies.setdefault(data[at.start():at.start() + SIZE], []).append(at.start())
    pair, = (places for places in bodies.values() if len(places) == 2)
    for place in pair:
        file.seek(place + 3000)
        file.write(bytes([data[place + 3000] ^ 1]))
END
    daemon_start
}

@test "damaged limits are told, and what needs no limit goes on" {
    local name
    name=$(sed -n 8s/^6,//p firms.csv)
    "$LINKCTL" upgrade start firms --model other -q >/dev/null
    run -0 "$LINKCTL" upgrade status firms
    [[ "$output" != *damaged* ]]
    limits_damage
    run -0 "$LINKCTL" upgrade status firms
    [ "${lines[-1]}" = "damaged: scores cannot be limits any more, but probabilities and false-match rates can: damaged database: a checksum of table blobs is wrong" ]
    [[ "$("$LINKCTL" search firms "$name" -k 1 --json)" == *'"id":"6"'* ]]
    refused 1 "collection \"firms\": scores cannot be limits any more" \
        "$LINKCTL" search firms "$name" --threshold 0.5
    [ "$("$LINKCTL" upgrade rollback firms)" = "generation 1 serves, 0 records went back" ]
    [[ "$("$LINKCTL" search firms "$name" -k 1 --json)" == *'"id":"6"'* ]]
}

@test "a cascade moves what it finds, and finds it at the same place" {
    local cascade native name
    name=$(sed -n 8s/^6,//p firms.csv)
    "$LINKCTL" upgrade start firms --model other -q >/dev/null
    cascade=$("$LINKCTL" search firms "$name" --compat cascade --candidates 20 -k 3 --json)
    [[ "${cascade%%$'\n'*}" == *'"id":"6"'*'"way":"cascade"'* ]]
    [[ "$("$LINKCTL" upgrade status firms)" == *"2  serving  other       20 "* ]]
    native=$("$LINKCTL" search firms "$name" -k 3 --json)
    [ "${native//\"native\"/\"cascade\"}" = "$cascade" ]
    curl -s --unix-socket s http://x/metrics | grep -Fqx 'linkd_cascade_moved_total 20'
    "$LINKCTL" fsck -q
}

@test "a start of a worse model says how to go back" {
    cp -r "$LINKD_MODELS/other" "$LINKD_MODELS/deaf"
    # leaves no room for the query
    printf '{"prompts": {"query": "%0300d"}}' 0 >"$LINKD_MODELS/deaf/config_sentence_transformers.json"
    run --separate-stderr "$LINKCTL" upgrade start firms --model deaf
    rm -r "$LINKD_MODELS/deaf"
    [ "$status" -eq 0 ]
    [[ "$output" == *"verdict                      refuse" ]]
    [[ "$stderr" == *"linkctl: warning: the new model is worse on these queries, and serves now"* ]]
    [[ "$stderr" == *"hint: linkctl upgrade rollback firms goes back"* ]]
}

@test "a model that is gone, or another one, is told at the start and in status" {
    "$LINKCTL" upgrade start firms --model other -q >/dev/null
    "$LINKCTL" collection create plain --on name -q
    "$LINKCTL" collection create steady --on name --model other -q
    "$LINKCTL" upgrade status firms | grep -q ' native$'
    kill -TERM "$daemon"
    wait "$daemon"
    run ! grep -q 'its searches fail' err
    mv "$LINKD_MODELS/other" other
    daemon_start
    grep -q 'collection "firms": there is no model "other" in the model store: its searches fail' err
    run "$LINKCTL" upgrade status firms
    [[ "${lines[2]}" =~ ^\ +2\ +serving\ +other\ +0\ +0\.0\ +0\ +no\ model$ ]]
    [ "${lines[3]}" = "model other is not in the model store, or is another one by now: searches fail" ]
    run --separate-stderr "$LINKCTL" search firms "quick brown"
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"hint: linkctl model list shows those that exist" ]]
    run --separate-stderr "$LINKCTL" search nowhere "quick brown"
    [[ "$stderr" == *"hint: linkctl collection list shows those that exist" ]]
    "$LINKCTL" collection drop firms -q
    kill -TERM "$daemon"
    wait "$daemon"
    "$MAKE_TINY_MODEL" "$LINKD_MODELS/other" 8
    daemon_start
    rm -r "$LINKD_MODELS/other"
    mv other "$LINKD_MODELS/other"
    grep -q 'collection "steady": model "other" is another one than its vectors are of: its searches fail' err
    run ! grep -q 'collection "plain"' err
    [[ "$("$LINKCTL" upgrade status steady)" == *"no model"* ]]
}

@test "a collection is searched as its start said, unless a search says" {
    "$LINKCTL" upgrade start firms --model other --way align -q >/dev/null
    run "$LINKCTL" upgrade status firms
    [[ "${lines[1]}" =~ ^\ +1\ +old\ +tiny\ +150\ +100\.0\ +0\ +align$ ]]
    [[ "$("$LINKCTL" search firms "quick brown" -k 1 --json)" == *'"way":"align"'* ]]
    [[ "$("$LINKCTL" search firms "quick brown" -k 1 --compat fuse --json)" == *'"way":"fuse"'* ]]
    refused 2 "--way" "$LINKCTL" upgrade probe firms --model other --way align
}

@test "a probe asks what users ask" {
    awk -F, 'NR == 1 { print "query,id" } NR > 1 && NR < 30 { print substr($2, 1, 20) "," $1 }' firms.csv >asked.csv
    run --separate-stderr "$LINKCTL" upgrade probe firms --model other --queries asked.csv
    [ "$status" -eq 0 ]
    [[ "$output" == *"MRR@10 of 28 queries of yours, on 150 of 150 records:"* ]]
    echo "query,name" >wrong.csv
    echo "a,b" >>wrong.csv
    refused 1 "wrong.csv has no column id" "$LINKCTL" upgrade probe firms --model other --queries wrong.csv
}

@test "records that are one entity look for each other" {
    awk -F, 'NR > 1 && NR < 30 { print "t" $1 "," $2 " x" }' firms.csv >twins.csv
    sed -i '1i id,name' twins.csv
    "$LINKCTL" collection import firms twins.csv -q
    awk -F, 'NR == 1 { print "left_id,right_id,match" } NR > 1 && NR < 30 { print $1 ",t" $1 ",1" }' firms.csv >pairs.csv
    echo "5,t9,0" >>pairs.csv
    awk -F, 'NR == 1 { print "id,entity_id" } NR > 1 && NR < 30 { print $1 ",e" $1 "\nt" $1 ",e" $1 }' firms.csv >entities.csv
    echo "100," >>entities.csv
    for labels in pairs.csv entities.csv; do
        run --separate-stderr "$LINKCTL" upgrade probe firms --model other --labels "$labels"
        [ "$status" -eq 0 ]
        [[ "${lines[0]}" == "MRR@10 of 17 queries by your labels, on "*" of 178 records:" ]]
    done
    "$LINKCTL" upgrade probe firms --model other --labels pairs.csv --head contrast | grep -q ', contrast)'
    refused 2 "--head contrast needs --labels" "$LINKCTL" upgrade probe firms --model other --head contrast
    refused 1 "has neither left_id and right_id nor id and entity_id" \
        "$LINKCTL" upgrade probe firms --model other --labels firms.csv
    sed 's/,1$/,perhaps/' pairs.csv >wrong.csv
    refused 1 "row 1, match: \"perhaps\" is neither" \
        "$LINKCTL" upgrade probe firms --model other --labels wrong.csv
    sed 's/,e[0-9]*$/,e1/' entities.csv >one.csv
    refused 1 "the labels are of one entity" "$LINKCTL" upgrade probe firms --model other --labels one.csv -q
    [[ "$("$LINKCTL" upgrade status firms)" == *"1  serving  tiny "* ]]
}

@test "what cannot be started is refused, and says why" {
    local answer vectors
    answer=$("$LINKCTL" search firms "quick brown" -k 20 --json)
    vectors=$(curl -s --unix-socket s "http://x/v1/collections/firms/records?vectors=true&limit=1000")
    [[ "$vectors" == *'"vector":'* ]]
    refused 2 "--model is needed" "$LINKCTL" upgrade start firms
    refused 1 "has the model \"tiny\" already" "$LINKCTL" upgrade start firms --model tiny
    refused 1 "there is no model \"absent\"" "$LINKCTL" upgrade start firms --model absent
    refused 2 "--head" "$LINKCTL" upgrade start firms --model other --head hat
    refused 1 "there is no collection" "$LINKCTL" upgrade status nowhere
    awk -F, 'NR == 1 { print "query,id" } NR > 1 && NR < 15 { print $2 ",1" }' firms.csv >one.csv
    refused 1 "the queries look for too few records" \
        "$LINKCTL" upgrade start firms --model other --queries one.csv -q
    [ "$("$LINKCTL" search firms "quick brown" -k 20 --json)" = "$answer" ]
    [ "$(curl -s --unix-socket s "http://x/v1/collections/firms/records?vectors=true&limit=1000")" = "$vectors" ]
    "$LINKCTL" fsck -q
    head -50 firms.csv >few.csv
    "$LINKCTL" collection create few --on name -q
    "$LINKCTL" collection import few few.csv -q
    refused 1 "has 49 records to learn from, at least 100 are needed" \
        "$LINKCTL" upgrade start few --model other -q
    [[ "$("$LINKCTL" upgrade status few)" == *"1  serving  tiny "* ]]
}

# neighbours: of every record, within the collection's threshold
neighbours() {
    local i
    for i in $(seq 0 149); do
        curl -s --unix-socket s http://x/v1/collections/rated/search \
            -d "{\"record\":\"$i\",\"all\":true,\"fields\":false}" | grep -o '"id":"[0-9]*"' || true
        echo .
    done
}

@test "a threshold that is a false-match rate holds through an upgrade and a restart" {
    local before
    refused 2 "exclude each other" \
        "$LINKCTL" collection create rated --on name -t 0.8 --false-match-rate 0.01
    refused 2 '"threshold": "false_match_rate" is not a number between 0 and 1' \
        "$LINKCTL" collection create rated --on name --false-match-rate 0
    "$LINKCTL" collection create rated --on name --false-match-rate 0.01 -q
    head -n 51 firms.csv >few.csv
    "$LINKCTL" collection import rated few.csv -q
    refused 2 '"false_match_rate": 0.01 takes 104 records with vectors to compare, and there are 48' \
        "$LINKCTL" search rated x --false-match-rate 0.01
    "$LINKCTL" collection import rated firms.csv -q
    [[ "$("$LINKCTL" collection info rated)" == *"threshold:"*'{"false_match_rate": 0.01}'* ]]
    refused 2 '"probability" is known only of a collection whose model was changed' \
        "$LINKCTL" search rated x --probability 0.5

    before=$(neighbours)
    [ "$(grep -c id <<<"$before")" -gt 100 ] # of 22,350
    [ "$(grep -c id <<<"$before")" -lt 350 ]
    kill -KILL "$daemon"
    wait "$daemon" 2>/dev/null || true
    daemon_start
    [ "$(neighbours)" = "$before" ]
    "$LINKCTL" upgrade start rated --model other -q
    "$LINKCTL" upgrade backfill rated --limit 75 -q
    "$LINKCTL" upgrade rollback rated -q
    # 144 of the records told it before, 150 tell it now
    [ "$(diff <(neighbours) <(echo "$before") | grep -c '^[<>]')" -lt 60 ]
    "$LINKCTL" search rated "$(sed -n '2s/.*,//p' firms.csv)" --probability 0.01 --json | grep -q '"id":"0"'
}
