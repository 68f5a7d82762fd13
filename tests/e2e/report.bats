#!/usr/bin/env bats
# --report and --explain of link and dedup: a page, and lines, about a run.
load helpers

# Thirty rows on both sides, which try to write the page themselves.
evil_make() {
    local i word other evil='<script>x()</script>'
    echo "id,name,city" >left.csv
    echo "key,name,city" >right.csv
    echo "left_id,right_id" >truth.csv
    for i in $(seq 1 30); do
        word=$(printf '%03d' $((i * 37 % 1000)) | tr 0-9 bdfgklmnrs)
        other=$(printf '%03d' $((i * 71 % 1000)) | tr 0-9 aeioutvwxz)
        echo "$i,$word$other trading $evil company,town$((i % 7))" >>left.csv
        echo "r$i,$word$other tradin $evil comp,Town$((i % 7))" >>right.csv
        echo "$i,r$i" >>truth.csv
    done
    sed -i '1s/city/<b>city/' left.csv right.csv
}

@test "a report of a link run shows what it rests on" {
    evil_make
    "$LINKCTL" link left.csv right.csv --model none -q -o pairs.csv \
        --report page.html --truth truth.csv
    is_self_contained page.html
    run ! grep '<b>city>' page.html
    for wanted in Verdict 'Where candidates come from' 'Precision and recall' \
        'Weakest accepted pairs' 'Strongest rejected pairs' '>Columns<' \
        'class="mark"' 'by the truth' '&lt;script&gt;' '&lt;b&gt;city'; do
        grep -q -- "$wanted" page.html || { echo "no $wanted"; false; }
    done
    run ! grep -q 'Sizes of entities' page.html
    python3 - <<'END'
import html.parser
class Page(html.parser.HTMLParser):
    open = []
    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
    def handle_startendtag(self, tag, attrs):
        pass
    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag
page = Page()
page.feed(open("page.html").read())
assert page.open == [], page.open
END
}

@test "the truth gives the precision and recall that eval gives" {
    evil_make
    sed -i '$d' truth.csv
    "$LINKCTL" link left.csv right.csv --model none -q -o pairs.csv \
        --report page.html --truth truth.csv
    wanted=$("$LINKCTL" eval pairs.csv truth.csv --json |
        jq -r '.pairs | [.precision, .recall, .f1] | map(. * 1000 | round) |
               join(" ")')
    found=$(grep 'by the truth' page.html | grep -o '[01]\.[0-9]*' |
        tr -d . | sed 's/^0*\(.\)/\1/' | xargs)
    [ "$wanted" = "$found" ]
}

@test "a report of a dedup run shows the sizes of entities" {
    evil_make
    { cat left.csv; tail -n +2 right.csv; } >both.csv
    "$LINKCTL" dedup both.csv --model none -q -o entities.csv \
        --report page.html
    is_self_contained page.html
    grep -q 'Sizes of entities' page.html
    run ! grep -q 'Precision and recall' page.html
    awk -F, 'NR > 1 {n[$NF]++} END {for (i in n) k[n[i]]++
        for (size in k) print size, k[size]}' entities.csv | sort -n >wanted
    sed -n '/Sizes of entities/,/<\/table>/p' page.html |
        sed -n 's/<tr><td>\([0-9]*\)<.td><td class="n">\([0-9]*\)<.*/\1 \2/p' \
            >found
    [ -s wanted ]
    cmp wanted found
    # each company is there twice, and those of one town are not one
    [ "$(cat found)" = "2 30" ]
    # the entities as their own truth
    "$LINKCTL" dedup both.csv --model none -q -o again.csv --report page.html \
        --truth entities.csv
    grep 'by the truth' page.html | grep -q '1.000.*1.000.*1.000'
}

@test "every accepted pair is explained on a line of its own" {
    evil_make
    "$LINKCTL" link left.csv right.csv --model none -q -o pairs.csv \
        --explain why.jsonl
    [ "$(wc -l <why.jsonl)" -eq $(($(wc -l <pairs.csv) - 1)) ]
    jq -r '[.left_id, .right_id] | join(",")' why.jsonl >found
    tail -n +2 pairs.csv | cut -d, -f1,2 >wanted
    cmp found wanted
    jq -e -s 'all(.accepted) and
        all((([.prior, .record, .competition, .fields[].log_odds] | add)
             - .log_odds | fabs) < 0.001)' why.jsonl
    # and as linkctl explain does it
    "$LINKCTL" explain left.csv right.csv 3 r3 --model none -q --json |
        jq -c 'del(.channels)' >one
    jq -c 'select(.left_id == "3" and .right_id == "r3") | del(.channels)' \
        why.jsonl >other
    cmp one other
}

@test "pages and lines are the same on one thread and on two" {
    evil_make
    for j in 1 2; do
        "$LINKCTL" link left.csv right.csv --model none -q -j "$j" \
            -o /dev/null --report "page$j.html" --explain "why$j.jsonl"
    done
    cmp page1.html page2.html
    cmp why1.jsonl why2.jsonl
}

@test "wrong usage is refused" {
    evil_make
    refused 2 '--truth needs --report' "$LINKCTL" link left.csv right.csv \
        --model none -o pairs.csv --truth truth.csv
    refused 2 '--min-score excludes --report' "$LINKCTL" dedup left.csv \
        -o e.csv --min-score 0.5 --report page.html
    refused 2 '--explain and --report are the same file' "$LINKCTL" link \
        left.csv right.csv --model none -o pairs.csv --explain x --report x
    refused 1 'right.csv has no left_id and right_id' "$LINKCTL" link left.csv \
        right.csv --model none -q -o pairs.csv --report page.html \
        --truth right.csv
}

@test "a browser shows the page" {
    evil_make
    "$LINKCTL" link left.csv right.csv --model none -q -o pairs.csv \
        --report page.html --truth truth.csv
    browser_shows page.html
}
