#!/usr/bin/env bats
# linkctl cluster on small tables, with a tiny model.
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
e,,
f,,
END
}

# clusters OPTION...: the column cluster, on one line
clusters() {
    "$LINKCTL" cluster people.csv --on name -m tiny -q -o out.csv "$@" &&
        tail -n +2 out.csv | sed 's/.*,//' | tr '\n' ' '
}

@test "the input comes back unchanged with a column cluster" {
    people_make
    run --separate-stderr "$LINKCTL" cluster people.csv --on name -m tiny \
        -s 0.99 -o clusters.csv -q
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    cat >expected.csv <<'END'
id,name,note,cluster
a,john smithson,"kept, as it is",1
b,mary 77 xavier,,2
c,john smithson," blank ",1
d,quentin 123,"say ""hi""",3
e,,,4
f,,,5
END
    cmp clusters.csv expected.csv
    [ -f clusters.csv.manifest.json ]
}

@test "rows like no other are singletons, or noise where the method has noise" {
    people_make
    [ "$(clusters -d 0.01)" = "1 2 1 3 4 5 " ]
    for linkage in single complete average ward; do
        [ "$(clusters --method agglomerative --linkage $linkage -d 0.01)" = "1 2 1 3 4 5 " ]
    done
    [ "$(clusters --method dbscan --min-samples 2 -d 0.01)" = "1  1    " ]
    [ "$(clusters --method hdbscan --min-size 2)" != "1 2 1 3 4 5 " ]
}

@test "the distance and the similarity are two words for one thing" {
    people_make
    "$LINKCTL" cluster people.csv --on name -m tiny -q -d 0.25 -o a.csv
    "$LINKCTL" cluster people.csv --on name -m tiny -q -s 0.75 -o b.csv
    cmp a.csv b.csv
}

@test "noise is null in JSON lines, and in the summary" {
    people_make
    run --separate-stderr "$LINKCTL" cluster people.csv --on name -m tiny \
        --method dbscan --min-samples 2 -d 0.01 -o out.jsonl
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"6 rows: 1 cluster, 4 rows of noise"* ]]
    [ "$(sed -n 2p out.jsonl)" = '{"id": "b", "name": "mary 77 xavier", "note": "", "cluster": null}' ]
}

@test "options that another method takes are refused" {
    people_make
    refused 2 "--distance and --similarity say the same thing" \
        "$LINKCTL" cluster people.csv -m tiny -d 0.2 -s 0.8 -o out.csv
    refused 2 "hdbscan finds distances itself: it takes no --distance" \
        "$LINKCTL" cluster people.csv -m tiny --method hdbscan -d 0.2 -o out.csv
    refused 2 "ward takes no --similarity" \
        "$LINKCTL" cluster people.csv -m tiny --method agglomerative --linkage ward -s 0.8 -o out.csv
    refused 2 "--linkage says nothing without --method agglomerative" \
        "$LINKCTL" cluster people.csv -m tiny --linkage ward -o out.csv
    refused 2 "--min-size says nothing without --method hdbscan" \
        "$LINKCTL" cluster people.csv -m tiny --min-size 3 -o out.csv
    refused 2 "--min-samples says nothing without --method dbscan or hdbscan" \
        "$LINKCTL" cluster people.csv -m tiny --min-samples 3 -o out.csv
    refused 2 "the distance is not between 0 and 2" \
        "$LINKCTL" cluster people.csv -m tiny -d 2.5 -o out.csv
}

@test "without a model there is nothing to cluster" {
    people_make
    refused 2 "clusters need a model" "$LINKCTL" cluster people.csv -m none -o out.csv
}

@test "a table that has a cluster already is refused with advice" {
    printf 'id,name,cluster\n1,a,1\n' >c.csv
    refused 1 'c.csv has a column "cluster" already' \
        "$LINKCTL" cluster c.csv -m tiny -q -o out.csv
    [ "${stderr_lines[1]}" = "hint: rename it: cluster writes a column of that name" ]
}

@test "the bytes are the same for one and two threads" {
    { echo id,name; seq 1 400 | awk '{print $1 ",item " $1 % 37 " of " $1 % 11}'; } >many.csv
    for method in slink agglomerative dbscan hdbscan; do
        "$LINKCTL" cluster many.csv -m tiny -q --method $method --threads 1 -o one.csv
        "$LINKCTL" cluster many.csv -m tiny -q --method $method --threads 2 -o two.csv
        cmp one.csv two.csv
    done
}
