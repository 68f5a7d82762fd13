#!/usr/bin/env bats
# linkctl link and eval on small tables, with a tiny model.
load helpers

setup_file() {
    model_make
}

@test "the rows that are alike are linked, in the order of the left table" {
    tables_make
    run --separate-stderr "$LINKCTL" link left.csv right.csv -m tiny \
        --min-score 0.9 -q -o pairs.csv
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$(head -n 1 pairs.csv)" = left_id,right_id,score,probability ]
    [ "$(cut -d, -f1,2 pairs.csv | tail -n +2 | tr '\n' ' ')" = "1,r2 2,r3 3,r1 " ]
    grep -qE '^1,r2,0\.9[0-9]{5},$' pairs.csv
}

@test "standard input and output take the place of files" {
    tables_make
    "$LINKCTL" link left.csv right.csv -m tiny --min-score 0.9 -q -o pairs.csv
    run --separate-stderr bash -c \
        '"$LINKCTL" link - right.csv -m tiny --min-score 0.9 -q <left.csv'
    [ "$status" -eq 0 ]
    [ "$output" = "$(cat pairs.csv)" ]
}

@test "--format tells what standard input is and leaves the other table alone" {
    tables_make
    "$LINKCTL" link left.csv right.csv -m tiny --min-score 0.9 -q -o pairs.csv
    run --separate-stderr bash -c \
        'tr , "\t" <right.csv | "$LINKCTL" link left.csv - --format tsv -m tiny --min-score 0.9 -q'
    [ "$status" -eq 0 ]
    [ "$output" = "$(cat pairs.csv)" ]
}

@test "the pairing of the columns and the summary go to standard error" {
    tables_make
    run --separate-stderr "$LINKCTL" link left.csv right.csv -m tiny --min-score 0.9
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"name = name (1.00)"* ]]
    [[ "$stderr" == *"4 left rows, 4 right rows: 3 pairs, 1 left and 1 right rows without a partner"* ]]
    [ "${lines[0]}" = left_id,right_id,score,probability ]
}

@test "--unmatched lists the rows without a partner" {
    tables_make
    "$LINKCTL" link left.csv right.csv -m tiny --min-score 0.9 -q -o p.csv --unmatched u.csv
    [ "$(cat u.csv)" = "$(printf 'side,id\nleft,4\nright,r4')" ]
}

@test "--wide adds the columns of both rows" {
    tables_make
    "$LINKCTL" link left.csv right.csv -m tiny --min-score 0.9 -q --wide -o p.csv
    [ "$(head -n 1 p.csv)" = \
        left_id,right_id,score,probability,id_x,name_x,city_x,key_y,name_y,city_y ]
    grep -q '^2,r3,.*,,2,"beta, gamma and sons",london,r3,beta gamma and sons,london$' p.csv
}

@test "--json prints a summary that parses, beside the manifest" {
    tables_make
    run --separate-stderr "$LINKCTL" link left.csv right.csv -m tiny --min-score 0.9 \
        -q --json -o p.jsonl
    [ "$status" -eq 0 ]
    python3 - "$output" <<'END'
import json, sys
summary = json.loads(sys.argv[1])
manifest = json.load(open("p.jsonl.manifest.json"))
assert summary == manifest, (summary, manifest)
assert summary["counts"]["pairs"] == 3
assert summary["options"]["min-score"] == 0.9
assert [i["rows"] for i in summary["inputs"]] == [4, 4]
assert len(summary["model"]["fingerprint"]) == 32
row = json.loads(open("p.jsonl").readline())
assert row["left_id"] == "1" and row["probability"] is None, row
assert 0.9 < row["score"] <= 1
END
}

@test "columns of different names are linked by --left-on and --right-on" {
    printf 'id,firm\n1,"alpha beta"\n2,"gamma delta"\n' >a.csv
    printf 'id\t"na,me"\nx\tgamma delta\ny\talpha beta\n' >b.tsv
    run --separate-stderr "$LINKCTL" link a.csv b.tsv --left-on firm \
        --right-on '"na,me"' --min-score 0.64 -m tiny -q
    [ "$status" -eq 0 ]
    [ "${lines[1]}" = "1,y,1.000000," ]
    [ "${lines[2]}" = "2,x,1.000000," ]
}

@test "--block compares only rows of equal blocks" {
    printf 'id,name,land\n1,same name,fr\n2,same name,de\n' >a.csv
    printf 'id,name,land\nx,same name,de\ny,same name,it\n' >b.csv
    run --separate-stderr "$LINKCTL" link a.csv b.csv --on name --block land \
        --min-score 0.64 -m tiny -q
    [ "$output" = "$(printf 'left_id,right_id,score,probability\n2,x,1.000000,')" ]
}

@test "every way of assigning keeps its promise" {
    printf 'id,name\n1,abcd\n2,abcd\n' >a.csv
    printf 'id,name\nx,abcd\ny,abcd\nz,abcd\n' >b.csv
    pairs() { "$LINKCTL" link a.csv b.csv -m tiny -q --min-score 0.64 --assign "$1" | tail -n +2 | wc -l; }
    [ "$(pairs one-to-one)" -eq 2 ]
    [ "$(pairs one-to-many)" -eq 3 ]
    [ "$(pairs many-to-one)" -eq 2 ]
    [ "$(pairs many-to-many)" -eq 6 ]
    # of equal rows the first on each side are each other's best
    run --separate-stderr "$LINKCTL" link a.csv b.csv -m tiny -q --min-score 0.64 --assign reciprocal
    [ "$output" = "$(printf 'left_id,right_id,score,probability\n1,x,1.000000,')" ]
}

@test "the bytes are the same for one and two threads" {
    tables_make
    "$LINKCTL" link left.csv right.csv -m tiny --min-score 0 -q --threads 1 -o one.csv
    "$LINKCTL" link left.csv right.csv -m tiny --min-score 0 -q --threads 2 -o two.csv
    cmp one.csv two.csv
}

@test "the pairs are the same for every kernel that the processor has" {
    tables_make
    LINKD_ISA=scalar "$LINKCTL" link left.csv right.csv -m tiny --min-score 0.9 -q -o scalar.csv
    for isa in avx2 avx512; do
        if LINKD_ISA=$isa "$LINKCTL" model info tiny >/dev/null 2>&1; then
            LINKD_ISA=$isa "$LINKCTL" link left.csv right.csv -m tiny --min-score 0.9 -q -o $isa.csv
            cmp <(cut -d, -f1,2 scalar.csv) <(cut -d, -f1,2 $isa.csv)
        fi
    done
}

@test "eval compares the pairs with the truth" {
    tables_make
    printf 'left_id,right_id\n1,r2\n2,r3\n4,r4\n' >result.csv
    run --separate-stderr "$LINKCTL" eval result.csv truth.csv
    [ "$status" -eq 0 ]
    [[ "${lines[1]}" =~ ^pairs\ +0.6667\ +0.6667\ +0.6667\ +3\ +3\ +2$ ]]
    [ "${#lines[@]}" -eq 2 ]
    "$LINKCTL" eval result.csv truth.csv --json | python3 -c '
import json, sys
e = json.load(sys.stdin)["pairs"]
assert e["common"] == 2 and abs(e["f1"] - 2 / 3) < 1e-6, e'
}

@test "eval takes a result without pairs, in every form that link writes" {
    tables_make
    for form in csv tsv jsonl; do
        "$LINKCTL" link left.csv truth.csv --left-on name --right-on right_id \
            -m tiny --min-score 1 -q -o none.$form
        run --separate-stderr "$LINKCTL" eval none.$form truth.csv
        [ "$status" -eq 0 ]
        [[ "${lines[1]}" =~ ^pairs\ +0.0000\ +0.0000\ +0.0000\ +0\ +3\ +0$ ]]
    done
}

@test "a BOM, CRLF line ends and a million empty cells just work" {
    printf '\xef\xbb\xbfid,name\r\n1,alpha\r\n2,beta\r\n' >a.csv
    python3 - <<'END'
n = 1000
with open("b.csv", "w") as f:
    f.write("id,name," + ",".join("c%d" % i for i in range(n)) + "\n")
    for i in range(n):
        f.write("r%d,%s%s\n" % (i, "alpha" if i == 7 else "zz%d" % i, "," * n))
END
    run --separate-stderr "$LINKCTL" link a.csv b.csv --on name -m tiny -q --min-score 0.99
    [ "$status" -eq 0 ]
    [ "${lines[1]}" = "1,r7,1.000000," ]
}
