#!/usr/bin/env bats
# Columns of pictures by an image model: dedup, link, and collections of CLIP's vectors.
load helpers

clip=$BATS_TEST_DIRNAME/../golden/clip
vit=$BATS_TEST_DIRNAME/../golden/vision/bare

goods_make() {
    cp -r "$BATS_TEST_DIRNAME/../golden/image" pictures
    head -c 300 pictures/jpeg-95-0.jpg >pictures/cut.jpg
    cat >goods.csv <<'EOF'
id,title,photo,kind
a,the café,pictures/turned-1.png,x
b,12 GmbH,pictures/jpeg-95-0.jpg,x
c,hello,pictures/turned-1.png,x
d,the café,pictures/turned-1.png,y
e,,,x
f,12 GmbH,pictures/cut.jpg,x
EOF
}

@test "dedup by pictures' vectors: one picture is one entity, in any block" {
    goods_make
    run --separate-stderr "$LINKCTL" dedup goods.csv --image photo --model "$clip" \
        --min-score 0.9999 -o out.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"row 6: pictures/cut.jpg: JPEG image is cut off"* ]]
    [[ "$stderr" == *"6 rows: 4 entities"* ]]
    [[ "$stderr" == *"2 rows that nothing could be compared of"* ]]
    [ "$(tail -n +2 out.csv | cut -d, -f5 | tr '\n' ' ')" = "1 2 1 1 3 4 " ]
    grep -q '"unreadable_images": 1' out.csv.manifest.json
    grep -q '"architecture": "clip"' out.csv.manifest.json
    "$LINKCTL" dedup goods.csv --image photo --model "$clip" --min-score 0.9999 --block kind \
        -q -o blocked.csv
    [ "$(tail -n +2 blocked.csv | cut -d, -f5 | tr '\n' ' ')" = "1 2 1 3 4 5 " ]
}

@test "texts of --on and pictures are one vector by CLIP, on any number of threads" {
    goods_make
    "$LINKCTL" dedup goods.csv --image photo --on title --model "$clip" --min-score 0.9999 \
        -j 1 -q -o one.csv
    "$LINKCTL" dedup goods.csv --image photo --on title --model "$clip" --min-score 0.9999 \
        -j 2 -q -o two.csv
    cmp one.csv two.csv
    # c has a's picture and another title; f, without a picture, is not b
    [ "$(tail -n +2 one.csv | cut -d, -f5 | tr '\n' ' ')" = "1 2 3 1 4 5 " ]
}

@test "link by pictures: what cannot be read is named by file, column and row" {
    goods_make
    mkdir other
    cp -r pictures other/pics
    printf 'id,photo\n1,pics/jpeg-95-0.jpg\n2,pics/gone.png\n3,pics/turned-1.png\n' >other/r.csv
    run --separate-stderr "$LINKCTL" link goods.csv other/r.csv --image photo --model "$vit" \
        --min-score 0.9999 --assign many-to-many -o pairs.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"goods.csv, photo, row 6: pictures/cut.jpg: JPEG image is cut off"* ]]
    [[ "$stderr" == *"other/r.csv, photo, row 2: pics/gone.png: No such file or directory"* ]]
    [ "$(tail -n +2 pairs.csv | cut -d, -f1,2 | tr '\n' ' ')" = "a,3 b,1 c,3 d,3 " ]
    grep -q '"unreadable_images": 2' pairs.csv.manifest.json
}

@test "options that do not go with pictures' vectors are refused" {
    goods_make
    run --separate-stderr "$LINKCTL" dedup goods.csv --image photo --on title --model "$clip"
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"--image by a model needs --min-score"* ]]
    run --separate-stderr "$LINKCTL" dedup goods.csv --image photo --model "$clip"
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"4 pictures do not show how alike strangers are, as 50 do"* ]]
    run --separate-stderr "$LINKCTL" dedup goods.csv --image photo --model "$clip" \
        --min-score 0.9 --max-distance 3
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"--image by a model excludes --max-distance"* ]]
    run --separate-stderr "$LINKCTL" link goods.csv goods.csv --image photo --min-score 0.9
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"--image needs an image model"* ]]
    run --separate-stderr "$LINKCTL" link goods.csv goods.csv --upright
    [ "$status" -eq 2 ]
    run --separate-stderr "$LINKCTL" dedup goods.csv --image photo --on title --model "$vit" \
        --min-score 0.9
    [ "$status" -eq 1 ]
    [[ "$stderr" == *'model_type "vit" is not supported'* ]]
}

@test "--merge-tokens gives a ViT's pictures other vectors, the same on any threads" {
    goods_make
    for n in 0 2; do
        for j in 1 2; do
            "$LINKCTL" embed goods.csv --image photo --model "$vit" --precision f32 \
                --merge-tokens $n -j $j -q -o "$n-$j.jsonl"
        done
        cmp $n-1.jsonl $n-2.jsonl
    done
    "$LINKCTL" embed goods.csv --image photo --model "$vit" --precision f32 -q -o plain.jsonl
    cmp plain.jsonl 0-1.jsonl
    run ! cmp -s plain.jsonl 2-1.jsonl
    [ "$(grep fingerprint plain.jsonl.manifest.json)" != "$(grep fingerprint 2-1.jsonl.manifest.json)" ]
    "$LINKCTL" dedup goods.csv --image photo --model "$vit" --min-score 0.9999 \
        --merge-tokens 2 -q -o out.csv
    [ "$(tail -n +2 out.csv | cut -d, -f5 | tr '\n' ' ')" = "1 2 1 1 3 4 " ]
    "$LINKCTL" link goods.csv goods.csv --image photo --model "$vit" --min-score 0.9999 \
        --merge-tokens 2 -q -o pairs.csv
    grep -q '"merge-tokens"' pairs.csv.manifest.json
}

@test "--merge-tokens needs pictures, and a ViT or DINOv2" {
    goods_make
    for command in "embed goods.csv" "dedup goods.csv" "link goods.csv goods.csv"; do
        # shellcheck disable=SC2086
        run --separate-stderr "$LINKCTL" $command --merge-tokens 2
        [ "$status" -eq 2 ]
        [[ "$stderr" == *"--merge-tokens needs --image"* ]]
    done
    run --separate-stderr "$LINKCTL" dedup goods.csv --image photo --merge-tokens 2
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"--image excludes --merge-tokens"* ]]
    run --separate-stderr "$LINKCTL" embed goods.csv --image photo --model "$clip" --merge-tokens 2
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"tokens of a clip model cannot be merged, only of vit and dinov2"* ]]
}

@test "without --min-score what stands out by hash and vector is one entity" {
    cp -r "$BATS_TEST_DIRNAME/../golden/image" pictures
    (
        echo id,file
        ls pictures | grep -E '\.(jpg|png|webp)$' | awk '{ print NR ",pictures/" $0 }'
        echo again,pictures/turned-1.png
        echo none,
    ) >t.csv
    run --separate-stderr "$LINKCTL" dedup t.csv --image file --model "$vit" -j 1 \
        --pairs one-pairs.csv -o one.csv
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"pairs from a score of "*" on: one pair of strangers in "* ]]
    "$LINKCTL" dedup t.csv --image file --model "$vit" -j 2 -q --pairs two-pairs.csv -o two.csv
    cmp one.csv two.csv
    cmp one-pairs.csv two-pairs.csv
    first=$(grep pictures/turned-1.png one.csv | head -n 1 | cut -d, -f3)
    [ "$(grep ^again, one.csv | cut -d, -f3)" = "$first" ]
    # jpeg-95-0 is another scene
    [ "$(grep pictures/jpeg-95-0.jpg one.csv | cut -d, -f3)" != "$first" ]
    # the copy is in a block of its own
    awk -F, -v OFS=, 'NR == 1 { print $0, "kind" } NR > 1 { print $0, $1 == "again" ? "x" : "y" }' \
        t.csv >kinds.csv
    "$LINKCTL" dedup kinds.csv --image file --model "$vit" --block kind -q -o blocked.csv
    first=$(grep pictures/turned-1.png blocked.csv | head -n 1 | cut -d, -f4)
    [ "$(grep ^again, blocked.csv | cut -d, -f4)" != "$first" ]
    # without pictures that are alike there is nothing to find
    grep -E 'id|jpeg-95|png-6-8|none' one.csv | cut -d, -f1,2 >few.csv
    run "$LINKCTL" dedup few.csv --image file --model "$vit" -q -o few-out.csv
    [ "$status" -eq 2 ]
}
