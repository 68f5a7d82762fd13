# shellcheck shell=bash
# Sourced by the scenarios. $LINKCTL is the program, $MAKE_TINY_MODEL writes a
# model of 20 kB; every test starts in an empty directory of its own.
bats_require_minimum_version 1.5.0

model_make() { # once per file, from setup_file
    export LINKD_MODELS=$BATS_FILE_TMPDIR/models
    mkdir -p "$LINKD_MODELS"
    "$MAKE_TINY_MODEL" "$LINKD_MODELS/tiny"
}

setup() {
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return 1
}

# tables LEFT RIGHT: two small tables that have three rows in common
tables_make() {
    cat >left.csv <<'END'
id,name,city
1,alpha trading company,paris
2,"beta, gamma and sons",london
3,delta motor works,turin
4,quartz 77 xylophone,oslo
END
    cat >right.csv <<'END'
key,name,city
r1,delta motor work,turin
r2,alpha trading compani,paris
r3,beta gamma and sons,london
r4,zzz 00 yyy 11,0000
END
    printf 'left_id,right_id\n1,r2\n2,r3\n3,r1\n' >truth.csv
}

# twins N: two tables of N rows each, of which each has a partner, written a
# little differently
twins() {
    local n=$1 i word other
    echo "id,name,city" >left.csv
    echo "key,name,city" >right.csv
    for i in $(seq 1 "$n"); do
        word=$(printf '%03d' $((i * 37 % 1000)) | tr 0-9 bdfgklmnrs)
        other=$(printf '%03d' $((i * 71 % 1000)) | tr 0-9 aeioutvwxz)
        echo "$i,$word$other trading company,town$((i % 7))" >>left.csv
        echo "r$i,$word$other tradin comp,Town$((i % 7))" >>right.csv
    done
}

# Waits until COMMAND succeeds, for at most a minute.
until_true() {
    local i
    for ((i = 0; i < 600; i++)); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    cat err
    return 1
}

# refused STATUS PATTERN COMMAND...: fails with one line and at most a hint,
# and leaves the directory as it was
refused() {
    local status_wanted=$1 pattern=$2 before after
    shift 2
    before=$(find . | sort)
    run --separate-stderr "$@"
    after=$(find . | sort)
    echo "status $status, stderr: $stderr"
    [ "$status" -eq "$status_wanted" ]
    [[ "${stderr_lines[0]}" == "linkctl: "* ]]
    [[ "${stderr_lines[0]}" == *$pattern* ]]
    [ "${#stderr_lines[@]}" -le 2 ]
    [ "${#stderr_lines[@]}" -eq 1 ] || [[ "${stderr_lines[1]}" == "hint: "* ]]
    [ "$before" = "$after" ]
}

# Nothing of the page is from elsewhere, and nothing in it runs.
is_self_contained() {
    run ! grep -E '<script|<link|<img|<iframe| on[a-z]+=|@import|url\(' "$1"
    run ! grep -E '(src|href)=' "$1"
    grep -q "default-src 'none'" "$1"
}

# A browser draws the page, and not as a blank one. Skips where there is none.
browser_shows() {
    local browser
    browser=$(command -v chromium || command -v chromium-browser ||
        command -v google-chrome) || skip "there is no chromium"
    timeout 120 "$browser" --headless --no-sandbox --disable-gpu \
        --user-data-dir="$PWD/profile" --window-size=1000,1400 \
        --screenshot="$PWD/page.png" "file://$PWD/$1" 2>browser.log || {
        cat browser.log
        false
    }
    # more than one colour: not blank
    python3 - <<'END'
import struct, zlib
data = open("page.png", "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
at, pixels = 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    if kind == b"IHDR":
        assert struct.unpack(">II", data[at + 8:at + 16]) == (1000, 1400)
    if kind == b"IDAT":
        pixels += data[at + 8:at + 8 + size]
    at += 12 + size
# rows of one colour compress to rows of zeros
rows = zlib.decompress(pixels)
width = len(rows) // 1400
inked = sum(any(rows[y * width + 1:(y + 1) * width]) for y in range(1400))
assert inked > 200, inked
END
}

# clip_vocab_make DIR: the tiny CLIP with OpenAI's files in place of tokenizer.json
clip_vocab_make() {
    local golden=$BATS_TEST_DIRNAME/../golden/clip
    mkdir "$1"
    cp "$golden"/{config,preprocessor_config}.json "$golden/model.safetensors" "$1/"
    python3 - "$golden/tokenizer.json" "$1" <<'END'
import json, sys
model = json.load(open(sys.argv[1]))["model"]
json.dump(model["vocab"], open(sys.argv[2] + "/vocab.json", "w"))
with open(sys.argv[2] + "/merges.txt", "w") as file:
    print("#version: 0.2", *(" ".join(pair) for pair in model["merges"]), sep="\n", file=file)
END
}
