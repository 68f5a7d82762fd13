#!/usr/bin/env bats
# Answered pairs: --labels of link, dedup, explain and score.
load helpers

# answers FROM TO: labels.csv says that i is ri, and not r(i+1)
answers() {
    local i
    echo "left_id,right_id,match" >labels.csv
    for i in $(seq "$1" "$2"); do
        printf '%d,r%d,1\n%d,r%d,no\n' "$i" "$i" "$i" $((i + 1)) >>labels.csv
    done
}

@test "what was answered is so, and the summary tells what labels were for" {
    twins 40
    printf 'left_id,right_id,match\n7,r7,0\n7,r9,yes\n8,r8,\n9,r9,?\n' \
        >labels.csv
    run --separate-stderr "$LINKCTL" link left.csv right.csv --model none \
        --labels labels.csv -o pairs.csv --json
    [ "$status" -eq 0 ]
    jq -e '.verdict.learned | startswith("1 matches, 1 others: too few")' \
        <<<"$output"
    jq -e '.options.labels == "labels.csv"' <<<"$output"
    [ "$(grep -c '^7,' pairs.csv)" -eq 1 ]
    grep -q '^7,r9,.*,1.000000$' pairs.csv
    grep -q '^8,r8,' pairs.csv
    [ "$(grep -c ',r9,' pairs.csv)" -eq 1 ]
}

@test "many labels are learned from, alone or with other columns, as JSON lines" {
    twins 60
    answers 1 30
    run --separate-stderr "$LINKCTL" link left.csv right.csv --model none \
        --labels labels.csv -o pairs.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"labels: 30 matches, 30 others: "*"log-loss"* ]]
    [ "$(wc -l <pairs.csv)" -eq 61 ]
    tail -n +2 labels.csv | awk -F, '$3 == 1 {
        printf "{\"note\": null, \"left_id\": %s, \"right_id\": \"%s\"}\n", $1, $2 }' \
        >matches.jsonl
    run --separate-stderr "$LINKCTL" link left.csv right.csv --model none \
        --labels matches.jsonl -o pairs.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"labels: 30 matches, 0 others: "* ]]
    [ "$(wc -l <pairs.csv)" -eq 61 ]
}

@test "the same labels decide the same on one thread and on two" {
    twins 60
    answers 1 30
    "$LINKCTL" link left.csv right.csv --model none --labels labels.csv -q \
        -j 1 --explain why1.jsonl -o one.csv
    "$LINKCTL" link left.csv right.csv --model none --labels labels.csv -q \
        -j 2 --explain why2.jsonl -o two.csv
    cmp one.csv two.csv
    cmp why1.jsonl why2.jsonl
}

@test "an explanation adds up with labels, too" {
    twins 60
    answers 1 30
    run --separate-stderr "$LINKCTL" explain left.csv right.csv 45 r45 \
        --model none -q --json --labels labels.csv
    [ "$status" -eq 0 ]
    jq -e '([.prior, .record, .competition, .fields[].log_odds] | add)
           - .log_odds | fabs < 0.001' <<<"$output"
    jq -e '.accepted' <<<"$output"
}

@test "dedup takes two ids of its table, in either order" {
    twins 40
    { cat left.csv; tail -n +2 right.csv; } >all.csv
    "$LINKCTL" dedup all.csv --model none -q -o before.csv -p pairs.csv
    grep -q '^7,r7,' pairs.csv
    printf 'left_id,right_id,match\nr7,7,0\n9,r8,1\n' >labels.csv
    run --separate-stderr "$LINKCTL" dedup all.csv --model none \
        --labels labels.csv -o after.csv -p pairs.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"labels: 1 matches, 1 others: "* ]]
    run grep -c '^7,r7,' pairs.csv
    [ "$output" = 0 ]
    [ "$(grep -E '^(9|r8),' after.csv | cut -d , -f 4 | uniq | wc -l)" -eq 1 ]
}

@test "score gives probabilities that were learned from labels" {
    twins 60
    answers 1 30
    printf 'left_id,right_id\n45,r45\n45,r46\n' >asked.csv
    run --separate-stderr "$LINKCTL" score left.csv right.csv asked.csv \
        --model none -q --labels labels.csv
    [ "$status" -eq 0 ]
    [[ "${lines[1]}" == 45,r45,*,0.9* ]]
    [[ "${lines[2]}" == 45,r46,*,0.0* ]]
}

@test "labels that make no sense are refused by file, row and column" {
    twins 5
    local link=("$LINKCTL" link left.csv right.csv --model none -q -o out.csv)
    printf 'left_id,right,match\n1,r1,1\n' >l.csv
    refused 1 "l.csv has no column right_id" "${link[@]}" --labels l.csv
    printf 'left_id,right_id,match\n1,r1,1\n99,r1,1\n' >l.csv
    refused 1 'l.csv: row 2, left_id: left.csv has no row with id "99"' \
        "${link[@]}" --labels l.csv
    printf 'left_id,right_id,match\n1,x,1\n' >l.csv
    refused 1 'l.csv: row 1, right_id: right.csv has no row with id "x"' \
        "${link[@]}" --labels l.csv
    printf 'left_id,right_id,match\n1,r1,maybe\n' >l.csv
    refused 1 'l.csv: row 1, match: "maybe" is neither' "${link[@]}" \
        --labels l.csv
    printf 'left_id,right_id,match\n1,r1,1\n1,r2,0\n1,r1,0\n' >l.csv
    refused 1 "l.csv: row 1, match: row 3 says no of the same pair" \
        "${link[@]}" --labels l.csv
    printf 'left_id,right_id,match\n3,3,1\n' >l.csv
    refused 1 "l.csv: row 1 pairs a row with itself" "$LINKCTL" dedup left.csv \
        --model none -q -o out.csv --labels l.csv
    refused 1 "none.csv" "${link[@]}" --labels none.csv
}

@test "labels are not written over, and go with probabilities only" {
    twins 5
    printf 'left_id,right_id,match\n1,r1,1\n' >labels.csv
    refused 2 "labels.csv" "$LINKCTL" link left.csv right.csv --model none -q \
        --labels labels.csv -o labels.csv
    refused 2 "--min-score excludes --labels" "$LINKCTL" link left.csv \
        right.csv --min-score 0.5 --labels labels.csv -q -o out.csv
}
