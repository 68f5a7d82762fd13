#!/usr/bin/env bats
# Collections of records with pictures in a linkd that really runs, by tiny checkpoints.
load helpers
load daemon

golden=$BATS_TEST_DIRNAME/../golden

setup() {
    work_enter
    export LINKD_MODELS=$work/models
    mkdir models
    cp -r "$golden/clip" models/clip
    cp -r "$golden/vision/bare" models/vit
    cp -r "$golden/vision/dinov2-larger" models/dino
    daemon_start clip
}

goods_make() {
    mkdir goods
    cp -r "$golden/image" goods/pictures
    head -c 300 goods/pictures/jpeg-95-0.jpg >goods/pictures/cut.jpg
    cat >goods/goods.csv <<'END'
sku,title,photo,kind
a,the café,pictures/turned-1.png,x
b,12 GmbH,pictures/jpeg-95-0.jpg,x
c,hello,pictures/turned-1.png,y
d,,,x
e,12 GmbH,pictures/cut.jpg,x
f,12 GmbH,pictures/gone.png,x
END
    "$LINKCTL" collection create goods --image photo --on title --model clip -q
}

ids() { # of lines of JSON
    sed 's/^{"id":"\([^"]*\)".*/\1/' | tr '\n' ' '
}

@test "import reads the files beside the table, and says which it cannot use" {
    goods_make
    run --separate-stderr "$LINKCTL" collection import goods goods/goods.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"row 5: pictures/cut.jpg: JPEG image is cut off"* ]]
    [[ "$stderr" == *"row 6: pictures/gone.png: No such file or directory"* ]]
    [[ "$stderr" == *"1 row without image, 2 images that cannot be used"* ]]
    [[ "$stderr" == *"6 rows: 6 created, 0 replaced"* ]]
    "$LINKCTL" collection info goods | grep -q '^vectors: *5$'
}

@test "search by a file, by text, and by both" {
    goods_make
    "$LINKCTL" collection import goods goods/goods.csv -q
    [ "$("$LINKCTL" search goods 'the café' --image goods/pictures/turned-1.png --threshold 0.9999 | ids)" = "a " ]
    [ "$("$LINKCTL" search goods '12 GmbH' --threshold 0.9999 | ids)" = "e f " ]
    "$LINKCTL" collection create pictures --image photo --model vit -q
    "$LINKCTL" collection import pictures goods/goods.csv -q
    run --separate-stderr "$LINKCTL" search pictures --image goods/pictures/turned-1.png \
        --threshold 0.9999
    [ "$(ids <<<"$output")" = "a c " ]
    # a hit shows no picture, unless it is asked for
    [[ "$output" != *base64* ]]
    "$LINKCTL" search pictures --record a --fields photo -k 1 |
        grep -q 'data:image/png;name=pictures/turned-1.png;base64,'
}

@test "a CLIP with vocab.json and merges.txt is searched by text, too" {
    clip_vocab_make models/openai
    goods_make
    "$LINKCTL" collection create more --image photo --on title --model openai -q
    "$LINKCTL" collection import more goods/goods.csv -q
    [ "$("$LINKCTL" search more '12 GmbH' --threshold 0.9999 | ids)" = "e f " ]
}

@test "what cannot be searched by is refused" {
    goods_make
    run --separate-stderr "$LINKCTL" search goods --image nowhere.png
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"nowhere.png: No such file or directory"* ]]
    run --separate-stderr "$LINKCTL" search goods --image goods/goods.csv
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"image is no JPEG, PNG or WebP file"* ]]
    run --separate-stderr "$LINKCTL" search goods --image x.png --record a
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"exclude each other"* ]]
    run --separate-stderr "$LINKCTL" collection create x --on title --model vit
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"reads pictures alone"* ]]
}

@test "what is exported can be imported, and compared as a file" {
    goods_make
    "$LINKCTL" collection import goods goods/goods.csv -q
    "$LINKCTL" collection export goods --id sku -q -o out.csv
    "$LINKCTL" collection create again --image photo --on title --model clip -q
    "$LINKCTL" collection import again out.csv -q
    "$LINKCTL" collection export again --id sku -q -o again.csv
    cmp out.csv again.csv
    "$LINKCTL" dedup out.csv --image photo --model models/vit --min-score 0.9999 -q -o entities.csv
    [ "$(tail -n +2 entities.csv | sed 's/.*,//' | tr '\n' ' ')" = "1 2 1 3 4 5 " ]
}

@test "a dedup job finds what dedup of the file finds" {
    goods_make
    "$LINKCTL" collection create pictures --image photo --model vit -q
    "$LINKCTL" collection import pictures goods/goods.csv -q
    "$LINKCTL" dedup collection:pictures --min-score 0.9999 -q -o job.csv
    "$LINKCTL" dedup goods/goods.csv --image photo --model models/vit --min-score 0.9999 -q -o file.csv
    [ "$(tail -n +2 job.csv | sed 's/.*,//')" = "$(tail -n +2 file.csv | sed 's/.*,//')" ]
}

@test "a collection of pictures gets another model, and goes back" {
    local picture i row part
    picture=$(base64 -w0 "$golden/image/jpeg-95-0.jpg")
    echo id,photo >parts.csv
    for i in $(seq 0 119); do # parts of a picture are pictures of their own
        row=$((i / 11))
        part=$((i % 11 * 4)),$((row * 4)),$((40 + i % 7)),$((40 + i % 5))
        echo "r$i,\"data:image/jpeg;base64,$picture#xywh=percent:$part\""
    done >>parts.csv
    "$LINKCTL" collection create parts --image photo --model vit -q
    "$LINKCTL" collection import parts parts.csv -q
    run --separate-stderr "$LINKCTL" upgrade probe parts --model dino
    [ "$status" -eq 0 ]
    [[ "$output$stderr" == *"MRR@10 of 24 queries made from the records themselves"* ]]
    "$LINKCTL" upgrade start parts --model dino -q
    "$LINKCTL" search parts --record r7 -k 1 | grep -q '"generation":1'
    "$LINKCTL" upgrade backfill parts -q
    "$LINKCTL" search parts --record r7 -k 1 | grep -q '"generation":2'
    "$LINKCTL" upgrade rollback parts -q
    "$LINKCTL" search parts --record r7 -k 1 | grep -q '"generation":1'
    run --separate-stderr "$LINKCTL" upgrade start parts --model none-such
    [ "$status" -ne 0 ]
}
