#!/usr/bin/env bats
# linkctl embed with models that are not BERT. Their vectors are checked against
# the originals in tests/encoder/test_architectures.c; here a directory is all
# that is known of a model.
load helpers

golden=$BATS_TEST_DIRNAME/../golden/architectures

setup() {
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return 1
    export LINKD_MODELS=$BATS_TEST_TMPDIR/work/store
    mkdir store
    printf 'id,name\na,the cafe\nb,street the hello\nc,the cafe\n' >t.csv
}

# words_put DIR: a vocabulary of 30 words for a model that came without one
words_put() {
    { printf '[PAD]\n[CLS]\n[SEP]\n[UNK]\nthe\ncafe\nstreet\nhello\n'
      printf 'w%d\n' {8..29}; } >"$1/vocab.txt"
}

# fact FILE KEY: what a manifest says of the model
fact() {
    python3 -c '
import json, sys
print(json.load(open(sys.argv[1] + ".manifest.json"))["model"][sys.argv[2]])' "$@"
}

@test "a ModernBERT is added by its directory, and its windows are its own" {
    cp -r "$golden/modernbert" modern
    words_put modern
    "$LINKCTL" model add modern --name modern -q
    "$LINKCTL" embed t.csv -m modern -q -o a.npy --precision f32
    "$LINKCTL" embed t.csv -m modern -q -o b.npy --precision f32 --threads 1
    cmp a.npy b.npy
    LINKD_ISA=scalar "$LINKCTL" embed t.csv -m modern -q -o b.npy --precision f32
    cmp a.npy b.npy
    sed 's/"local_attention": 8/"local_attention": 2/' modern/config.json >other
    mv other modern/config.json
    "$LINKCTL" embed t.csv -m modern/ -q -o c.npy --precision f32
    run -1 cmp -s a.npy c.npy
    [ "$(fact a.npy fingerprint)" != "$(fact c.npy fingerprint)" ]
}

# near A B: every number of two .npy files of the same shape, within 2e-6
near() {
    python3 - "$@" <<'END'
import struct, sys
a, b = (open(name, "rb").read() for name in sys.argv[1:])
assert a[:128] == b[:128], (a[:128], b[:128])
values = [struct.unpack("<%df" % (len(data) // 4 - 32), data[128:]) for data in (a, b)]
assert max(abs(x - y) for x, y in zip(*values)) < 2e-6
END
}

@test "a static table is added, and two workers make what one makes" {
    cp -r "$golden/static" static
    "$LINKCTL" model add static --name static -q
    [[ "$("$LINKCTL" model list)" == *"static"* ]]
    "$LINKCTL" embed t.csv --on name -m static -q -o a.npy --threads 1
    "$LINKCTL" embed t.csv --on name -m static -q -o b.npy --threads 2
    cmp a.npy b.npy
    [ "$(fact a.npy architecture) $(fact a.npy dim)" = "static 24" ]
    # the texts of vectors.json, as model2vec has them
    python3 - <<'END'
import json, os, struct
golden = json.load(open("static/vectors.json"))
with open("golden.jsonl", "w") as file:
    for text in golden["texts"]:
        print(json.dumps({"text": text}), file=file)
with open("wanted.npy", "wb") as file:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 24), }"
    file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.ljust(117).encode() + b"\n")
    for row in golden["vectors"]:
        file.write(struct.pack("<24f", *row))
END
    "$LINKCTL" embed golden.jsonl --on text -m static -q -o got.npy
    near got.npy wanted.npy
    LINKD_ISA=scalar "$LINKCTL" embed golden.jsonl --on text -m static -q -o scalar.npy
    cmp got.npy scalar.npy
}

@test "a static table links two tables" {
    "$LINKCTL" model add "$golden/static" --name static -q
    tables_make
    "$LINKCTL" link left.csv right.csv -m static -q --min-score 0.5 -o out.csv
    [ "$(tail -n +2 out.csv | cut -d, -f1,2 | grep -c -e 1,r2 -e 2,r3 -e 3,r1)" -eq 3 ]
}

@test "dense layers come with the model and make its vectors shorter" {
    cp -r "$golden/mpnet-dense" dense
    words_put dense
    "$LINKCTL" model add dense --name dense -q
    [ -f store/dense/3_Dense/model.safetensors ]
    "$LINKCTL" embed t.csv --on name -m dense -q -o a.npy --precision f32
    [ "$(fact a.npy dim)" = 12 ]
    sed -i 's/Tanh/ReLU/' dense/2_Dense/config.json
    "$LINKCTL" embed t.csv --on name -m dense/ -q -o b.npy --precision f32
    [ "$(fact a.npy fingerprint)" != "$(fact b.npy fingerprint)" ]
    rm dense/2_Dense/model.safetensors
    refused 1 model.safetensors "$LINKCTL" embed t.csv -m dense/ -o c.npy
}

@test "a prompt goes before every text, by name, by its text or by default" {
    cp -r "$golden/modernbert" model
    words_put model
    echo '{"prompts": {"query": "the street ", "document": ""}}' >model/config_sentence_transformers.json
    printf 'id,name\na,cafe\nb,hello\n' >t.csv
    printf 'id,name\na,the street cafe\nb,the street hello\n' >long.csv
    embed() { "$LINKCTL" embed "$1" --on name -m model/ -q --precision f32 "${@:2}"; }
    embed t.csv -o plain.npy
    embed long.csv -o wanted.npy
    embed t.csv -o named.npy --prompt query
    embed t.csv -o text.npy --prompt-text 'the street '
    embed t.csv -o document.npy --prompt document
    cmp named.npy wanted.npy
    cmp text.npy wanted.npy
    cmp document.npy plain.npy
    run -1 cmp -s plain.npy wanted.npy
    sed -i 's/}}/}, "default_prompt_name": "query"}/' model/config_sentence_transformers.json
    embed t.csv -o default.npy
    cmp default.npy wanted.npy
    [ "$(fact default.npy fingerprint)" != "$(fact plain.npy fingerprint)" ]
    embed t.csv -o none.npy --prompt none
    cmp none.npy plain.npy
    refused 2 'has no prompt "passage"' \
        "$LINKCTL" embed t.csv -m model/ --prompt passage -o x.npy
    refused 2 'excludes --prompt-text' \
        "$LINKCTL" embed t.csv -m model/ --prompt query --prompt-text x -o x.npy
    mkdir model/1_Pooling
    echo '{"pooling_mode_mean_tokens": true, "include_prompt": false}' >model/1_Pooling/config.json
    refused 1 'include_prompt false is not supported' \
        "$LINKCTL" embed t.csv -m model/ -o x.npy
}

@test "link and dedup put the prompt of records before both sides" {
    cp -r "$golden/modernbert" model
    words_put model
    cp -r model prompted
    echo '{"prompts": {"query": "hello ", "passage": "the street "}}' \
        >prompted/config_sentence_transformers.json
    printf 'id,name\na,cafe\nb,hello\nc,the\n' >l.csv
    printf 'id,name\nx,street\ny,cafe hello\nz,the the\n' >r.csv
    sed 's/,\([^n]\)/,the street \1/' l.csv >l2.csv
    sed 's/,\([^n]\)/,the street \1/' r.csv >r2.csv
    link() { "$LINKCTL" link "$1" "$2" -m "$3" --on name --id id --min-score -1 -q -o "$4"; }
    link l.csv r.csv prompted/ a.csv
    link l2.csv r2.csv model/ b.csv
    link l.csv r.csv model/ c.csv
    cmp a.csv b.csv
    run -1 cmp -s a.csv c.csv
}

@test "do_lower_case of sentence_bert_config.json makes texts lower case" {
    cp -r "$golden/modernbert" model
    words_put model
    echo '{"do_lower_case": false}' >model/tokenizer_config.json
    printf 'id,name\na,cafe\nb,hello\n' >t.csv
    printf 'id,name\na,CAFE\nb,Hello\n' >upper.csv
    embed() { "$LINKCTL" embed "$1" --on name -m model/ -q --precision f32 -o "$2"; }
    embed t.csv plain.npy
    embed upper.csv cased.npy
    echo '{"max_seq_length": 64, "do_lower_case": true}' >model/sentence_bert_config.json
    embed upper.csv lower.npy
    run -1 cmp -s cased.npy plain.npy
    cmp lower.npy plain.npy
    [ "$(fact lower.npy fingerprint)" != "$(fact plain.npy fingerprint)" ]
    sed -i 's/false/true/' model/tokenizer_config.json
    embed upper.csv same.npy
    rm model/sentence_bert_config.json
    embed upper.csv usual.npy
    cmp same.npy usual.npy
}

@test "a text that is too long loses the side that tokenizer_config.json names" {
    cp -r "$golden/modernbert" model
    words_put model
    printf 'id,name\na,the cafe street hello\n' >t.csv
    printf 'id,name\na,street hello\n' >end.csv
    printf 'id,name\na,the cafe\n' >begin.csv
    embed() { "$LINKCTL" embed "$1" --on name -m model/ -q --precision f32 -o "$2"; }
    echo '{"model_max_length": 4}' >model/tokenizer_config.json
    embed t.csv a.npy
    embed begin.csv b.npy
    cmp a.npy b.npy
    echo '{"model_max_length": 4, "truncation_side": "left"}' >model/tokenizer_config.json
    embed t.csv a.npy
    embed end.csv b.npy
    cmp a.npy b.npy
}

@test "a tokenizer with an expression of its own is read, another is refused by name" {
    cp -r "$golden/static" model
    python3 - <<'END'
import json
file = json.load(open("model/tokenizer.json"))
file["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "\\s+"},
                         "behavior": "Removed", "invert": False}
json.dump(file, open("model/tokenizer.json", "w"))
END
    printf 'id,name\na,the   cafe\nb,the cafe\n' >t.csv
    "$LINKCTL" embed t.csv --on name -m model/ -q -o v.npy
    python3 - <<'END'
data = open("v.npy", "rb").read()[128:]
assert data[:96] == data[96:]
END
    sed -i 's/\\\\s+/^a/' model/tokenizer.json
    refused 1 'pre_tokenizer.pattern "^a": "^" is not supported here' \
        "$LINKCTL" embed t.csv -m model/ -o v2.npy
}
