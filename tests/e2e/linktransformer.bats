#!/usr/bin/env bats
# The scenarios of LinkTransformer's README, each as docs/linktransformer.md says
# it, on tables made here, and its defects, which must not be ours.
load helpers

setup_file() {
    model_make
}

firms_make() {
    cat >a.csv <<'END'
id,name,sector,country
1,alpha trading inc,trade,us
2,beta motor works,cars,it
3,gamma shipping co,ships,gr
4,delta bakery ltd,food,uk
5,alpha trading inc,trade,us
6,omega optics,glass,fr
END
    cat >b.csv <<'END'
key,firm,sector,country
r1,gamma shipping company,ships,gr
r2,delta bakery limited,food,uk
r3,alpha trading,trade,us
r4,beta motor work,cars,it
r5,beta motorworks turin,cars,it
END
}

# pairs OPTION...: "left right" of every pair, on one line
pairs() {
    "$LINKCTL" "$@" -m tiny -q -o out.csv && tail -n +2 out.csv |
        awk -F, '{printf "%s-%s ", $1, $2}'
}

@test "merge: every row to its nearest, or none below a score" {
    firms_make
    [[ "$(pairs link a.csv b.csv --left-on name --right-on firm --min-score -1 --assign many-to-one)" == "1-r3 2-r4 3-r1 4-r2 5-r3 6-r"?" " ]]
    # a row that is not there has no partner
    [ "$(pairs link a.csv b.csv --left-on name --right-on firm --min-score 0.8 --assign many-to-one)" = "1-r3 2-r4 3-r1 4-r2 5-r3 " ]
}

@test "merge 1:1 and 1:m" {
    firms_make
    [[ "$(pairs link a.csv b.csv --left-on name --right-on firm --min-score 0.8 --assign one-to-one)" == *2-r4*3-r1*4-r2* ]]
    run -0 pairs link a.csv b.csv --left-on name --right-on firm --min-score 0.8 --assign one-to-many
    # the two of beta both belong to row 2, and of the equal rows 1 is first
    [ "$output" = "1-r3 2-r4 2-r5 3-r1 4-r2 " ]
}

@test "merge on several columns, named on one side or on both" {
    firms_make
    sed '1s/firm/name/' b.csv >c.csv
    [ "$(pairs link a.csv c.csv --on name,sector,country --min-score 0.8 --assign many-to-one)" = \
        "$(pairs link a.csv b.csv --left-on name,sector,country --right-on firm,sector,country --min-score 0.8 --assign many-to-one)" ]
    # a name alone on one side and a list on the other is an answer, not a crash
    run --separate-stderr "$LINKCTL" link a.csv b.csv --left-on name \
        --right-on firm,sector -m tiny -q
    [ "$status" -eq 2 ]
    [ "$stderr" = "linkctl: --left-on names 1 columns and --right-on 2" ]
}

@test "merge_blocking: only within a block, in the order of the left table" {
    firms_make
    [ "$(pairs link a.csv b.csv --left-on name --right-on firm --block country --min-score -1 --assign many-to-one)" = "1-r3 2-r4 3-r1 4-r2 5-r3 " ]
    "$LINKCTL" link a.csv b.csv --left-on name --right-on firm --block country \
        --min-score -1 --assign many-to-one -m tiny -q -o out.csv -u rest.csv
    [ "$(tail -n +2 rest.csv | tr '\n' ' ')" = "left,6 right,r5 " ]
}

@test "merge_knn: k of each left row, never a row that is not there" {
    firms_make
    "$LINKCTL" score a.csv b.csv --left-on name --right-on firm --all -k 2 -m tiny -q -o knn.csv
    [ "$(tail -n +2 knn.csv | cut -d, -f1 | uniq -c | awk '{print $1}' | sort -u)" = 2 ]
    [ "$(grep -c ^2, knn.csv)" -eq 2 ]
    [ "$(grep ^2, knn.csv | cut -d, -f2 | tr '\n' ' ')" = "r4 r5 " ]
    "$LINKCTL" score a.csv b.csv --left-on name --right-on firm --all -k 50 -m tiny -q -o knn.csv
    [ "$(tail -n +2 knn.csv | cut -d, -f1,2 | sort -u | wc -l)" -eq 30 ]
    [ "$(tail -n +2 knn.csv | wc -l)" -eq 30 ]
}

@test "merge_range: all that are near enough" {
    firms_make
    "$LINKCTL" score a.csv b.csv --left-on name --right-on firm --all -m tiny -q -o all.csv
    "$LINKCTL" score a.csv b.csv --left-on name --right-on firm --all --min-score 0.7 -m tiny -q -o near.csv
    awk -F, 'NR == 1 || $3 >= 0.7' all.csv | cmp - near.csv
    grep -q ^2,r5, near.csv
}

# bilingual MODEL: the tiny model with two words of French and two of English in
# its vocabulary; chien and dog have one embedding, maison and house another
bilingual() {
    cp -r "$LINKD_MODELS/tiny" "$1"
    python3 - "$1" <<'END'
import json, struct, sys
vocab = open(sys.argv[1] + "/vocab.txt").read().split("\n")[:-1]
words = {"'": "chien", "(": "dog", ")": "maison", "/": "house"}
vocab = [words.get(w, w) for w in vocab]
open(sys.argv[1] + "/vocab.txt", "w").write("\n".join(vocab) + "\n")
path = sys.argv[1] + "/model.safetensors"
data = bytearray(open(path, "rb").read())
n = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + n])
name = next(k for k in header if k.endswith("word_embeddings.weight"))
begin = 8 + n + header[name]["data_offsets"][0]
size = 4 * header[name]["shape"][1]
for a, b in (("chien", "dog"), ("maison", "house")):
    i, j = (begin + vocab.index(w) * size for w in (a, b))
    data[j:j + size] = data[i:i + size]
open(path, "wb").write(data)
END
}

@test "cross-lingual: a model that knows both languages is all it takes" {
    bilingual bilingual
    printf 'id,nom\n1,chien\n2,maison\n' >fr.csv
    printf 'id,name\nx,house\ny,dog\n' >en.csv
    "$LINKCTL" link fr.csv en.csv --left-on nom --right-on name -q \
        --model ./bilingual --min-score 0.999 -o out.csv
    [ "$(tail -n +2 out.csv | tr '\n' ' ')" = "1,y,1.000000, 2,x,1.000000, " ]
    # the letters alone say nothing of the kind
    "$LINKCTL" link fr.csv en.csv --left-on nom --right-on name -q \
        --model tiny --min-score 0.999 -o out.csv
    [ "$(wc -l <out.csv)" -eq 1 ]
}

@test "multilingual models that cannot be read are refused by name" {
    cp -r "$LINKD_MODELS/tiny" cnn
    mkdir cnn/1_Pooling
    echo '{"word_embedding_dimension": 32, "pooling_mode_mean_tokens": true}' >cnn/1_Pooling/config.json
    cat >cnn/modules.json <<'END'
[{"type": "sentence_transformers.models.Transformer", "path": ""},
 {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
 {"type": "sentence_transformers.models.CNN", "path": "2_CNN"}]
END
    refused 1 'module "sentence_transformers.models.CNN" is not supported' \
        "$LINKCTL" model add cnn --name cnn
    cp -r "$LINKD_MODELS/tiny" words
    echo '{"model": {"type": "WordLevel", "vocab": {}}}' >words/tokenizer.json
    refused 1 'tokenizer of kind "WordLevel" is not supported' \
        "$LINKCTL" model add words --name words
}

@test "aggregate_rows: each fine row has its coarse row, with the score" {
    printf 'id,product\n1,garden chair\n2,garden table\n3,motor oil\n4,zzz 0\n' >fine.csv
    printf 'code,category\ng,garden\nm,motor\n' >coarse.csv
    "$LINKCTL" link fine.csv coarse.csv --left-on product --right-on category \
        --min-score 0.3 --assign many-to-one --wide -m tiny -q -o out.csv -u rest.csv
    [ "$(head -1 out.csv)" = left_id,right_id,score,probability,id_x,product_x,code_y,category_y ]
    [ "$(tail -n +2 out.csv | cut -d, -f1,2 | head -3 | tr '\n' ' ')" = "1,g 2,g 3,m " ]
    [ $(($(tail -n +2 out.csv | wc -l) + $(grep -c ^left rest.csv || true))) -eq 4 ]
}

@test "cluster_rows: lonely rows are clusters of their own" {
    firms_make
    "$LINKCTL" cluster a.csv --on name -s 0.95 -m tiny -q -o out.csv
    [ "$(tail -n +2 out.csv | sed 's/.*,//' | tr '\n' ' ')" = "1 2 3 4 1 5 " ]
    for method in agglomerative dbscan hdbscan; do
        "$LINKCTL" cluster a.csv --on name --method $method -m tiny -q -o out.csv
        [ "$(wc -l <out.csv)" -eq 7 ]
    done
}

@test "dedup_rows: duplicates go, rows like no other stay, and it is told" {
    firms_make
    "$LINKCTL" dedup a.csv --on name --min-score 0.95 -m tiny -q -o out.csv \
        --keep unique.csv --keep-by first --dropped gone.csv
    [ "$(tail -n +2 unique.csv | cut -d, -f1 | tr '\n' ' ')" = "1 2 3 4 6 " ]
    [ "$(tail -n +2 gone.csv)" = "5,1,1" ]
}

@test "evaluate_pairs: two columns of each row, in place" {
    printf 'a,b,label\nalpha inc,alpha inc,1\nalpha inc,quentin 77,0\n' >pairs.csv
    "$LINKCTL" score pairs.csv --left-on a --right-on b -m tiny -q -o out.csv
    [ "$(head -1 out.csv)" = a,b,label,score ]
    [ "$(sed -n 2p out.csv)" = "alpha inc,alpha inc,1,1.000000" ]
    awk -F, 'NR == 3 && $4 >= 1 { exit 1 }' out.csv
}

@test "all_pair_combos_evaluate: n times m scores" {
    firms_make
    "$LINKCTL" score a.csv b.csv --left-on name --right-on firm --all -m tiny -q -o out.csv
    [ "$(tail -n +2 out.csv | wc -l)" -eq 30 ]
    "$LINKCTL" score a.csv --on name --all -m tiny -q -o out.csv
    [ "$(tail -n +2 out.csv | wc -l)" -eq 15 ]
}

@test "classify_rows: labels by examples" {
    firms_make
    "$LINKCTL" classify b.csv -e a.csv -l sector --left-on firm --right-on name \
        -k 1 -m tiny -q -o out.csv
    [ "$(tail -n +2 out.csv | cut -d, -f3,5 | tr '\n' ' ')" = "ships,ships food,food trade,trade cars,cars cars,cars " ]
}
