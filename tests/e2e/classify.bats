#!/usr/bin/env bats
# linkctl classify: labels for rows, learned from rows that have them.
load helpers

setup_file() {
    model_make
}

# examples_make N: N rows of each of three kinds, and a table to be labelled
examples_make() {
    local i
    echo "id,text,kind" >examples.csv
    for i in $(seq 1 "$1"); do
        echo "b$i,brown bread bakery $((i % 5)),food"
        echo "t$i,tiny toy train $((i % 7)),toy"
        echo "m$i,motor machine mill $((i % 6)),works"
    done >>examples.csv
    echo "x1,quite unlike," >>examples.csv
    cat >rows.csv <<'END'
id,text,note
1,brown bread,"kept, as it is"
2,tiny toys,
3,,
4,motor mill,x
END
}

@test "rows come back with class and confidence" {
    examples_make 6
    for method in nearest linear; do
        run --separate-stderr "$LINKCTL" classify rows.csv -e examples.csv \
            -l kind --on text -m tiny --method $method -o out.csv
        [ "$status" -eq 0 ]
        [ "$(head -1 out.csv)" = "id,text,note,class,confidence" ]
        [ "$(tail -n +2 out.csv | sed 's/,[0-9.]*$//')" = '1,brown bread,"kept, as it is",food
2,tiny toys,,toy
3,,,
4,motor mill,x,works' ]
        awk -F, 'NR > 1 && $NF != "" && ($NF <= 0.4 || $NF > 1) { exit 1 }' out.csv
        [[ "$stderr" == *"4 rows, 18 examples of 3 labels: 1 row without a label"* ]]
        [[ "$stderr" == *"held out: 100.0 % of 18 examples right; the most frequent label alone would be in 33.3 %"* ]]
    done
    [ -f out.csv.manifest.json ]
}

@test "a label that is not sure enough is left out" {
    examples_make 6
    "$LINKCTL" classify rows.csv -e examples.csv -l kind --on text -m tiny \
        --method linear -q -o all.jsonl
    sure=$(jq -r .confidence all.jsonl | sort -g | tail -1)
    run --separate-stderr "$LINKCTL" classify rows.csv -e examples.csv -l kind \
        --on text -m tiny --method linear --threshold "$sure" --json -o some.jsonl
    [ "$status" -eq 0 ]
    jq -e '.counts.rows_without_label == 3 and .counts.rows_without_text == 1
           and .counts.checked == 18' <<<"$output"
    [ "$(jq -r 'select(.class != null) | .confidence' some.jsonl)" = "$sure" ]
    [ "$(sed -n 3p some.jsonl)" = '{"id": "3", "text": "", "note": "", "class": null, "confidence": null}' ]
    # the others keep what they were given, for whoever sets another threshold
    [ "$(jq -r .confidence all.jsonl)" = "$(jq -r .confidence some.jsonl)" ]
}

@test "columns pair by themselves, but never with the labels" {
    examples_make 4
    sed -i '1s/note/kind/' rows.csv
    run --separate-stderr "$LINKCTL" classify rows.csv -e examples.csv -l kind \
        -m tiny --json -o out.csv
    [ "$status" -eq 0 ]
    jq -e '[.columns[].left] == ["text"]' <<<"$output"
}

@test "the columns may be named differently" {
    examples_make 4
    sed -i '1s/text/words/' rows.csv
    "$LINKCTL" classify rows.csv -e examples.csv -l kind --left-on words \
        --right-on text -m tiny -q -o out.csv
    [ "$(sed -n 2p out.csv | cut -d, -f5)" = food ]
}

@test "what makes no sense is refused" {
    examples_make 2
    refused 2 "--examples is needed" "$LINKCTL" classify rows.csv -l kind -m tiny
    refused 2 "--label is needed" "$LINKCTL" classify rows.csv -e examples.csv -m tiny
    refused 2 "--k says nothing without --method nearest" \
        "$LINKCTL" classify rows.csv -e examples.csv -l kind -m tiny --method linear -k 3
    refused 2 "labels need a model" \
        "$LINKCTL" classify rows.csv -e examples.csv -l kind -m none
    refused 2 'examples.csv has no column "sort"' \
        "$LINKCTL" classify rows.csv -e examples.csv -l sort -m tiny -q
    refused 2 "both standard input" \
        "$LINKCTL" classify - -e - -l kind -m tiny
    refused 2 "--left-on needs --right-on" \
        "$LINKCTL" classify rows.csv -e examples.csv -l kind -m tiny --left-on text
    refused 2 "--on excludes --left-on and --right-on" \
        "$LINKCTL" classify rows.csv -e examples.csv -l kind -m tiny --on text --left-on text --right-on text
    refused 2 "rows.csv" \
        "$LINKCTL" classify rows.csv -e examples.csv -l kind -m tiny -q -o rows.csv
    refused 2 "examples.csv" \
        "$LINKCTL" classify rows.csv -e examples.csv -l kind -m tiny -q -o examples.csv
    sed -i '1s/note/class/' rows.csv
    refused 1 'rows.csv has a column "class" already' \
        "$LINKCTL" classify rows.csv -e examples.csv -l kind -m tiny -q -o out.csv
}

@test "the bytes are the same for one and two threads" {
    examples_make 200
    for method in nearest linear; do
        for n in 1 2; do
            "$LINKCTL" classify examples.csv -e examples.csv -l kind --on text \
                -m tiny -q --method $method -j "$n" -o "$n.csv"
        done
        cmp 1.csv 2.csv
    done
}
