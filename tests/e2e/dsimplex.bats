#!/usr/bin/env bats
# --head dsimplex: a collection whose model has a head that is learnt from
# labels, and a later model that compares without a map.
load helpers
load daemon

setup_file() {
    model_make
    "$MAKE_TINY_MODEL" "$LINKD_MODELS/other" 7
}

setup() {
    work_enter
    daemon_start
    # 40 firms, each of them written in several ways, and some that nobody knows
    python3 - <<'END'
import random
random.seed(3)
letters = "abcdefghijklmnopqrstuvwxyz"
firms = [" ".join("".join(random.choices(letters, k=6)) for _ in range(3))
         for _ in range(40)]
def other(name):
    i = random.randrange(len(name))
    return name[:i] + random.choice(letters) + name[i + 1:]
with open("labels.csv", "w") as out:
    out.write("id,name,entity\n")
    for i in range(400):
        out.write(f"l{i},{other(firms[i % 40])},e{i % 40}\n")
    out.write("l400,somebody else,\nl401,,e3\n")
with open("firms.csv", "w") as out:
    out.write("id,name\n")
    for i in range(160):
        out.write(f"{i},{other(firms[i % 40])}\n")
END
}

teardown() {
    work_leave
    rm -rf "$LINKD_MODELS"/*+*
}

create() {
    "$LINKCTL" collection create firms --on name --model tiny --head dsimplex \
        --labels labels.csv --classes 48 "$@"
}

@test "models with a head follow one another without a map" {
    run --separate-stderr create
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"made model tiny+firms: 47 dimensions, from 400 records;"* ]]
    "$LINKCTL" collection import firms firms.csv -q
    [ "$("$LINKCTL" collection info firms --json | jq -r '"\(.model) \(.dim)"')" = "tiny+firms 47" ]
    query=$(sed -n 7p firms.csv | cut -d, -f2)
    [ "$("$LINKCTL" search firms "$query" -k 1 | jq -r .id)" = 5 ]

    run --separate-stderr "$LINKCTL" upgrade start firms --model other --head dsimplex \
        --labels labels.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"made model other+firms: 47 dimensions"* ]]
    [[ "$stderr" == *"other+firms serves collection firms"* ]]
    [[ "$output" == *", dsimplex)"* ]]
    [ "$("$LINKCTL" search firms "$query" -k 1 | jq -r .id)" = 5 ]
    "$LINKCTL" upgrade backfill firms -q >/dev/null
    [ "$("$LINKCTL" search firms "$query" -k 1 | jq -r .id)" = 5 ]
    "$LINKCTL" upgrade rollback firms -q >/dev/null
    # the model is there: its labels are not needed again
    "$LINKCTL" upgrade start firms --model other+firms --head dsimplex -q >/dev/null
    "$LINKCTL" fsck -q
}

@test "a later head learns to be near to the earlier one" {
    create -q
    "$LINKCTL" collection import firms firms.csv -q
    "$LINKCTL" upgrade probe firms --model other --head dsimplex --labels labels.csv -q >/dev/null
    mv "$LINKD_MODELS/other+firms" near
    # without the model that was under the earlier head it is learnt all the same
    mv "$LINKD_MODELS/tiny" hidden
    run "$LINKCTL" upgrade probe firms --model other --head dsimplex --labels labels.csv -q
    mv hidden "$LINKD_MODELS/tiny"
    [ -s "$LINKD_MODELS/other+firms/head.map" ]
    run ! cmp near/head.map "$LINKD_MODELS/other+firms/head.map"
}

@test "the same labels make the same head" {
    create -q
    cp "$LINKD_MODELS/tiny+firms/head.map" one
    "$LINKCTL" collection drop firms -q
    rm -r "$LINKD_MODELS/tiny+firms"
    create -q
    cmp one "$LINKD_MODELS/tiny+firms/head.map"
}

@test "the same labels take the head that is there, others do not" {
    create -q
    "$LINKCTL" collection drop firms -q
    run --separate-stderr create
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"model tiny+firms is there already, learnt from these labels"* ]]
    "$LINKCTL" collection import firms firms.csv -q
    # a probe with wrong labels leaves a head, which a start with others does not take
    sed 's/^l\([0-9]\),/x\1,/; 5s/,[^,]*,/,another,/' labels.csv >wrong.csv
    "$LINKCTL" upgrade probe firms --model other --head dsimplex --labels wrong.csv -q >/dev/null
    cp "$LINKD_MODELS/other+firms/head.map" before
    run --separate-stderr "$LINKCTL" upgrade start firms --model other --head dsimplex --labels labels.csv -q
    [ "$status" -eq 2 ]
    [[ "$stderr" == *'there is a model "other+firms" already, which was not learnt from these labels'* ]]
    [[ "$stderr" == *"hint: if no collection has it: rm -r "*"/other+firms" ]]
    cmp before "$LINKD_MODELS/other+firms/head.map"
    rm -r "$LINKD_MODELS/other+firms"
    "$LINKCTL" upgrade probe firms --model other --head dsimplex --labels labels.csv -q >/dev/null
    "$LINKCTL" upgrade start firms --model other --head dsimplex --labels labels.csv -q >/dev/null
    [[ "$("$LINKCTL" upgrade status firms)" == *"2  serving  other+firms "* ]]
}

@test "entities keep their numbers in a later file" {
    create -q
    "$LINKCTL" collection import firms firms.csv -q
    { head -1 labels.csv && tail -n +2 labels.csv | tac; } >turned.csv
    refused 1 "the first 40 entities of turned.csv are others than those that model tiny+firms was learnt from" \
        "$LINKCTL" upgrade probe firms --model other --head dsimplex --labels turned.csv -q
    head -20 labels.csv >fewer.csv
    refused 1 "the first 40 entities of fewer.csv" \
        "$LINKCTL" upgrade probe firms --model other --head dsimplex --labels fewer.csv -q
    run ls -d "$LINKD_MODELS/other+firms"
    [ "$status" -ne 0 ]
    # more of them at the end are fine
    cp labels.csv more.csv
    for i in 1 2 3; do echo "m$i,zygote quartz $i,new" >>more.csv; done
    "$LINKCTL" upgrade probe firms --model other --head dsimplex --labels more.csv -q >/dev/null
}

@test "a head is listed and verified" {
    create -q
    "$LINKCTL" model list | grep -Eq '^tiny\+firms +head +47 +[0-9.]+ kB  tiny$'
    [ "$("$LINKCTL" model verify tiny+firms)" = "tiny+firms: a head on tiny, by its own checksum as learnt" ]
    printf x | dd of="$LINKD_MODELS/tiny+firms/head.map" bs=1 seek=900 conv=notrunc status=none
    refused 1 "tiny+firms: head.map: " "$LINKCTL" model verify tiny+firms
}

@test "a collection without a head gets one, and its vectors are mapped" {
    "$LINKCTL" collection create firms --on name -q
    "$LINKCTL" collection import firms firms.csv -q
    "$LINKCTL" upgrade start firms --model tiny --head dsimplex --labels labels.csv -q >/dev/null
    before=$(curl -s --unix-socket s http://x/metrics | grep '^linkd_encoder_texts_total ')
    [ "$("$LINKCTL" upgrade backfill firms)" = "160 records moved, 0 texts encoded" ]
    [ "$(curl -s --unix-socket s http://x/metrics | grep '^linkd_encoder_texts_total ')" = "$before" ]
    [ "$("$LINKCTL" collection info firms --json | jq -r '"\(.model) \(.dim)"')" = "tiny+firms 1023" ]
}

@test "two models without such a head are not taken for comparable" {
    "$LINKCTL" collection create firms --on name -q
    "$LINKCTL" collection import firms firms.csv -q
    for command in probe start; do
        run --separate-stderr "$LINKCTL" upgrade "$command" firms --model other --head dsimplex -q
        [ "$status" -eq 2 ]
        [[ "$stderr" == *'"dsimplex" is for two models that have such a head: "other" has none'* ]]
        [[ "$stderr" == *"hint: --labels FILE gives the new model such a head" ]]
    done
    [[ "$("$LINKCTL" upgrade status firms)" == *"1  serving  tiny "* ]]
}

@test "what cannot be learnt from is refused, and leaves nothing" {
    refused 2 "--head needs --model, which gets it, and --labels" \
        "$LINKCTL" collection create x --head dsimplex --labels labels.csv
    refused 2 "--labels needs --head" "$LINKCTL" collection create x --labels labels.csv
    refused 2 "not a path" "$LINKCTL" collection create x --model ./tiny --head dsimplex \
        --labels labels.csv
    refused 1 'firms.csv has no column "entity"' "$LINKCTL" collection create x --model tiny \
        --head dsimplex --labels firms.csv
    refused 2 "entity beyond the 30" "$LINKCTL" collection create x --model tiny \
        --head dsimplex --labels labels.csv --classes 30
    sed 's/,e[0-9]*$/,same/' labels.csv >one.csv
    refused 2 "all labels are the same" "$LINKCTL" collection create x --model tiny \
        --head dsimplex --labels one.csv
    head -20 labels.csv >few.csv
    refused 2 "too few" "$LINKCTL" collection create x --model tiny --head dsimplex \
        --labels few.csv
    run ls -d "$LINKD_MODELS"/*+*
    [ "$status" -ne 0 ]
    run ls -d "$LINKD_MODELS"/.head*
    [ "$status" -ne 0 ]
    create -q
    refused 2 "is a head on tiny: it is for collections of linkd" \
        "$LINKCTL" embed firms.csv --model tiny+firms -o v.npy
}
