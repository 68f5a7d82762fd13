# linkctl compat: maps between two models' vectors, on files of vectors.

load helpers

# Two views of the same points: a rotation each, a centre each, and the old one
# with more noise. Queries are other views of every third point.
setup_file() {
    cd "$BATS_FILE_TMPDIR"
    python3 - <<'END'
import array, math, random, struct

random.seed(3)
DIM, N = 16, 600


def rotation():
    rows = []
    while len(rows) < DIM:
        row = [random.gauss(0, 1) for _ in range(DIM)]
        for other in rows:
            dot = sum(a * b for a, b in zip(row, other))
            row = [a - dot * b for a, b in zip(row, other)]
        norm = math.sqrt(sum(a * a for a in row))
        rows.append([a / norm for a in row])
    return rows


def view(point, turn, centre, noise):
    point = [p + random.gauss(0, noise) for p in point]
    return [c + sum(p * t[j] for p, t in zip(point, turn)) for j, c in enumerate(centre)]


def npy(name, rows):
    head = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (len(rows), len(rows[0]))
    head += " " * (117 - len(head)) + "\n"
    with open(name, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        for row in rows:
            array.array("f", row).tofile(file)


def fvecs(name, rows):
    with open(name, "wb") as file:
        for row in rows:
            file.write(struct.pack("<i", len(row)))
            array.array("f", row).tofile(file)


points = [[random.gauss(0, 1) for _ in range(DIM)] for _ in range(N)]
sides = {}
for name, noise in (("old", 0.6), ("new", 0.2)):
    turn = rotation()
    centre = [random.gauss(0, 0.5) for _ in range(DIM)]
    sides[name] = (turn, centre, noise)
    npy(name + ".npy", [view(p, turn, centre, noise) for p in points])
queries = range(0, N, 3)
npy("q-old.npy", [view(points[i], *sides["old"]) for i in queries])
rows = [view(points[i], *sides["new"]) for i in queries]
npy("q-new.npy", rows)
fvecs("q-new.fvecs", rows)
with open("groups.txt", "w") as file:
    file.writelines("record %d\n" % i for i in range(N))
with open("q-groups.txt", "w") as file:
    file.writelines("record %d\n" % i for i in queries)
END
    "$LINKCTL" compat fit --from new.npy --to old.npy -o new-to-old.map -q
}

setup() { cd "$BATS_FILE_TMPDIR"; }

judge() { # MAP [OPTION...]: files of setup_file where no other is given
    local map=$1 file all=()
    shift
    for file in old-gallery=old.npy new-gallery=new.npy old-queries=q-old.npy \
        new-queries=q-new.npy gallery-groups=groups.txt query-groups=q-groups.txt; do
        [[ " $* " == *" --${file%=*} "* ]] || all+=("--${file%=*}" "${file#*=}")
    done
    "$LINKCTL" compat eval "$map" "${all[@]}" "$@"
}

@test "a map is fitted, says how good it is, and is the same each time" {
    run --separate-stderr "$LINKCTL" compat fit --from new.npy --to old.npy -o again.map
    [ "$status" -eq 0 ]
    [[ "$stderr" == "procrustes: 16 to 16 dimensions, from 600 pairs; mean cosine of held-out pairs 0."* ]]
    cmp new-to-old.map again.map
}

@test "mapped vectors are as many as came, from either kind of file" {
    "$LINKCTL" compat map new-to-old.map q-new.npy -o one.npy -q
    "$LINKCTL" compat map new-to-old.map q-new.fvecs -o two.npy -q
    cmp one.npy two.npy
    [ "$(head -c 128 one.npy | grep -ac "(200, 16)")" -eq 1 ]
}

@test "a fused query is better than either, and a new index is best" {
    judge new-to-old.map --json -j 1 >one.json
    judge new-to-old.map --json -j 2 >two.json
    cmp one.json two.json
    python3 - <<'END'
import json
r = json.load(open("one.json"))
way = {w["queries"]: w for w in r["ways"]}
assert r["queries"] == 100 and 0 < r["weight"] <= 1, r
old, fused, new = (way[n]["mrr_10"] for n in ("old model", "fused", "new model"))
assert old < fused < new, (old, fused, new)
assert way["fused"]["difference"]["low"] > 0
assert abs(way["fused"]["gain"]["value"] - (fused - old) / (new - old)) < 1e-6
END
    judge new-to-old.map >table.txt
    [[ "$(head -n 1 table.txt)" == QUERIES*RECALL@1*MRR@10* ]]
    [ "$(grep -c '^[a-z]* *model\|^mapped\|^fused' table.txt)" -eq 4 ]
}

@test "no share of a gain is told where the new model gains nothing" {
    "$LINKCTL" compat fit --from old.npy --to new.npy -o worse.map -q
    worse() {
        judge worse.map --old-gallery new.npy --new-gallery old.npy \
            --old-queries q-new.npy --new-queries q-old.npy "$@"
    }
    worse --json >worse.json
    [ "$(grep -o '"gain":null' worse.json | wc -l)" -eq 4 ]
    worse >worse.txt
    # five figures, and what became of the first hits: nothing between
    [ "$(grep -c ' to [-+0-9.]*) *+[0-9.]* -[0-9.]* %$' worse.txt)" -eq 4 ]
    [[ "$(head -n 1 worse.txt)" == *"GAIN HAD (95 %)"* ]]
}

@test "the lossless head keeps the new model's own scores" {
    "$LINKCTL" compat fit --from new.npy --to old.npy --head bt2 -o bt2.map -q
    "$LINKCTL" compat map bt2.map q-new.npy -o z.npy -q
    python3 - <<'END'
import array, math
def load(name):
    data = open(name, "rb").read()[128:]
    values = array.array("f", data)
    return [values[i:i + 16] for i in range(0, len(values), 16)]
dot = lambda a, b: sum(x * y for x, y in zip(a, b))
h, z = load("q-new.npy"), load("z.npy")
for a, b in ((0, 1), (5, 77), (150, 9)):
    native = dot(h[a], h[b]) / math.sqrt(dot(h[a], h[a]) * dot(h[b], h[b]))
    assert abs(native - dot(z[a], z[b])) < 1e-5, (native, dot(z[a], z[b]))
END
    judge bt2.map --json >bt2.json
}

@test "trained heads are fitted from options, the same each time" {
    seq 300 | sed 'p' >pairs-of-rows.txt
    for head in "mlp --hidden 8 --penalty 0.001" "contrast --labels pairs-of-rows.txt" \
        "bt2-trained --added 12"; do
        for map in one two; do
            # shellcheck disable=SC2086 # its options are words
            "$LINKCTL" compat fit --from new.npy --to old.npy --head $head --epochs 3 \
                -o $map.map -q
        done
        cmp one.map two.map
        judge one.map --json >trained.json
    done
    run --separate-stderr "$LINKCTL" compat fit --from new.npy --to old.npy --head contrast -o x.map
    [ "$status" -eq 2 ]
    [ "$stderr" = "linkctl: this head needs labels: which pairs are one entity" ]
    run --separate-stderr "$LINKCTL" compat fit --from new.npy --to old.npy --head contrast \
        --labels q-groups.txt -o x.map
    [ "$status" -eq 1 ]
    [ "$stderr" = "linkctl: q-groups.txt has 200 lines for 600 rows" ]
    [ ! -e x.map ]
}

@test "a simplex head is fitted from labels alone, or with an earlier one's vectors" {
    seq 60 >entities.txt
    for _ in 1 2 3 4 5 6 7 8 9 10; do cat entities.txt; done >labels.txt
    "$LINKCTL" compat fit --head simplex --from new.npy --labels labels.txt --classes 64 \
        -o new-simplex.map 2>note.txt
    [[ "$(tail -n 1 note.txt)" == "simplex: 16 to 63 dimensions, from 600 records; mean cosine of held-out records "* ]]
    "$LINKCTL" compat map new-simplex.map new.npy -o new-simplex.npy -q
    "$LINKCTL" compat fit --head simplex --from old.npy --to new-simplex.npy --epochs 5 \
        --labels labels.txt --classes 64 -o drawn.map -q
    "$LINKCTL" compat fit --head simplex --from old.npy --epochs 5 \
        --labels labels.txt --classes 64 -o alone.map -q
    for map in drawn alone; do "$LINKCTL" compat map $map.map old.npy -o $map.npy -q; done
    for map in drawn alone; do
        [ "$(head -c 128 $map.npy | grep -ac "(600, 63)")" -eq 1 ]
    done
    run cmp -s drawn.npy alone.npy
    [ "$status" -eq 1 ] # --to is not left out of it
    run --separate-stderr "$LINKCTL" compat fit --head simplex --from new.npy --labels labels.txt \
        --classes 59 -o x.map
    [ "$status" -eq 2 ]
    [ "$stderr" = "linkctl: row 60 of new.npy is of an entity beyond the 59 that the head has room for" ]
    run --separate-stderr "$LINKCTL" compat fit --head simplex --from new.npy -o x.map
    [ "$stderr" = "linkctl: this head needs labels: which rows are one entity" ]
    [ ! -e x.map ]
}

@test "what is wrong with the input is told, and nothing is written" {
    run --separate-stderr "$LINKCTL" compat fit --from new.npy --to q-old.npy -o x.map
    [ "$status" -eq 2 ]
    [ "$stderr" = "linkctl: row i of both files is one record, but new.npy has 600 rows and q-old.npy 200" ]
    run --separate-stderr "$LINKCTL" compat fit --from new.npy --to old.npy --head magic -o x.map
    [ "$status" -eq 2 ]
    [[ "$stderr" == 'linkctl: there is no head "magic", only procrustes, ridge'* ]]
    run --separate-stderr "$LINKCTL" compat fit --from groups.txt --to old.npy -o x.map
    [ "$status" -eq 2 ]
    [ "$stderr" = "linkctl: groups.txt ends in neither .npy nor .fvecs" ]
    run --separate-stderr "$LINKCTL" compat fit --from new.npy -o x.map
    [ "$status" -eq 2 ]
    [ "$stderr" = "linkctl: --to is needed" ]
    [ ! -e x.map ]
}

@test "an option that a head does not have is refused" {
    local head option
    for option in "--penalty 0.1" "--hidden 8" "--added 4" "--classes 64" "--epochs 3"; do
        # shellcheck disable=SC2086 # name and value
        refused 2 "the head procrustes has no ${option% *}" \
            "$LINKCTL" compat fit --from new.npy --to old.npy $option -o x.map
    done
    for head in procrustes ridge mlp bt2 bt2-trained whitened; do
        refused 2 "the head $head has no --labels" \
            "$LINKCTL" compat fit --from new.npy --to old.npy --head $head --labels groups.txt -o x.map
    done
    for head in contrast bt2 simplex; do
        refused 2 "the head $head has no --penalty" \
            "$LINKCTL" compat fit --from new.npy --to old.npy --head $head --penalty 0.1 -o x.map
    done
    refused 2 "the head ridge has no --epochs" \
        "$LINKCTL" compat fit --from new.npy --to old.npy --head ridge --penalty 0.1 --epochs 3 -o x.map
    "$LINKCTL" compat fit --from new.npy --to old.npy --head whitened --penalty 0.2 -o x.map -q
    rm x.map
}

# Raw float32 rows; "nan" and the like are Python's words.
rows_write() { # FILE DIM ROWS-AS-PYTHON
    python3 - "$@" <<'END'
import array, struct, sys
name, dim, rows = sys.argv[1], int(sys.argv[2]), eval(sys.argv[3])
with open(name, "wb") as file:
    for row in rows:
        file.write(struct.pack("<i", dim) + array.array("f", row).tobytes())
END
}

@test "vectors that are no numbers are refused by every command" {
    rows_write good.fvecs 16 '[[i % 7 + j % (i % 5 + 2) for j in range(16)] for i in range(200)]'
    rows_write nan.fvecs 16 '[[float("nan") if (i, j) == (7, 3) else i % 7 + j % (i % 5 + 2) for j in range(16)] for i in range(200)]'
    local what="row 8 of nan.fvecs has a value that is not finite"
    refused 1 "$what" "$LINKCTL" compat fit --from nan.fvecs --to good.fvecs -o x.map
    refused 1 "$what" "$LINKCTL" compat fit --from good.fvecs --to nan.fvecs -o x.map
    refused 1 "$what" "$LINKCTL" compat map new-to-old.map nan.fvecs -o x.npy
    refused 1 "$what" "$LINKCTL" compat eval new-to-old.map --old-gallery old.npy \
        --old-queries q-old.npy --new-queries nan.fvecs \
        --gallery-groups groups.txt --query-groups q-groups.txt
    [ ! -e x.map ]
    [ ! -e x.npy ]
}

@test "constant vectors, few pairs and labels of one class are refused" {
    rows_write constant.fvecs 16 '[[1.0] * 16] * 200'
    refused 1 "the rows of constant.fvecs are all alike" "$LINKCTL" compat fit --from constant.fvecs --to q-old.npy -o x.map
    rows_write few.fvecs 16 '[[i + j % (i + 2) for j in range(16)] for i in range(3)]'
    refused 2 "3 records are too few to fit a map on: 50 at least" "$LINKCTL" compat fit --from few.fvecs --to few.fvecs -o x.map
    yes one | head -n 600 >one-class.txt
    refused 2 "all labels are the same" "$LINKCTL" compat fit --from new.npy --to old.npy --head contrast \
        --labels one-class.txt -o x.map
    [ ! -e x.map ]
}

@test "vectors of another size than a map's are refused" {
    rows_write narrow.fvecs 8 '[[i % 7 + j % (i % 5 + 2) for j in range(8)] for i in range(200)]'
    refused 2 "new-to-old.map is for vectors of 16 dimensions, narrow.fvecs has 8" "$LINKCTL" compat map new-to-old.map narrow.fvecs -o x.npy
    refused 2 "new-to-old.map is for vectors of 16 dimensions, narrow.fvecs has 8" \
        "$LINKCTL" compat eval new-to-old.map --old-gallery old.npy \
        --old-queries q-old.npy --new-queries narrow.fvecs \
        --gallery-groups groups.txt --query-groups q-groups.txt
    refused 2 "narrow.fvecs has 8 dimensions, q-old.npy has 16: they have to agree" \
        "$LINKCTL" compat eval new-to-old.map --old-gallery narrow.fvecs \
        --old-queries q-old.npy --new-queries q-new.npy \
        --gallery-groups q-groups.txt --query-groups q-groups.txt
    [ ! -e x.npy ]
}

@test "a damaged map and labels that do not fit are refused" {
    cp new-to-old.map bad.map
    printf 'X' | dd of=bad.map bs=1 seek=300 conv=notrunc 2>dd.log
    run --separate-stderr "$LINKCTL" compat map bad.map q-new.npy -o x.npy
    [ "$status" -eq 1 ]
    [ "$stderr" = "linkctl: bad.map: not a map: its checksum is wrong" ]
    run --separate-stderr "$LINKCTL" compat map groups.txt q-new.npy -o x.npy
    [ "$stderr" = "linkctl: groups.txt: not a map: it does not begin as one" ]
    head -n 10 q-groups.txt >few.txt
    run --separate-stderr "$LINKCTL" compat eval new-to-old.map --old-gallery old.npy \
        --old-queries q-old.npy --new-queries q-new.npy \
        --gallery-groups groups.txt --query-groups few.txt
    [ "$status" -eq 1 ]
    [ "$stderr" = "linkctl: few.txt has 10 lines for 200 rows" ]
    head -c 200 q-new.fvecs >cut.fvecs
    run --separate-stderr "$LINKCTL" compat map new-to-old.map cut.fvecs -o x.npy
    [ "$stderr" = "linkctl: cut.fvecs: its length is not that of whole rows" ]
    [ ! -e x.npy ]
}

@test "files that are read side by side have one size" {
    local dims
    for dims in 4 32; do
        rows_write other.fvecs $dims "[[i % 7 + j % (i % 5 + 2) for j in range($dims)] for i in range(600)]"
        refused 2 "other.fvecs has $dims dimensions, q-new.npy has 16: they have to agree" \
            judge new-to-old.map --new-gallery other.fvecs
    done
    rows_write other.fvecs 16 '[[i % 7 + j % (i % 5 + 2) for j in range(16)] for i in range(20)]'
    refused 2 "other.fvecs has 20 rows, old.npy has 600: they have to agree" \
        judge new-to-old.map --new-gallery other.fvecs
    refused 2 "other.fvecs has 20 rows, q-new.npy has 200: they have to agree" \
        judge new-to-old.map --old-queries other.fvecs
    rows_write narrow.fvecs 8 '[[i % 7 + j % (i % 5 + 2) for j in range(8)] for i in range(600)]'
    head -c $((200 * 36)) narrow.fvecs >q-narrow.fvecs
    refused 2 "new-to-old.map goes to vectors of 16 dimensions, narrow.fvecs has 8" \
        judge new-to-old.map --old-gallery narrow.fvecs --old-queries q-narrow.fvecs
}

@test "queries that cannot judge are refused, and those without an answer are counted" {
    head -c $((9 * 68)) q-new.fvecs >nine.fvecs
    head -n 9 q-groups.txt >nine.txt
    refused 2 "nine.fvecs: 9 queries are too few to judge by: 10 at least" \
        judge new-to-old.map --old-queries nine.fvecs --new-queries nine.fvecs --query-groups nine.txt
    sed 's/record/nobody/' q-groups.txt >nobody.txt
    refused 1 "no label of nobody.txt, of the first line and every second one after it, is in groups.txt" \
        judge new-to-old.map --query-groups nobody.txt
    sed 'n;s/record/nobody/' q-groups.txt >half.txt
    refused 1 "no label of half.txt, of the second line and every second one after it, is in groups.txt" \
        judge new-to-old.map --query-groups half.txt
    sed '4,6s/record/nobody/' q-groups.txt >some.txt
    judge new-to-old.map --query-groups some.txt >some.out
    [ "$(tail -n 1 some.out)" = "no stored vector has the label of 2 of these" ]
    judge new-to-old.map --query-groups some.txt --json >some.json
    grep -q '"queries":100,"unanswered":2,' some.json
}

@test "a map knows its models by name" {
    local long=sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2
    "$LINKCTL" compat fit --from new.npy --to old.npy --from-model new-1 --to-model $long -o named.map -q
    "$LINKCTL" compat map named.map q-new.npy --from-model new-1 --to-model $long -o x.npy -q
    "$LINKCTL" compat map new-to-old.map q-new.npy -o y.npy -q
    cmp x.npy y.npy # names change nothing
    rm x.npy y.npy
    refused 1 'named.map is from the model "new-1", not "new-2"' \
        "$LINKCTL" compat map named.map q-new.npy --from-model new-2 -o x.npy
    refused 1 'named.map is to the model "' \
        "$LINKCTL" compat map named.map q-new.npy --to-model ${long}1 -o x.npy
    refused 1 'new-to-old.map does not say from which model it is: compat fit --from-model does' \
        "$LINKCTL" compat map new-to-old.map q-new.npy --from-model new-1 -o x.npy
    judge named.map --from-model new-1 --to-model $long >named.txt
    refused 1 'named.map is from the model "new-1", not "new-2"' judge named.map --from-model new-2
    refused 1 'not "old"' judge named.map --to-model old
}

# NumPy's own numbers, and an array that is no list of rows.
@test "doubles are read, and what is wrong with rows names the file" {
    python3 - <<'END'
import array, struct
data = open("q-new.npy", "rb").read()[128:]
values = array.array("d", array.array("f", data))
def npy(name, shape, values):
    head = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }" % shape
    head += " " * (117 - len(head)) + "\n"
    with open(name, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        values.tofile(file)
npy("double.npy", "200, 16", values)
npy("flat.npy", "3200,", values)
values[5 * 16:6 * 16] = array.array("d", [0.0] * 16)
npy("zero.npy", "200, 16", values)
END
    "$LINKCTL" compat map new-to-old.map double.npy -o x.npy -q
    "$LINKCTL" compat map new-to-old.map q-new.npy -o y.npy -q
    cmp x.npy y.npy
    rm x.npy y.npy
    refused 1 "row 6 of zero.npy is zero" "$LINKCTL" compat fit --from q-old.npy --to zero.npy -o x.map
    refused 1 "row 6 of zero.npy is zero" "$LINKCTL" compat map new-to-old.map zero.npy -o x.npy
    refused 2 "one record, but flat.npy has 1 row and q-old.npy 200 (an array of one dimension is a row)" \
        "$LINKCTL" compat fit --from flat.npy --to q-old.npy -o x.map
}
