#!/usr/bin/env bats
# linkctl embed, with a tiny model.
load helpers

setup_file() {
    model_make
}

@test "a NumPy file has a row of length 1 for every record" {
    python3 -c 'print("id,name"); [print("%d,name %d" % (i, i % 50)) for i in range(2500)]' >t.csv
    run --separate-stderr "$LINKCTL" embed t.csv -m tiny -o v.npy
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"2,500 rows: vectors of 32 numbers"* ]]
    python3 - <<'END'
import ast, struct
data = open("v.npy", "rb").read()
assert data[:8] == b"\x93NUMPY\x01\x00"
n = struct.unpack("<H", data[8:10])[0]
header = ast.literal_eval(data[10:10 + n].decode())
assert header == {"descr": "<f4", "fortran_order": False, "shape": (2500, 32)}
values = struct.unpack("<%df" % (2500 * 32), data[10 + n:])
rows = [values[i * 32:i * 32 + 32] for i in range(2500)]
assert all(abs(sum(x * x for x in row) - 1) < 1e-5 for row in rows)
assert rows[3] == rows[53] == rows[2453]  # same text, other chunks
assert rows[3] != rows[4]
END
}

@test "int8 makes vectors that are near but of a kind of their own" {
    printf 'id,name\na,alpha\nb,beta\n' >t.csv
    "$LINKCTL" embed t.csv -m tiny -q -o f.npy --precision f32
    "$LINKCTL" embed t.csv -m tiny -q -o i.npy --precision int8
    python3 - <<'END'
import json, struct
def rows(name):
    values = struct.unpack("<64f", open(name, "rb").read()[128:])
    return values[:32], values[32:]
for a, b in zip(rows("f.npy"), rows("i.npy")):
    cosine = sum(x * y for x, y in zip(a, b))
    assert 0.99 < cosine and a != b, cosine
exact, coarse = (json.load(open(name + ".npy.manifest.json"))["model"] for name in "fi")
assert (exact["precision"], coarse["precision"]) == ("f32", "int8")
assert exact["fingerprint"] != coarse["fingerprint"]
END
}

@test "--dim keeps the first numbers at length 1, and no more than there are" {
    printf 'id,name\na,alpha\nb,beta\n' >t.csv
    "$LINKCTL" embed t.csv -m tiny -q -o long.npy
    "$LINKCTL" embed t.csv -m tiny -q -o short.npy --dim 8
    python3 - <<'END'
import math, struct
def rows(name, dim):
    values = struct.unpack(f"<{2 * dim}f", open(name, "rb").read()[128:])
    return values[:dim], values[dim:]
for whole, short in zip(rows("long.npy", 32), rows("short.npy", 8)):
    length = math.sqrt(sum(x * x for x in whole[:8]))
    assert all(abs(x / length - y) < 1e-6 for x, y in zip(whole, short))
END
    run -2 "$LINKCTL" embed t.csv -m tiny -q -o more.npy --dim 33
    [[ $output == *"--dim 33 is more than the 32 of the model"* ]]
}

@test "JSON lines carry the ids and the same numbers" {
    printf 'id,name\na,alpha\n"b ""q""",beta\n' >t.csv
    "$LINKCTL" embed t.csv -m tiny -q -o v.jsonl
    "$LINKCTL" embed t.csv -m tiny -q -o v.npy
    python3 - <<'END'
import json, struct
rows = [json.loads(line) for line in open("v.jsonl")]
assert [r["id"] for r in rows] == ["a", 'b "q"'], rows
data = open("v.npy", "rb").read()[128:]
numbers = [x for r in rows for x in r["embedding"]]
assert struct.pack("<64f", *numbers) == data
END
}

@test "a model that is called by nearly its name is suggested" {
    printf 'id,x\na,1\n' >t.csv
    for name in owner/tiny TINY tin; do
        refused 2 'there is no model' "$LINKCTL" embed t.csv -m "$name"
        [[ "$stderr" == *'hint: there is a model "tiny"' ]]
    done
    refused 2 'there is no model' "$LINKCTL" embed t.csv -m owner/huge
    [[ "$stderr" == *"hint: linkctl model pull"* ]]
}

@test "ids are row numbers where the first column repeats" {
    printf 'name,x\na,1\na,2\n' >t.csv
    run --separate-stderr "$LINKCTL" embed t.csv -m tiny -q
    [[ "${lines[0]}" == '{"id": 1, '* ]]
    [[ "${lines[1]}" == '{"id": 2, '* ]]
}

@test "a pipe gets row numbers, and is told so, unless --id names a column" {
    printf 'id,name\na,alpha\n' >t.csv
    run --separate-stderr bash -c 'cat t.csv | "$LINKCTL" embed - -m tiny'
    [ "$status" -eq 0 ]
    [[ "$output" == '{"id": 1, '* ]]
    [[ "${stderr_lines[0]}" == "ids are row numbers"* ]]
    run --separate-stderr bash -c 'cat t.csv | "$LINKCTL" embed - -m tiny -q --id id'
    [[ "$output" == '{"id": "a", '* ]]
}

@test "an id that a pipe lacks is an error and not a row number" {
    printf '{"id": "a", "x": 1}\n{"x": 2}\n' >t.jsonl
    refused 1 'standard input: row 2 (line 2), column "id": the id is missing' \
        bash -c '"$LINKCTL" embed - --format jsonl --id id -m tiny -q -o v.jsonl <t.jsonl'
    printf 'id,x\na,1\n,2\n' >t.csv
    refused 1 'standard input: row 2 (line 3), column "id": the id is empty' \
        bash -c '"$LINKCTL" embed - --id id -m tiny -q -o v.jsonl <t.csv'
}

@test "a row without text keeps its place" {
    printf 'id,name\n1,alpha\n2,\n3,alpha\n' >t.csv
    run --separate-stderr "$LINKCTL" embed t.csv -m tiny --json -o v.jsonl -q
    [ "$(wc -l <v.jsonl)" -eq 3 ]
    [[ "$output" == *'"rows_without_text":1'* ]]
    [ "$(sed -n 1p v.jsonl | cut -d: -f3)" = "$(sed -n 3p v.jsonl | cut -d: -f3)" ]
}

@test "columns that JSON lines bring late are embedded, and missing ones named" {
    printf '{"id": 1, "a": "x"}\n{"id": 2, "b": "y"}\n' >t.jsonl
    "$LINKCTL" embed t.jsonl --on b -m tiny -q -o v.npy
    refused 2 't.jsonl has no column "c"' \
        "$LINKCTL" embed t.jsonl --on c -m tiny -q -o w.npy
}

@test "an ending in capitals is the same ending" {
    printf 'id,name\n1,a\n' >t.csv
    "$LINKCTL" embed t.csv -m tiny -q -o V.NPY
    [ "$(head -c 6 V.NPY | tail -c 5)" = NUMPY ]
}

@test "without a model there are no vectors" {
    printf 'id,name\n1,a\n' >t.csv
    refused 2 'vectors need a model' "$LINKCTL" embed t.csv -m none -o v.npy
}

@test "an output of no known kind is wrong usage" {
    printf 'id,name\n1,a\n' >t.csv
    refused 2 'v.bin ends in neither .npy nor .jsonl' \
        "$LINKCTL" embed t.csv -m tiny -o v.bin
    refused 2 'cannot write NumPy data to a pipe or device' \
        bash -c 'ln -s /dev/null "$BATS_TEST_TMPDIR/x.npy"
                 "$LINKCTL" embed t.csv -m tiny -o "$BATS_TEST_TMPDIR/x.npy"'
}

@test "memory does not grow with the file" {
    # sanitizers keep freed memory
    ! nm "$LINKCTL" | grep -qE '__(a|t)san_init' || skip "sanitizer build"
    python3 -c 'print("id,n"); [print("%d,ab" % i) for i in range(300000)]' >t.csv
    python3 - <<'END'
import os, resource, subprocess
subprocess.run([os.environ["LINKCTL"], "embed", "t.csv", "-m", "tiny", "-q",
                "-o", "v.npy"], check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
assert peak < 60 << 10, peak  # kB
END
}
