#!/usr/bin/env bats
# linkctl score: given pairs, all pairs, and two columns of each row.
load helpers

setup_file() {
    model_make
}

@test "given pairs come back in their order with score and probability" {
    twins 40
    cat >pairs.csv <<'END'
who,right_id,left_id,match
ann,r7,7,1
bob,r8,7,0
ann,r3,3,
END
    run --separate-stderr "$LINKCTL" score left.csv right.csv pairs.csv \
        --model none -o scored.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"3 pairs scored"* ]]
    [[ "$stderr" == *"one-to-one: "* ]]
    [ "$(head -1 scored.csv)" = "left_id,right_id,score,probability,who,match" ]
    [ "$(tail -n +2 scored.csv | cut -d, -f1,2,5,6)" = $'7,r7,ann,1\n7,r8,bob,0\n3,r3,ann,' ]
    # likely or not: what link would have dropped has a probability, too
    awk -F, 'NR == 2 && $4 < 0.9 || NR == 3 && $4 > 0.1 { exit 1 }' scored.csv
    [ -f scored.csv.manifest.json ]
}

@test "the probabilities are those of link" {
    twins 40
    "$LINKCTL" link left.csv right.csv --model none -q -o linked.csv
    "$LINKCTL" score left.csv right.csv linked.csv --model none -q -o scored.csv
    cmp linked.csv scored.csv
    [ "$(wc -l <scored.csv)" -gt 30 ]
}

@test "pairs of one table are scored in either order" {
    twins 30
    { cat left.csv; tail -n +2 right.csv; } >both.csv
    printf 'left_id,right_id\nr7,7\n7,r7\n7,8\n' >pairs.csv
    run --separate-stderr "$LINKCTL" score both.csv pairs.csv --model none -q
    [ "$status" -eq 0 ]
    [ "${lines[1]#r7,7,}" = "${lines[2]#7,r7,}" ]
    [[ "${lines[1]}" == "r7,7,0."* ]]
    [ "${#lines[@]}" -eq 4 ]
}

@test "cosines alone need no other rows" {
    tables_make
    printf 'left_id,right_id\n1,r2\n4,r4\n' >pairs.csv
    run --separate-stderr "$LINKCTL" score left.csv right.csv pairs.csv \
        -m tiny --on name --cosine -o scored.csv --json
    [ "$status" -eq 0 ]
    [ "$(head -1 scored.csv)" = "left_id,right_id,score" ]
    jq -e '.counts.scored == 2' <<<"$output"
    # the score is that of the run which compares everything
    "$LINKCTL" link left.csv right.csv -m tiny --on name --min-score -1 \
        --assign many-to-many -q -o all.csv
    while IFS= read -r line; do grep -q "^$line,$" all.csv; done \
        < <(tail -n +2 scored.csv)
}

@test "a row without text has no score, and is null in JSON lines" {
    printf 'id,name\n1,\n2,alpha\n' >left.csv
    printf 'left_id,right_id\n1,2\n' >pairs.csv
    "$LINKCTL" score left.csv pairs.csv -m tiny --on name --cosine -q -o out.jsonl
    [ "$(cat out.jsonl)" = '{"left_id": "1", "right_id": "2", "score": null}' ]
}

@test "every combination is scored, or those that are near" {
    tables_make
    "$LINKCTL" score left.csv right.csv --all -m tiny --on name -q -o all.csv
    [ "$(cut -d, -f1,2 all.csv | tr '\n' ' ')" = "left_id,right_id 1,r1 1,r2 1,r3 1,r4 2,r1 2,r2 2,r3 2,r4 3,r1 3,r2 3,r3 3,r4 4,r1 4,r2 4,r3 4,r4 " ]
    least=$(tail -n +2 all.csv | sort -t, -k3,3gr | sed -n 5p | cut -d, -f3)
    "$LINKCTL" score left.csv right.csv --all --min-score "$least" -m tiny \
        --on name -q -o near.csv
    awk -F, -v least="$least" 'NR == 1 || $3 >= least' all.csv | cmp - near.csv
    [ "$(wc -l <near.csv)" -ge 6 ]
}

# more near rows than any k: what is near is found, however much it is
@test "near pairs are all of them" {
    { echo id,name; for i in $(seq 1 60); do echo "$i,alpha trading"; done; } >a.csv
    "$LINKCTL" score a.csv a.csv --all --min-score 0.99 -m tiny -q -o near.csv
    [ "$(tail -n +2 near.csv | wc -l)" -eq 3600 ]
    "$LINKCTL" score a.csv --all --min-score 0.99 -m tiny -q -o near.csv
    [ "$(tail -n +2 near.csv | wc -l)" -eq $((60 * 59 / 2)) ]
}

@test "the nearest of each row come best first, and never more than there are" {
    tables_make
    "$LINKCTL" score left.csv right.csv --all -m tiny --on name -q -o all.csv
    { head -1 all.csv; tail -n +2 all.csv | sort -t, -k1,1 -k3,3gr -k2,2 |
        awk -F, '++n[$1] <= 2'; } >expected.csv
    "$LINKCTL" score left.csv right.csv --all -k 2 -m tiny --on name -q -o two.csv
    cmp two.csv expected.csv
    "$LINKCTL" score left.csv right.csv --all -k 99 -m tiny --on name -q -o most.csv
    sort all.csv >a
    sort most.csv >b
    cmp a b
}

@test "two columns of each row are compared" {
    cat >names.csv <<'END'
id,old,new
1,alpha trading,alpha trading
2,alpha trading,quentin 77
3,alpha trading,
END
    run --separate-stderr "$LINKCTL" score names.csv --left-on old --right-on new \
        -m tiny -q
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "id,old,new,score" ]
    [ "${lines[1]}" = "1,alpha trading,alpha trading,1.000000" ]
    [[ "${lines[2]}" == "2,alpha trading,quentin 77,"[0-]*.* ]]
    [ "${lines[3]}" = "3,alpha trading,," ]
}

@test "what makes no sense is refused" {
    tables_make
    printf 'left_id,right_id\n1,r2\n2,x9\n' >bad.csv
    printf 'left_id,right_id\n3,3\n' >self.csv
    refused 1 'bad.csv: row 2: right.csv has no row with id "x9"' \
        "$LINKCTL" score left.csv right.csv bad.csv --model none -q
    refused 1 'self.csv: row 1 pairs a record with itself' \
        "$LINKCTL" score left.csv self.csv --model none -q
    refused 1 'right.csv has no left_id and right_id' \
        "$LINKCTL" score left.csv right.csv right.csv --model none -q
    refused 2 "PAIRS are needed" "$LINKCTL" score left.csv -m tiny -q
    refused 2 "--all takes no PAIRS" \
        "$LINKCTL" score left.csv right.csv truth.csv --all -m tiny -q
    refused 2 "--min-score needs --all" \
        "$LINKCTL" score left.csv right.csv truth.csv --min-score 0.5 -m tiny -q
    refused 2 "cosines take no --k" \
        "$LINKCTL" score left.csv right.csv truth.csv --cosine --k 3 -m tiny -q
    refused 2 "cosines need a model" \
        "$LINKCTL" score left.csv right.csv --all --model none -q
    refused 2 "--left-on and --right-on need two tables" \
        "$LINKCTL" score left.csv truth.csv --left-on name --right-on city -m tiny -q
    refused 2 "--left-on needs --right-on" \
        "$LINKCTL" score left.csv --left-on name -m tiny -q
    printf 'id,a,b,score\n1,x,y,3\n' >scored.csv
    refused 1 'scored.csv has a column "score" already' \
        "$LINKCTL" score scored.csv --left-on a --right-on b -m tiny -q
}

@test "no pairs are no scores" {
    tables_make
    echo left_id,right_id >none.csv
    run --separate-stderr "$LINKCTL" score left.csv right.csv none.csv --cosine -m tiny -q
    [ "$status" -eq 0 ]
    [ "$output" = "left_id,right_id,score" ]
}

@test "the bytes are the same for one and two threads" {
    twins 200
    "$LINKCTL" link left.csv right.csv --model none -q -o pairs.csv
    for n in 1 2; do
        "$LINKCTL" score left.csv right.csv pairs.csv -m tiny -q -j "$n" -o "p$n.csv"
        "$LINKCTL" score left.csv right.csv --all -m tiny -q -j "$n" -o "a$n.csv"
    done
    cmp p1.csv p2.csv
    cmp a1.csv a2.csv
}
