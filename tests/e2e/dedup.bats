#!/usr/bin/env bats
# linkctl dedup on small tables, with a tiny model.
load helpers

setup_file() {
    model_make
}

people_make() {
    cat >people.csv <<'END'
id,name,note
a,john smithson,"kept, as it is"
b,mary 77 xavier,
c,john smithson," blank "
d,quentin 123,"say ""hi"""
END
}

@test "the input comes back unchanged with entity_id added" {
    people_make
    run --separate-stderr "$LINKCTL" dedup people.csv --on name -m tiny \
        --min-score 0.95 -o entities.csv -q
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    cat >expected.csv <<'END'
id,name,note,entity_id
a,john smithson,"kept, as it is",1
b,mary 77 xavier,,2
c,john smithson," blank ",1
d,quentin 123,"say ""hi""",3
END
    cmp entities.csv expected.csv
    [ -f entities.csv.manifest.json ]
}

@test "ids of which one repeats become row numbers, and that is said" {
    people_make
    sed -i 's/^d,/b,/' people.csv
    for command in "dedup people.csv --min-score 0.9 -o e.csv" "embed people.csv -o v.jsonl"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$LINKCTL" $command -m tiny
        [ "$status" -eq 0 ]
        [[ "$stderr" == *'people.csv: column "id" looks like ids, but row 4 (line 5) has "b" again'*": ids are row numbers"* ]]
    done
    run --separate-stderr "$LINKCTL" dedup people.csv -m tiny --min-score 0.9 -q -o e.csv
    [ -z "$stderr" ]
}

@test "the summary tells of rows without text and of texts that were cut" {
    { echo id,name; echo 1,; printf '2,%s\n' "$(yes word | head -n 2000 | tr '\n' ' ')"; } >t.csv
    for command in "dedup t.csv" "link t.csv t.csv" "embed t.csv"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$LINKCTL" $command -m tiny -o out.jsonl
        [ "$status" -eq 0 ]
        [[ "$stderr" =~ [12]\ rows?\ without\ text,\ [12]\ texts?\ cut ]]
    done
    run --separate-stderr "$LINKCTL" dedup t.csv -m tiny -o out.csv
    [[ "$stderr" == *"2 rows: 2 entities, 0 pairs"* ]]
}

@test "--pairs writes the pairs inside entities" {
    people_make
    "$LINKCTL" dedup people.csv --on name -m tiny --min-score 0.95 -o e.csv -q --pairs p.csv
    [ "$(cat p.csv)" = "$(printf 'left_id,right_id,score,probability\na,c,1.000000,')" ]
}

@test "a chain is one entity for components and more for complete linkage" {
    printf 'id,name\n1,aaaaaaaaaa\n2,aaaaabbbbb\n3,bbbbbbbbbb\n' >chain.csv
    # neighbours in the chain are closer than its ends
    "$LINKCTL" dedup chain.csv -m tiny --min-score -1 -q -o all.csv --pairs all_pairs.csv
    threshold=$(python3 - <<'END'
import csv
score = {(r["left_id"], r["right_id"]): float(r["score"])
         for r in csv.DictReader(open("all_pairs.csv"))}
ends, links = score["1", "3"], min(score["1", "2"], score["2", "3"])
assert ends < links, score
print((ends + links) / 2)
END
)
    entities() {
        "$LINKCTL" dedup chain.csv -m tiny --min-score "$threshold" -q --cluster "$1" |
            tail -n +2 | cut -d, -f3 | sort -u | wc -l
    }
    [ "$(entities components)" -eq 1 ]
    [ "$(entities complete)" -eq 2 ]
}

@test "JSON lines go in and out with their values as they were" {
    printf '{"id": 7, "name": "alpha beta", "ok": true}\n{"id": 8, "name": "alpha beta"}\n' >in.jsonl
    "$LINKCTL" dedup in.jsonl --on name -m tiny -q -o out.jsonl
    [ "$(sed -n 1p out.jsonl)" = '{"id": 7, "name": "alpha beta", "ok": true, "entity_id": 1}' ]
    [ "$(sed -n 2p out.jsonl)" = '{"id": 8, "name": "alpha beta", "entity_id": 1}' ]
}

@test "a table that has an entity_id already is refused with advice" {
    printf 'id,name,entity_id\n1,a,1\n' >e.csv
    refused 1 'e.csv has a column "entity_id" already' \
        "$LINKCTL" dedup e.csv -m tiny -q -o out.csv
    [ "${stderr_lines[1]}" = "hint: rename it: dedup writes a column of that name" ]
}

@test "eval of entities tells pairs and B-cubed" {
    printf 'id,entity_id\n1,1\n2,1\n3,2\n4,3\n' >result.csv
    printf 'id,entity_id\n1,x\n2,x\n3,x\n4,y\n' >truth.csv
    run --separate-stderr "$LINKCTL" eval result.csv truth.csv
    [ "$status" -eq 0 ]
    [[ "${lines[1]}" =~ ^pairs\ +1.0000\ +0.3333\ +0.5000\ +1\ +3\ +1$ ]]
    # recall of the rows: 2/3, 2/3, 1/3, 1
    [[ "${lines[2]}" =~ ^B-cubed\ +1.0000\ +0.6667\ +0.8000$ ]]
    [ "${lines[3]}" = "4 rows in 3 entities; the truth has 2" ]
}

@test "eval takes the ids from the columns that --id and --truth-id name" {
    printf 'row,person,entity_id\n1,a,1\n2,b,1\n3,c,2\n' >e.csv
    printf 'n,who,entity_id\n7,c,8\n8,b,9\n9,a,9\n' >truth.csv
    run --separate-stderr "$LINKCTL" eval e.csv truth.csv --id person \
        --truth-id who --json
    [ "$status" -eq 0 ]
    python3 -c 'import json, sys; assert json.loads(sys.argv[1])["pairs"]["f1"] == 1' "$output"
    run --separate-stderr "$LINKCTL" eval e.csv truth.csv
    [ "$status" -eq 1 ]
}

@test "the bytes are the same for one and two threads" {
    people_make
    "$LINKCTL" dedup people.csv -m tiny --min-score 0.5 -q --threads 1 -o one.csv
    "$LINKCTL" dedup people.csv -m tiny --min-score 0.5 -q --threads 2 -o two.csv
    cmp one.csv two.csv
}

# copies_make N: N firms, each three times: as two registers have it, which have
# no duplicates themselves, and once more from nowhere
copies_make() {
    local i word
    echo "id,name,town,register"
    for i in $(seq 1 "$1"); do
        word=$(printf '%03d' $((i * 37 % 1000)) | tr 0-9 bdfgklmnrs)
        word+=$(printf '%03d' $((i * 71 % 1000)) | tr 0-9 aeioutvwxz)
        echo "a$i,$word trading company,town$((i % 7)),north"
        echo "b$i,$word tradin company,town$((i % 7)),south"
        echo "c$i,$word trading co,Town$((i % 7)),"
    done
}

# sizes FILE: how many entities have how many rows, as "2x3 1x1"
sizes() {
    tail -n +2 "$1" | sed 's/.*,//' | sort | uniq -c | awk '{print $1}' |
        sort -rn | uniq -c | awk '{printf "%s%dx%d", (NR > 1 ? " " : ""), $1, $2}'
}

@test "every clustering finds what is plain" {
    copies_make 40 >firms.csv
    for how in average complete components centre; do
        "$LINKCTL" dedup firms.csv --on name,town --model none -q \
            --cluster $how -o "$how.csv"
        [ "$(sizes $how.csv)" = 40x3 ]
        [ "$(jq -r .options.cluster $how.csv.manifest.json)" = $how ]
    done
    "$LINKCTL" dedup firms.csv --on name,town --model none -q -o default.csv
    cmp default.csv average.csv
    [ "$(jq -r .options.cluster default.csv.manifest.json)" = average ]
    "$LINKCTL" dedup firms.csv --on name,town -m tiny --min-score 0.9 -q \
        -o scored.csv
    [ "$(jq -r .options.cluster scored.csv.manifest.json)" = complete ]
}

@test "entities grow no further than --max-size and --one-per allow" {
    copies_make 40 >firms.csv
    "$LINKCTL" dedup firms.csv --on name,town --model none -q --max-size 2 \
        -o two.csv
    [ "$(sizes two.csv)" = "40x2 40x1" ]
    # the third row is of no register, so all three may be together
    "$LINKCTL" dedup firms.csv --on name,town --model none -q \
        --one-per register -o register.csv
    [ "$(sizes register.csv)" = 40x3 ]
    sed 's/,$/,south/' firms.csv >full.csv
    "$LINKCTL" dedup full.csv --on name,town --model none -q \
        --one-per register -o full_out.csv
    run ! sh -c "cut -d, -f4,5 full_out.csv | sort | uniq -d | grep ."
    [[ "$(sizes full_out.csv)" == *x2* ]]
}

@test "--weak tells how entities hold together, the weakest first" {
    copies_make 40 >firms.csv
    "$LINKCTL" dedup firms.csv --on name,town --model none -q -o out.csv \
        --weak weak.csv --pairs pairs.csv
    [ "$(head -1 weak.csv)" = \
        "entity_id,rows,compared,links,bridges,left_id,right_id,probability,smaller,mean_probability" ]
    [ "$(wc -l <weak.csv)" -eq 41 ]
    python3 - <<'END'
import csv
weak = list(csv.DictReader(open("weak.csv")))
order = [float(w["probability"]) for w in weak]
assert order == sorted(order), order
probability = {(r["left_id"], r["right_id"]): r["probability"]
               for r in csv.DictReader(open("pairs.csv"))}
entity = {r["id"]: r["entity_id"] for r in csv.DictReader(open("out.csv"))}
for w in weak:
    assert w["rows"] == "3" and w["links"] == w["compared"] == "3", w
    assert w["bridges"] == "0" and w["smaller"] == "1", w
    assert probability[w["left_id"], w["right_id"]] == w["probability"], w
    assert entity[w["left_id"]] == w["entity_id"], w
    inside = [float(p) for (a, b), p in probability.items()
              if entity[a] == w["entity_id"]]
    assert abs(sum(inside) / 3 - float(w["mean_probability"])) < 2e-6, w
END
}

@test "options that need probabilities are refused with a score" {
    people_make
    refused 2 "--min-score excludes --weak" "$LINKCTL" dedup people.csv \
        -m tiny --min-score 0.5 --weak w.csv
    refused 2 "--min-score excludes --max-size" "$LINKCTL" dedup people.csv \
        -m tiny --min-score 0.5 --max-size 3
    refused 2 "--min-score excludes --one-per" "$LINKCTL" dedup people.csv \
        -m tiny --min-score 0.5 --one-per name
    refused 2 "--weak and --output are the same file" "$LINKCTL" dedup \
        people.csv -m tiny --weak o.csv -o o.csv
    refused 2 'no column "nothing"' "$LINKCTL" dedup people.csv \
        --model none --one-per nothing -o o.csv
}

@test "one row an entity is kept, and the others are told apart" {
    printf 'id,name,city,phone\na,alpha trading,,1\nb,quentin 77,oslo,\nc,alpha trading,paris,1\nd,alpha trading,,\n' >t.csv
    "$LINKCTL" dedup t.csv --on name -m tiny --min-score 0.99 -q -o all.csv \
        --keep kept.csv --dropped dropped.csv
    [ "$(cat kept.csv)" = 'id,name,city,phone,entity_id
b,quentin 77,oslo,,2
c,alpha trading,paris,1,1' ]
    [ "$(cat dropped.csv)" = 'id,kept_id,entity_id
a,c,1
d,c,1' ]
    "$LINKCTL" dedup t.csv --on name -m tiny --min-score 0.99 -q -o all.csv \
        --keep kept.csv --keep-by first
    [ "$(cut -d, -f1 kept.csv | tr '\n' ' ')" = "id a b " ]
    # by probability, too, and a table of strangers is kept whole
    "$LINKCTL" dedup t.csv --on name,phone --model none -q -o all.csv --keep kept.csv --dropped dropped.jsonl
    [ $(($(tail -n +2 kept.csv | wc -l) + $(wc -l <dropped.jsonl))) -eq 4 ]
    refused 2 "--keep-by needs --keep or --dropped" \
        "$LINKCTL" dedup t.csv --model none -q --keep-by first -o x.csv
    refused 2 "--keep is a file that is written already" \
        "$LINKCTL" dedup t.csv --model none -q -o x.csv --keep x.csv
    refused 2 "--dropped is a file that is written already" \
        "$LINKCTL" dedup t.csv --model none -q -o x.csv --keep y.csv --dropped y.csv
}
