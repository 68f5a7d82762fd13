#!/usr/bin/env bats
# Models from labels: train, and --pair-model of link, dedup, score, explain and
# review.
load helpers

setup_file() {
    model_make
}

# goods N FIRST: two tables of N rows, of which the odd ones have a partner of
# the same name that is not the same thing, being of another size
goods() {
    local n=$1 first=$2 i x y word sizes=(small medium large giant)
    local c=bdfgklmnrs v=aeioutvwxz
    echo "id,name,size" >left.csv
    echo "key,name,size" >right.csv
    for i in $(seq 1 "$n"); do
        x=$((i + first))
        y=$((x * 7919 % 10007))
        word=${c:y%10:1}${v:y/10%10:1}${c:y/100%10:1}${v:x%10:1}${c:x*3%10:1}
        echo "$i,$word${v:x/10%10:1}${c:x/7%10:1} apple juice,${sizes[x * 7 % 4]}" >>left.csv
        echo "r$i,$word${v:x/10%10:1}${c:x/7%10:1} aple juice,${sizes[(x * 7 + i % 2) % 4]}" \
            >>right.csv
    done
}

# answers FROM TO: labels.csv says that even ones are their partner
answers() {
    local i
    echo "left_id,right_id,match" >labels.csv
    for i in $(seq "$1" "$2"); do
        echo "$i,r$i,$(((i + 1) % 2))" >>labels.csv
    done
}

# truth N: truth.csv has the true pairs of N goods
truth() {
    echo "left_id,right_id" >truth.csv
    seq 2 2 "$1" | sed 's/.*/&,r&/' >>truth.csv
}

f1() {
    "$LINKCTL" eval "$1" truth.csv --json | jq .pairs.f1
}

# trained ENCODER [OPTION...]: model.json learns from 60 labels of 80 goods
trained() {
    goods 80 0
    answers 1 60
    "$LINKCTL" train left.csv right.csv --labels labels.csv -q -o model.json \
        --model "$@"
}

@test "what labels of some tables teach links others better" {
    goods 80 0
    answers 1 60
    run --separate-stderr "$LINKCTL" train left.csv right.csv \
        --labels labels.csv --model none -o model.json
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [[ "$stderr" == *"60 labels: 30 matches, 30 others"* ]]
    [[ "$stderr" == *"learned: "*" on "*" features"* ]]
    [[ "$stderr" == *"held-out labels: precision "*", recall "*", F1 "* ]]
    [[ "$stderr" == *"without learning: precision 0."*", recall "*", F1 "* ]]
    [[ "$stderr" == *", train "*" s"* ]]
    goods 90 500
    truth 90
    "$LINKCTL" link left.csv right.csv --model none -q -o before.csv
    run --separate-stderr "$LINKCTL" link left.csv right.csv --model none \
        --pair-model model.json -o after.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"labels: 30 matches, 30 others of the pair model: "* ]]
    jq -ne "$(f1 before.csv) < 0.8 and $(f1 after.csv) > 0.95"
    jq -e '.options."pair-model" == "model.json"' after.csv.manifest.json
}

@test "the same for one table" {
    goods 80 0
    answers 1 60
    { cat left.csv; tail -n +2 right.csv; } >all.csv
    "$LINKCTL" train all.csv --labels labels.csv --model none -q -o model.json
    jq -e '.command == "dedup"' model.json
    goods 90 500
    truth 90
    { cat left.csv; tail -n +2 right.csv; } >all.csv
    "$LINKCTL" dedup all.csv --model none -q -o e.csv -p before.csv
    "$LINKCTL" dedup all.csv --model none -q -o e.csv -p after.csv \
        --pair-model model.json
    jq -ne "$(f1 before.csv) < 0.8 and $(f1 after.csv) > 0.95"
    refused 1 "model.json was trained on one table, and cannot decide about two" \
        "$LINKCTL" link left.csv right.csv --model none -q -o out.csv \
        --pair-model model.json
}

@test "the model and its decisions are the same bytes each time, on 1 and 2 threads" {
    trained none -j 1
    cp model.json one.json
    trained none -j 2
    cmp one.json model.json
    goods 90 500
    for j in 1 2; do
        "$LINKCTL" link left.csv right.csv --model none -q -j "$j" \
            --pair-model model.json --explain "why$j.jsonl" -o "out$j.csv"
    done
    cmp out1.csv out2.csv
    cmp why1.jsonl why2.jsonl
}

@test "on its own tables the model says what its labels say" {
    trained none
    echo "left_id,right_id" >asked.csv
    seq 61 80 | sed 's/.*/&,r&/' >>asked.csv
    "$LINKCTL" score left.csv right.csv asked.csv --model none -q \
        --labels labels.csv -o labels_say.csv
    "$LINKCTL" score left.csv right.csv asked.csv --model none -q \
        --pair-model model.json -o model_says.csv
    cmp labels_say.csv model_says.csv
}

@test "an explanation adds up with a model, too" {
    trained none
    goods 90 500
    run --separate-stderr "$LINKCTL" explain left.csv right.csv 44 r44 \
        --model none -q --json --pair-model model.json
    [ "$status" -eq 0 ]
    jq -e '([.prior, .record, .competition, .fields[].log_odds] | add)
           - .log_odds | fabs < 0.001' <<<"$output"
    jq -e '.accepted' <<<"$output"
}

@test "a review starts from a model, until there are answers" {
    trained none
    goods 90 500
    rm labels.csv
    run --separate-stderr "$LINKCTL" review left.csv right.csv --model none \
        --labels labels.csv --pair-model model.json -n 5
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"of the pair model: "* ]]
    sed -i '2,$s/^\([^,]*,[^,]*\),/\1,1/' labels.csv
    run --separate-stderr "$LINKCTL" review left.csv right.csv --model none \
        --labels labels.csv --pair-model model.json -n 5
    [ "$status" -eq 0 ]
    [[ "$stderr" != *"of the pair model"* ]]
}

@test "a model of labels that taught nothing says so, and changes nothing" {
    twins 40
    printf 'left_id,right_id,match\n1,r1,1\n2,r3,0\n' >labels.csv
    run --separate-stderr "$LINKCTL" train left.csv right.csv \
        --labels labels.csv --model none -o model.json
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"too few labels to learn from: the model leaves the"* ]]
    jq -e '.learner == "none"' model.json
    for i in $(seq 1 30); do echo "$i,r$i,1"; echo "$i,r$((i + 1)),0"; done \
        >>labels.csv
    sed -i 2,3d labels.csv
    run --separate-stderr "$LINKCTL" train left.csv right.csv \
        --labels labels.csv --model none -o model.json
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"no model foretells the labels better: this one leaves"* ]]
    jq -e '.learner == "none"' model.json
    twins 50
    "$LINKCTL" link left.csv right.csv --model none -q -o without.csv
    "$LINKCTL" link left.csv right.csv --model none -q -o with.csv \
        --pair-model model.json
    cmp without.csv with.csv
}

@test "the manifest and --json tell what was learned" {
    trained none
    jq -e '.command == "train" and .learned.matches == 30
           and .learned.held_out.f1 > .learned.without_labels.f1
           and .counts.features > 10 and .seconds.train >= 0' \
        model.json.manifest.json
    run --separate-stderr "$LINKCTL" train left.csv right.csv \
        --labels labels.csv --model none -q --json -o model.json
    [ "$status" -eq 0 ]
    jq -e '.learned.learner != "none"' <<<"$output"
    run --separate-stderr "$LINKCTL" train left.csv right.csv \
        --labels labels.csv --model none -q
    [ "$status" -eq 0 ]
    [ "$output" = "$(cat model.json)" ]
}

@test "vectors are compared with those of the same encoder only" {
    trained tiny
    jq -e '.encoder | length == 32' model.json
    "$LINKCTL" link left.csv right.csv -m tiny -q --pair-model model.json \
        -o out.csv
    rm out.csv*
    refused 1 "model.json was trained with the encoder of fingerprint" \
        "$LINKCTL" link left.csv right.csv --model none -q -o out.csv \
        --pair-model model.json
    trained none
    refused 1 "model.json was trained without an encoder (--model none)" \
        "$LINKCTL" link left.csv right.csv -m tiny -q -o out.csv \
        --pair-model model.json
}

@test "a model that does not fit the tables is refused by file and column" {
    trained none
    local link=("$LINKCTL" link left.csv right.csv --model none -q -o out.csv)
    sed -i 1s/size/width/ right.csv
    refused 1 'model.json compares a column "size", and right.csv has none' \
        "${link[@]}" --pair-model model.json
    echo '{"format": "linkd-pair-model", "version": 7}' >new.json
    refused 1 "new.json is version 7, newest known is 1" "${link[@]}" \
        --pair-model new.json
    head -c 500 model.json >cut.json
    refused 1 "cut.json is not JSON: line " "${link[@]}" --pair-model cut.json
    : >empty.json
    refused 1 "empty.json is not JSON: line " "${link[@]}" \
        --pair-model empty.json
    refused 1 "left.csv is not JSON" "${link[@]}" --pair-model left.csv
    refused 1 "none.json" "${link[@]}" --pair-model none.json
}

@test "a model goes without what it decides itself" {
    trained none
    local with=(--pair-model model.json -q -o out.csv)
    refused 2 "--labels excludes --pair-model" "$LINKCTL" link left.csv \
        right.csv --labels labels.csv "${with[@]}"
    refused 2 "--labels excludes --pair-model" "$LINKCTL" dedup left.csv \
        --labels labels.csv "${with[@]}"
    refused 2 "--labels excludes --pair-model" "$LINKCTL" score left.csv \
        right.csv labels.csv --labels labels.csv "${with[@]}"
    refused 2 "--pair-model excludes --on" "$LINKCTL" link left.csv \
        right.csv --on name "${with[@]}"
    refused 2 "--pair-model excludes --left-on" "$LINKCTL" link left.csv \
        right.csv --left-on name --right-on name "${with[@]}"
    refused 2 "--min-score excludes --pair-model" "$LINKCTL" link left.csv \
        right.csv --min-score 0.5 "${with[@]}"
    refused 2 "cosines take no --pair-model" "$LINKCTL" score left.csv \
        right.csv --all -m tiny "${with[@]}"
    refused 2 "model.json" "$LINKCTL" link left.csv right.csv --model none -q \
        --pair-model model.json -o model.json
    refused 2 "train needs --labels" "$LINKCTL" train left.csv right.csv -q \
        -o out.json
    refused 2 "labels.csv" "$LINKCTL" train left.csv right.csv --model none -q \
        --labels labels.csv -o labels.csv
}
