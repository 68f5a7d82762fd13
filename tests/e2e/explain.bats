#!/usr/bin/env bats
# linkctl explain: why two rows are a pair, or are not.
load helpers

@test "the parts of a pair add up to the log-odds of its probability" {
    twins 40
    run --separate-stderr "$LINKCTL" explain left.csv right.csv 7 r7 \
        --model none -q --json
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$(jq -r '[.left_id, .right_id, .accepted] | join(" ")' <<<"$output")" \
        = "7 r7 true" ]
    jq -e '([.prior, .record, .competition, .fields[].log_odds] | add)
           - .log_odds | fabs < 0.001' <<<"$output"
    jq -e '.probability > .threshold' <<<"$output"
    jq -e '[.fields[].field] == ["name", "city"]' <<<"$output"
    jq -e '.fields[0].similar[0] | .left == "trading" and .right == "tradin"' \
        <<<"$output"
    jq -e '.fields[1].agree == ["town0"]' <<<"$output"
}

@test "a pair that no channel proposes is explained all the same" {
    twins 40
    run --separate-stderr "$LINKCTL" explain left.csv right.csv 7 r8 \
        --model none -q --json
    [ "$status" -eq 0 ]
    jq -e '.accepted == false and .probability < 0.5' <<<"$output"
    # 7 belongs to r7, and that is why
    jq -e '.runners_up.left.id == "r7" and .runners_up.left.margin < 0' \
        <<<"$output"
    jq -e '.runners_up.right.id == "8"' <<<"$output"
}

@test "people get a table, the words and who is next" {
    twins 40
    run --separate-stderr "$LINKCTL" explain left.csv right.csv 7 r7 \
        --model none -q
    [ "$status" -eq 0 ]
    [[ "${lines[0]}" == "7 ~ r7: probability 0.9"*", accepted" ]]
    [[ "$output" == *"PART "*"LOG-ODDS  LEFT "*"RIGHT"* ]]
    [[ "$output" == *"city: agree town0"* ]]
    [[ "$output" == *"trading ~ tradin (0."* ]]
    [[ "$output" == *"left 7: "* ]]
    [[ "$output" == *"right r7: "* ]]
}

@test "two rows of one table are explained in either order" {
    twins 30
    { cat left.csv; tail -n +2 right.csv; } >both.csv
    "$LINKCTL" explain both.csv 7 r7 --model none -q --json >one
    "$LINKCTL" explain both.csv r7 7 --model none -q --json >other
    cmp one other
    jq -e '.left_id == "7" and .right_id == "r7"' one
}

@test "the picture holds foreign text as text" {
    twins 30
    sed -i 's/^id,name,city/id,"<script>alert(1)<\/script>",city/' left.csv
    "$LINKCTL" explain left.csv right.csv 7 r7 --model none -q \
        --left-on '<script>alert(1)</script>' --right-on name --svg why.svg
    [[ "$(head -c 4 why.svg)" == "<svg" ]]
    run ! grep -q '<script' why.svg
    grep -q '&lt;script&gt;' why.svg
    [ "$(grep -c '<rect' why.svg)" -eq 6 ] # the ground, four parts, the total
    python3 -c 'import xml.dom.minidom; xml.dom.minidom.parse("why.svg")'
}

@test "it says the same on one thread and on two" {
    twins 40
    "$LINKCTL" explain left.csv right.csv 3 r3 --model none -q -j 1 >one
    "$LINKCTL" explain left.csv right.csv 3 r3 --model none -q -j 2 >two
    cmp one two
}

@test "wrong usage is refused" {
    twins 5
    refused 2 'left.csv has no row with id "99"' \
        "$LINKCTL" explain left.csv right.csv 99 r1 --model none -q
    refused 2 'right.csv has no row with id "1"' \
        "$LINKCTL" explain left.csv right.csv 1 1 --model none -q
    refused 2 'both ids are of the same row' \
        "$LINKCTL" explain left.csv 1 1 --model none -q
    refused 2 '--left-on and --right-on need two tables' \
        "$LINKCTL" explain left.csv 1 2 --left-on name --right-on name
    refused 2 '--on excludes --left-on' "$LINKCTL" explain left.csv right.csv \
        1 r1 --on name --left-on name
    refused 2 '--left-block needs --right-block' "$LINKCTL" explain left.csv \
        right.csv 1 r1 --left-block city
    refused 2 'RIGHT' "$LINKCTL" explain left.csv
}
