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
