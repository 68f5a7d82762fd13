#!/usr/bin/env bats
# linkctl review: questions in a file of labels, or in the terminal.
load helpers

@test "questions are added with both rows, answers and own columns are kept" {
    twins 40
    run --separate-stderr "$LINKCTL" review left.csv right.csv --model none \
        --labels labels.csv -n 4
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"pairs to answer in labels.csv"* ]]
    [ "$(head -n 1 labels.csv)" = \
        left_id,right_id,match,probability,name_x,name_y,city_x,city_y ]
    [ "$(wc -l <labels.csv)" -eq 5 ]
    # one is answered, one is not worth an answer, and somebody takes notes
    python3 - <<'END'
import csv
rows = list(csv.DictReader(open("labels.csv")))
assert all(r["match"] == "" and r["name_x"] and r["name_y"] for r in rows)
rows[0]["match"] = "1"
rows[1]["match"] = "?"
with open("labels.csv", "w", newline="") as file:
    out = csv.DictWriter(file, ["note", *rows[0]])
    out.writeheader()
    out.writerows({"note": "n%d" % i, **r} for i, r in enumerate(rows))
END
    head -n 5 labels.csv | tr -d '\r' >before.csv
    "$LINKCTL" review left.csv right.csv --model none -q --labels labels.csv \
        -n 4
    head -n 5 labels.csv | cmp - before.csv
    # two still wait, so two are new, and no pair comes twice
    [ "$(wc -l <labels.csv)" -eq 7 ]
    [ "$(cut -d , -f 2,3 labels.csv | sort -u | wc -l)" -eq 7 ]
    "$LINKCTL" link left.csv right.csv --model none -q --labels labels.csv \
        -o pairs.csv
}

@test "matches alone stay matches when questions come to them" {
    twins 40
    printf 'left_id,right_id\n1,r1\n2,r2\n' >labels.csv
    "$LINKCTL" review left.csv right.csv --model none -q --labels labels.csv \
        -n 3
    [ "$(sed -n 2p labels.csv | cut -d , -f 1-3)" = 1,r1,1 ]
    [ "$(wc -l <labels.csv)" -eq 6 ]
    [ "$(grep -c -E '^[0-9]+,r[0-9]+,,' labels.csv)" -eq 3 ]
}

@test "--ask takes answers one by one, and each is kept at once" {
    twins 40
    run --separate-stderr "$LINKCTL" review left.csv right.csv --model none -q \
        --labels labels.jsonl -n 5 --ask <<<$'perhaps\ny\nn\n?\nq'
    [ "$status" -eq 0 ]
    [[ "$output" == *"1 of 5, probability "*"< name: "*"> name: "* ]]
    [ "$(jq -r .match labels.jsonl | tr '\n' ' ')" = "1 0 ? " ]
    # the end of the answers is an end, too
    run --separate-stderr "$LINKCTL" review left.csv right.csv --model none -q \
        --labels labels.jsonl -n 5 --ask <<<"y"
    [ "$status" -eq 0 ]
    [ "$(jq -r .match labels.jsonl | tr '\n' ' ')" = "1 0 ? 1 " ]
}

@test "an answer takes the place of the question that waited in the file" {
    twins 40
    "$LINKCTL" review left.csv right.csv --model none -q --labels labels.csv \
        -n 2
    run --separate-stderr "$LINKCTL" review left.csv right.csv --model none -q \
        --labels labels.csv -n 2 --ask <<<$'n\ny\nq'
    [ "$status" -eq 0 ]
    [ "$(wc -l <labels.csv)" -eq 3 ]
    [ "$(tail -n +2 labels.csv | cut -d , -f 3 | sort | tr '\n' ' ')" = "0 1 " ]
}

@test "the questions of one table are about pairs of its rows" {
    twins 30
    { cat left.csv; tail -n +2 right.csv; } >all.csv
    "$LINKCTL" review all.csv --model none -q --labels labels.csv -n 6
    [ "$(wc -l <labels.csv)" -eq 7 ]
    "$LINKCTL" dedup all.csv --model none -q --labels labels.csv -o out.csv
}

@test "review needs a file of labels that is no table, and a keyboard to ask" {
    twins 5
    refused 2 "review needs --labels" "$LINKCTL" review left.csv right.csv
    refused 2 "--ask needs standard input" "$LINKCTL" review - right.csv \
        --labels l.csv --ask --model none
    printf 'id,left_id,right_id\n1,1,r1\n' >left.csv
    refused 2 "left.csv" "$LINKCTL" review left.csv right.csv --labels left.csv \
        --model none -q
}
