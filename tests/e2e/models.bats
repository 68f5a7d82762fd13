#!/usr/bin/env bats
# linkctl model, and models that are not what they should be.
load helpers

setup_file() {
    export ORIGINAL=$BATS_FILE_TMPDIR/original
    "$MAKE_TINY_MODEL" "$ORIGINAL"
}

setup() {
    mkdir "$BATS_TEST_TMPDIR/work"
    cd "$BATS_TEST_TMPDIR/work" || return 1
    export LINKD_MODELS=$BATS_TEST_TMPDIR/work/store
    mkdir store
    cp -r "$ORIGINAL" model
}

teardown() {
    [ -z "${hub:-}" ] || kill "$hub"
}

# zip_make FILE NAME=PATH...: an archive of files under other names
zip_make() {
    python3 - "$@" <<'END'
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    for pair in sys.argv[2:]:
        name, path = pair.split("=")
        entry = zipfile.ZipInfo(name)  # write() would tidy the name
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, open(path, "rb").read())
END
}

wheel_make() {
    zip_make "$1" pkg/__init__.py=/dev/null pkg/m/config.json=model/config.json \
        pkg/m/vocab.txt=model/vocab.txt \
        pkg/m/model.safetensors=model/model.safetensors
}

@test "a directory is added, listed, described and verified" {
    "$LINKCTL" model add model --name tiny
    [[ "$("$LINKCTL" model list)" == *"tiny"*"bert"*"32"* ]]
    [ "$(LINKD_MODELS=/nonexistent "$LINKCTL" model list)" = \
        "there is no model in /nonexistent" ]
    "$LINKCTL" model list --json | python3 -c '
import json, sys
models = json.load(sys.stdin)
assert [m["name"] for m in models] == ["tiny"]
assert set(models[0]["files"]) == {"config.json", "vocab.txt", "model.safetensors"}'
    [[ "$("$LINKCTL" model info tiny)" == *"32 numbers, mean pooling"* ]]
    [ "$("$LINKCTL" model verify tiny | cut -d, -f1)" = "tiny: 3 files" ]
}

@test "an image model is added, listed, described and verified" {
    cp -r "$BATS_TEST_DIRNAME/../golden/vision/bare" vit
    "$LINKCTL" model add vit -q
    [[ "$("$LINKCTL" model list)" == *"vit "*" vit "* ]]
    "$LINKCTL" model list --json | python3 -c '
import json, sys
(model,) = json.load(sys.stdin)
assert (model["architecture"], model["reads"]) == ("vit", "pictures")
assert set(model["files"]) == {"config.json", "preprocessor_config.json", "model.safetensors"}'
    "$LINKCTL" model info vit >shown
    grep -q '^reads  *pictures$' shown
    grep -q '^architecture  vit, ' shown
    [ "$("$LINKCTL" model verify | sed 's/,.*recorded//')" = "vit: 3 files (vit, reads pictures)" ]
    rm vit/preprocessor_config.json
    refused 1 preprocessor_config.json "$LINKCTL" model add vit --name again
}

@test "CLIP comes with the files of both its towers, of a directory or an archive" {
    clip_vocab_make clip
    zip_make clip.zip m/config.json=clip/config.json m/vocab.json=clip/vocab.json \
        m/merges.txt=clip/merges.txt m/model.safetensors=clip/model.safetensors \
        m/preprocessor_config.json=clip/preprocessor_config.json
    "$LINKCTL" model add clip -q
    "$LINKCTL" model add clip.zip --name zipped -q
    for name in clip zipped; do
        diff -r -x 'linkd-*' clip "store/$name"
        grep -q '"reads": "texts and pictures"' "store/$name/linkd-model.json"
    done
    "$LINKCTL" model info clip >shown
    grep -q '^tokenizer  *bpe' shown
    grep -q '^pictures  *made 32 x 32$' shown
    # one space, one fingerprint
    [ "$(grep -c ^fingerprint shown)" -eq 2 ]
    [ "$(grep ^fingerprint shown | uniq | wc -l)" -eq 1 ]
}

@test "a changed file is noticed" {
    "$LINKCTL" model add model --name tiny -q
    printf x >>store/tiny/vocab.txt
    refused 1 'store/tiny/vocab.txt has changed' "$LINKCTL" model verify
}

@test "a wheel is added under the name of its package" {
    wheel_make some_model-0.1.0-py3-none-any.whl
    "$LINKCTL" model add some_model-0.1.0-py3-none-any.whl -q
    cmp store/some_model/model.safetensors model/model.safetensors
    [ "$(ls -A store)" = some_model ]
}

@test "a name that is taken or cannot be one is refused" {
    "$LINKCTL" model add model --name tiny -q
    refused 2 'there is a model "tiny" already' "$LINKCTL" model add model --name tiny
    refused 2 'cannot be a model'"'"'s name' "$LINKCTL" model add model --name ../x
}

@test "an unknown model is answered with where it was looked for" {
    refused 2 "store" "$LINKCTL" model info nonesuch
    [[ "${stderr_lines[1]}" == *"linkctl model pull"* ]]
}

@test "an archive with paths out of it, or links, is refused" {
    zip_make evil.zip config.json=model/config.json \
        model.safetensors=model/model.safetensors ../../evil=model/vocab.txt
    refused 1 '../../evil: the path leaves the archive' "$LINKCTL" model add evil.zip
    zip_make evil.zip config.json=model/config.json \
        model.safetensors=model/model.safetensors /evil=model/vocab.txt
    refused 1 '/evil: the path leaves the archive' "$LINKCTL" model add evil.zip
    python3 - <<'END'
import stat, zipfile
with zipfile.ZipFile("evil.zip", "w") as archive:
    archive.write("model/config.json", "config.json")
    archive.write("model/model.safetensors", "model.safetensors")
    link = zipfile.ZipInfo("vocab.txt")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(link, "/etc/passwd")
END
    refused 1 'vocab.txt: it is a link' "$LINKCTL" model add evil.zip
}

@test "an archive that unpacks to too much is refused" {
    head -c 70000000 /dev/zero >big
    zip_make bomb.zip config.json=model/config.json vocab.txt=big \
        model.safetensors=model/model.safetensors
    refused 1 'vocab.txt: it is too large' "$LINKCTL" model add bomb.zip
}

@test "an archive with no model, several models, or no archive at all" {
    zip_make none.zip a/config.json=model/config.json
    refused 1 'no folder in it holds both' "$LINKCTL" model add none.zip
    zip_make two.zip a/config.json=model/config.json b/config.json=model/config.json \
        a/model.safetensors=model/model.safetensors \
        b/model.safetensors=model/model.safetensors
    refused 1 'it holds several models' "$LINKCTL" model add two.zip
    echo hello >text.zip
    refused 1 'cannot import text.zip' "$LINKCTL" model add text.zip
    refused 1 'could not read nothing' "$LINKCTL" model add nothing
}

@test "pickled weights are refused, as a file and in an archive" {
    mv model/model.safetensors model/pytorch_model.bin
    refused 1 'its weights are pickled' "$LINKCTL" model add model
    refused 1 'pickle' "$LINKCTL" model info ./model
    zip_make p.zip m/config.json=model/config.json \
        m/pytorch_model.bin=model/pytorch_model.bin
    refused 1 'its weights are pickled' "$LINKCTL" model add p.zip
}

@test "a pickle under the name of safetensors is refused" {
    python3 -c 'import pickle; pickle.dump({"a": 1}, open("model/model.safetensors", "wb"))'
    refused 1 'model.safetensors: ' "$LINKCTL" model add model
    printf 'id,name\n1,a\n' >t.csv
    refused 1 'model.safetensors: ' "$LINKCTL" dedup t.csv -m ./model -q -o o.csv
}

@test "truncated and lying safetensors headers are refused" {
    printf 'id,name\n1,a\n' >t.csv
    truncate -s 1000 model/model.safetensors
    refused 1 'model.safetensors: is cut off' \
        "$LINKCTL" dedup t.csv -m ./model -q -o o.csv
    truncate -s 4 model/model.safetensors
    refused 1 'model.safetensors: is cut off' "$LINKCTL" model add model
    cp "$ORIGINAL/model.safetensors" model/
    printf '\xff\xff\xff\xff\xff\xff\xff\x7f' |
        dd of=model/model.safetensors conv=notrunc status=none
    refused 1 'model.safetensors: header of' "$LINKCTL" model add model
    cp "$ORIGINAL/model.safetensors" model/
    truncate -s -4 model/model.safetensors
    refused 1 'lies beyond the end of the file' "$LINKCTL" model add model
}

@test "a shape that does not fit config.json is refused" {
    printf 'id,name\n1,a\n' >t.csv
    sed -i 's/"intermediate_size": 64/"intermediate_size": 48/' model/config.json
    refused 1 'but config.json makes it' "$LINKCTL" embed t.csv -m ./model -q -o o.npy
    refused 1 'but config.json makes it' "$LINKCTL" model add model
}

@test "a tokenizer of a kind that is not supported is refused" {
    echo '{"model": {"type": "WordLevel", "vocab": {}}}' >model/tokenizer.json
    refused 1 'tokenizer of kind "WordLevel" is not supported' \
        "$LINKCTL" model add model
}

# model_shard: the weights of ./model in two files with an index
model_shard() {
    python3 - <<'END'
import json, os, struct
with open("model/model.safetensors", "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    header, data = json.loads(file.read(length)), file.read()
names, weight_map = list(header), {}
for i in range(2):
    part, payload, shard = {}, b"", "model-%05d-of-00002.safetensors" % (i + 1)
    for name in names[i::2]:
        begin, end = header[name]["data_offsets"]
        part[name] = dict(header[name], data_offsets=[len(payload), len(payload) + end - begin])
        payload += data[begin:end]
        weight_map[name] = shard
    text = json.dumps(part).encode()
    with open("model/" + shard, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + payload)
with open("model/model.safetensors.index.json", "w") as file:
    json.dump({"metadata": {}, "weight_map": weight_map}, file)
os.remove("model/model.safetensors")
END
}

@test "a model in shards is added from a directory and from an archive" {
    model_shard
    "$LINKCTL" model add model --name sharded -q
    (cd model && zip_make ../m.zip m/config.json=config.json m/vocab.txt=vocab.txt \
        m/model.safetensors.index.json=model.safetensors.index.json \
        m/model-00001-of-00002.safetensors=model-00001-of-00002.safetensors \
        m/model-00002-of-00002.safetensors=model-00002-of-00002.safetensors)
    "$LINKCTL" model add m.zip --name zipped -q
    "$LINKCTL" model add "$ORIGINAL" --name whole -q
    printf 'id,name\n1,alpha\n2,beta\n' >t.csv
    "$LINKCTL" embed t.csv -m whole -q -o whole.npy
    for name in sharded zipped; do
        diff -r -x 'linkd-*' model "store/$name"
        [ "$("$LINKCTL" model verify "$name" | cut -d, -f1)" = "$name: 5 files" ]
        "$LINKCTL" embed t.csv -m "$name" -q -o out.npy
        cmp out.npy whole.npy
    done
    [ "$(ls -A store)" = "$(printf 'sharded\nwhole\nzipped')" ]
}

@test "a model that lacks a shard is refused, and nothing of it stays" {
    model_shard
    (cd model && zip_make ../m.zip config.json=config.json \
        model.safetensors.index.json=model.safetensors.index.json \
        model-00001-of-00002.safetensors=model-00001-of-00002.safetensors)
    rm model/model-00002-of-00002.safetensors
    refused 1 'model-00002-of-00002.safetensors' "$LINKCTL" model add model
    refused 1 'model-00002-of-00002.safetensors: it is not in the archive' \
        "$LINKCTL" model add m.zip
    rm model/model.safetensors.index.json
    refused 1 'there is neither model.safetensors nor' "$LINKCTL" model add model
    [ -z "$(ls -A store)" ]
}

@test "an index that names anything but shards is refused" {
    rm model/model.safetensors
    for name in ../evil.safetensors .evil.safetensors vocab.txt 'a?b.safetensors' \
        .safetensors; do
        echo "{\"weight_map\": {\"a\": \"$name\"}}" >model/model.safetensors.index.json
        refused 1 'model.safetensors.index.json: ' "$LINKCTL" model add model
    done
    python3 -c '
import json
print(json.dumps({"weight_map": {str(i): "%d.safetensors" % i for i in range(65)}}))' \
        >model/model.safetensors.index.json
    for i in $(seq 0 64); do touch "model/$i.safetensors"; done
    refused 1 'names more than 64 shards' "$LINKCTL" model add model
    [ -z "$(ls -A store)" ]
}

# ---- model pull, from a hub on this machine ---------------------------------

# hub_start [OPTION...]: serves ./hub; its requests are logged in ./requests
hub_start() {
    python3 "$BATS_TEST_DIRNAME/hub_server.py" "$@" >port 2>requests 3>&- &
    hub=$!
    for _ in $(seq 100); do
        [ -s port ] && break
        sleep 0.05
    done
    HF_ENDPOINT=http://127.0.0.1:$(cat port)/
    export HF_ENDPOINT
}

repo_make() { # repo_make OWNER/NAME
    mkdir -p "hub/$1/resolve/main"
    cp model/* "hub/$1/resolve/main/"
}

@test "a bare name is pulled from sentence-transformers and verified" {
    repo_make sentence-transformers/tiny
    hub_start
    "$LINKCTL" model pull tiny -q
    [ "$(ls -A store)" = tiny ]
    cmp store/tiny/model.safetensors model/model.safetensors
    grep -q '"source": "sentence-transformers/tiny"' store/tiny/linkd-model.json
    "$LINKCTL" model verify tiny
}

@test "an image model is pulled with what prepares its pictures" {
    rm -r model
    cp -r "$BATS_TEST_DIRNAME/../golden/clip" model
    repo_make openai/clip
    hub_start
    "$LINKCTL" model pull openai/clip -q
    for file in config.json preprocessor_config.json tokenizer.json model.safetensors; do
        cmp "store/clip/$file" "model/$file"
    done
    [[ "$("$LINKCTL" model verify clip)" == *"(clip, reads texts and pictures)" ]]
}

@test "a full name is stored under its last part or --name" {
    repo_make owner/other
    hub_start
    base=$HF_ENDPOINT
    unset HF_ENDPOINT
    "$LINKCTL" model pull owner/other --base-url "$base" -q
    "$LINKCTL" model pull owner/other --base-url "$base" --name third -q
    [ "$(ls -A store)" = "$(printf 'other\nthird')" ]
}

@test "a download goes on where it stopped" {
    repo_make sentence-transformers/tiny
    hub_start --cut 5000
    run --separate-stderr "$LINKCTL" model pull tiny -q
    [ "$status" -eq 1 ]
    [[ "${stderr_lines[0]}" == "linkctl: could not download model.safetensors"* ]]
    [[ "${stderr_lines[1]}" == "hint: the same command goes on"* ]]
    [ ! -e store/tiny ]
    [ "$(stat -c %s store/.pull-tiny/model.safetensors.part)" -eq 5000 ]
    kill "$hub"
    hub_start
    "$LINKCTL" model pull tiny -q
    grep -q 'model.safetensors bytes=5000-' requests
    cmp store/tiny/model.safetensors model/model.safetensors
    [ "$(ls -A store)" = tiny ]
}

@test "a model in shards is pulled, and goes on in the shard where it stopped" {
    model_shard
    repo_make sentence-transformers/tiny
    cut=$(stat -c %s model/model-00001-of-00002.safetensors)
    [ "$cut" -lt "$(stat -c %s model/model-00002-of-00002.safetensors)" ]
    hub_start --cut "$cut"
    run --separate-stderr "$LINKCTL" model pull tiny -q
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"could not download model-00002-of-00002.safetensors"* ]]
    [ ! -e store/tiny ]
    [ "$(stat -c %s store/.pull-tiny/model-00002-of-00002.safetensors.part)" -eq "$cut" ]
    kill "$hub"
    hub_start
    "$LINKCTL" model pull tiny -q
    [ "$(grep -c '^model-00001' requests)" -eq 0 ] # it was whole
    grep -q "^model-00002-of-00002.safetensors bytes=$cut-" requests
    diff -r -x 'linkd-*' model store/tiny
    [ "$("$LINKCTL" model verify tiny | cut -d, -f1)" = "tiny: 5 files" ]
    [ "$(ls -A store)" = tiny ]
}

@test "a wrong hash of a shard is refused, and the damaged part is not kept" {
    model_shard
    repo_make sentence-transformers/tiny
    hub_start --wrong-hash
    run --separate-stderr "$LINKCTL" model pull tiny -q
    [ "$status" -eq 1 ]
    [[ "$stderr" == "linkctl: model-00001-of-00002.safetensors is damaged"* ]]
    [ ! -e store/tiny ]
    [ ! -e store/.pull-tiny/model-00001-of-00002.safetensors ]
    [ ! -e store/.pull-tiny/model-00001-of-00002.safetensors.part ]
}

@test "a shard or all weights that the hub does not have" {
    model_shard
    rm model/model-00002-of-00002.safetensors
    repo_make sentence-transformers/tiny
    hub_start
    run --separate-stderr "$LINKCTL" model pull tiny -q
    [ "$status" -eq 2 ]
    [ "$stderr" = "linkctl: the hub lacks a part of the model's weights: model-00002-of-00002.safetensors answers 404" ]
    rm hub/sentence-transformers/tiny/resolve/main/model.safetensors.index.json
    run --separate-stderr "$LINKCTL" model pull tiny -q
    [ "$status" -eq 2 ]
    [[ "$stderr" == "linkctl: the hub has no weights of the model that linkd reads"* ]]
    [ ! -e store/tiny ]
}

@test "a revision in one file takes no index from one in shards" {
    repo_make sentence-transformers/tiny
    model_shard
    mkdir -p hub/sentence-transformers/tiny/resolve/v2
    cp model/* hub/sentence-transformers/tiny/resolve/v2/
    rm hub/sentence-transformers/tiny/resolve/v2/model-00001*
    hub_start
    run "$LINKCTL" model pull tiny -q --revision v2
    [ "$status" -eq 2 ]
    [ -e store/.pull-tiny/model.safetensors.index.json ]
    "$LINKCTL" model pull tiny -q
    cmp store/tiny/model.safetensors "$ORIGINAL/model.safetensors"
    [ ! -e store/tiny/model.safetensors.index.json ]
}

@test "a server without ranges is asked for the whole file" {
    repo_make sentence-transformers/tiny
    hub_start --cut 5000
    run "$LINKCTL" model pull tiny -q
    kill "$hub"
    hub_start --no-ranges
    "$LINKCTL" model pull tiny -q
    cmp store/tiny/model.safetensors model/model.safetensors
}

@test "a wrong hash is refused, and the damaged part is not kept" {
    repo_make sentence-transformers/tiny
    hub_start --wrong-hash
    run --separate-stderr "$LINKCTL" model pull tiny -q
    [ "$status" -eq 1 ]
    [[ "$stderr" == "linkctl: model.safetensors is damaged"* ]]
    [ ! -e store/tiny ]
    [ ! -e store/.pull-tiny/model.safetensors.part ]
}

@test "a model that the hub does not have" {
    mkdir hub
    hub_start
    run --separate-stderr "$LINKCTL" model pull nonesuch -q
    [ "$status" -eq 2 ]
    [[ "$stderr" == "linkctl: the hub has no such model"*"404"* ]]
    [ -z "$(ls -A store)" ]
}

@test "a hub that is not there" {
    HF_ENDPOINT=http://127.0.0.1:9 run --separate-stderr "$LINKCTL" model pull x -q
    [ "$status" -eq 1 ]
    [[ "${stderr_lines[0]}" == "linkctl: could not download config.json"* ]]
    [ -z "$(ls -A store)" ] # nothing came, so there is nothing to go on with
}

@test "addresses and names that cannot be are wrong usage" {
    refused 2 'is no name of a model' "$LINKCTL" model pull a/b/c
    refused 2 'is no name of a model' "$LINKCTL" model pull '../x'
    refused 2 '--revision cannot be "a/../b"' "$LINKCTL" model pull x --revision a/../b
    run --separate-stderr "$LINKCTL" model pull x --base-url file:///etc
    [ "$status" -eq 2 ]
    [[ "$stderr" == *"must begin with https:// or http://"* ]]
}
