#!/usr/bin/env bats
# linkctl profile: what the columns of a table hold.
load helpers

shop_make() {
    {
        echo "sku,title,price,sold,colour,note"
        for i in $(seq 1 40); do
            colour=$([ $((i % 4)) -eq 0 ] && echo blue || echo Red)
            # shellcheck disable=SC2016 # a price in dollars
            printf 'KX-%04d,Lamp number %d,"$1,2%02d.50",%02d/28/2001,%s,\n' \
                $((i * 7)) "$i" "$i" $((i % 12 + 1)) "$colour"
        done
    } >shop.csv
}

@test "a line tells what each column holds" {
    shop_make
    run --separate-stderr "$LINKCTL" profile shop.csv -q
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    cat >expected <<'END'
COLUMN  TYPE       FILLED  DISTINCT  CHARS  VALUES
sku     code      100.0 %        40    7.0  KX-0007
title   name      100.0 %        40   13.8  Lamp number 1
price   number    100.0 %        40    8.0  1203.5 to 1238.5
sold    date      100.0 %        12   10.0  2001-01-28 to 2001-12-28
colour  category  100.0 %         2    3.2  Red                       75.0 %
note    empty       0.0 %         0    0.0

40 rows; ids: sku
END
    diff <(printf '%s\n' "$output") expected
}

@test "--json has the same as one object" {
    shop_make
    "$LINKCTL" profile shop.csv -q --json >profile.json
    python3 - <<'END'
import json
profile = json.load(open("profile.json"))
assert profile["rows"] == 40 and profile["id_column"] == "sku", profile
columns = {c["name"]: c for c in profile["columns"]}
assert list(columns) == ["sku", "title", "price", "sold", "colour", "note"]
assert [c["type"] for c in columns.values()] == [
    "code", "name", "number", "date", "category", "empty"]
assert columns["price"]["low"] == 1203.5 and columns["price"]["high"] == 1238.5
assert columns["sold"]["low"] == "2001-01-28", columns["sold"]
assert columns["colour"]["common"] == "Red", columns["colour"]
assert columns["colour"]["n_common"] == 30 and columns["colour"]["filled"] == 40
assert "common" not in columns["note"] and columns["note"]["filled"] == 0
END
}

@test "a table without unique values in front has row numbers for ids" {
    printf 'a,b\nx,1\nx,2\n' >t.csv
    run "$LINKCTL" profile t.csv -q
    [ "${lines[-1]}" = "2 rows; ids: row numbers" ]
    "$LINKCTL" profile t.csv -q --json | grep -q '"id_column":null'
    run "$LINKCTL" profile t.csv -q --id b
    [ "${lines[-1]}" = "2 rows; ids: b" ]
}

@test "JSON lines come from standard input" {
    printf '{"k":1,"n":"Ada"}\n{"k":2,"m":null}\n' >in
    run "$LINKCTL" profile - -q --format jsonl <in
    [ "$status" -eq 0 ]
    [[ "${lines[2]}" =~ ^n\ +name\ +50.0\ %\ +1\ +3.0\ +Ada$ ]]
    [[ "${lines[3]}" =~ ^m\ +empty\ +0.0\ % ]]
}

@test "what cannot be read is refused" {
    shop_make
    refused 1 "nothere.csv" "$LINKCTL" profile nothere.csv
    refused 2 'no column "isbn"' "$LINKCTL" profile shop.csv --id isbn
    refused 2 "FILE" "$LINKCTL" profile
    refused 1 "" "$LINKCTL" profile /dev/null
}

@test "--help has examples" {
    run "$LINKCTL" profile --help
    [ "$status" -eq 0 ]
    [[ "$output" == *"linkctl profile people.csv"* ]]
    "$LINKCTL" --help | grep -q '^  profile '
}
