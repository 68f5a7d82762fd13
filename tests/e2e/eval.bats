#!/usr/bin/env bats
# linkctl eval --candidates, and --channels wherever candidates are proposed.
load helpers

setup_file() {
    model_make
}

# recall OPTION...: of the tables of tables_make, as JSON
recall() {
    run --separate-stderr "$LINKCTL" eval --candidates left.csv right.csv \
        truth.csv -q --json "$@"
    echo "$stderr"
    [ "$status" -eq 0 ]
}

@test "true pairs among the candidates are counted by channel, rank and order" {
    tables_make
    recall --model none --first 3
    jq -e '.truth == 3 and .united.found == 3 and .united.recall == 1' \
        <<<"$output"
    [ "$(jq -r '[.channels[].channel] | join(" ")' <<<"$output")" \
        = "lexical words fields" ]
    # eight rows; the last channel is united with all, so with everything
    jq -e '.united.per_row == .united.candidates / 8' <<<"$output"
    jq -e '.channels[-1].united.candidates == .united.candidates' <<<"$output"
    jq -e '.best_of_a_row[0] | .k == 1 and .found == 3' <<<"$output"
    jq -e '[.in_order[] | select(.recall == 0.99).candidates] == [3]' \
        <<<"$output"
    jq -e '.first == {candidates: 3, per_row: 0.375, found: 3, recall: 1}' \
        <<<"$output"
}

@test "people get a line and three tables" {
    tables_make
    run --separate-stderr "$LINKCTL" eval --candidates left.csv right.csv \
        truth.csv --model none -q --first 2
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == *" candidates, "*" a row: 3 of 3 true pairs, recall 1.0000" ]]
    [[ "$output" == *"CHANNEL "*"UNITED"* ]]
    [[ "$output" == *"BEST OF A ROW "* ]]
    [[ "$output" == *"RECALL IN ORDER "* ]]
    [ "${lines[-1]}" = "the first 2: recall 0.6667" ]
}

@test "a pair that is no candidate, or of rows that are not there, is missed" {
    tables_make
    printf '4,r1\n9,r9\n' >>truth.csv
    recall --model none --channels words
    jq -e '.truth == 5 and .united.found == 3 and .united.recall == 0.6' \
        <<<"$output"
    jq -e '[.in_order[].recall] == [0.5]' <<<"$output"
}

@test "one table is compared with itself, its truth being entities" {
    printf 'id,name\na,red pump\nb,red pumps\nc,blue valve\n' >all.csv
    printf 'id,entity_id\na,1\nb,1\nc,2\n' >entities.csv
    run --separate-stderr "$LINKCTL" eval --candidates all.csv entities.csv \
        --model none -q --json
    [ "$status" -eq 0 ]
    jq -e '.truth == 1 and .united.found == 1' <<<"$output"
}

@test "the channel dense comes with the model, and can be switched off" {
    tables_make
    recall --model tiny
    [ "$(jq -r '.channels[0].channel' <<<"$output")" = dense ]
    jq -e '.channels[0].candidates > 0' <<<"$output"
    recall --model tiny --channels lexical
    [ "$(jq -r '[.channels[].channel] | join(" ")' <<<"$output")" = lexical ]
}

@test "link and dedup take candidates from the channels that are named" {
    tables_make
    "$LINKCTL" link left.csv right.csv --model tiny --channels words -q \
        -o pairs.csv
    jq -e '.counts | .candidates_words > 0 and .candidates_dense == 0 and
           .candidates_lexical == 0 and .candidates_fields == 0' \
        pairs.csv.manifest.json
    "$LINKCTL" dedup left.csv --model tiny --channels lexical,dense -q \
        -o entities.csv
    jq -e '.counts | .candidates_dense > 0 and .candidates_lexical > 0 and
           .candidates_words == 0 and .candidates_fields == 0' \
        entities.csv.manifest.json
}

@test "explain knows of the channels, too" {
    tables_make
    "$LINKCTL" explain left.csv right.csv 1 r2 --model none -q --json \
        --channels words >words
    "$LINKCTL" explain left.csv right.csv 1 r2 --model none -q --json >all
    jq -e '.channels == ["words", "asked"]' words
    jq -e '.channels == ["lexical", "words", "fields", "asked"]' all
}

@test "options that say nothing are refused" {
    tables_make
    refused 2 'no "grams", only dense' \
        "$LINKCTL" link left.csv right.csv --model none --channels grams
    refused 2 "dense needs a model" \
        "$LINKCTL" dedup left.csv --model none --channels dense,words
    refused 2 "excludes --channels" \
        "$LINKCTL" dedup left.csv --min-score 0.5 --channels words
    refused 2 "names words twice" "$LINKCTL" explain left.csv right.csv 1 r2 \
        --model none --channels words,words
    refused 2 "--k says nothing without --candidates" \
        "$LINKCTL" eval left.csv truth.csv --k 3
    refused 2 "--truth-id says nothing with --candidates" \
        "$LINKCTL" eval --candidates left.csv truth.csv --truth-id x
    refused 2 "two tables only with --candidates" \
        "$LINKCTL" eval left.csv right.csv truth.csv
    refused 2 "need two tables" "$LINKCTL" eval --candidates left.csv \
        truth.csv --left-id id
}
