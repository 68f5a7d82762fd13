"""Corpora with real relevance for bench/upgrade: who looks for what is known from
outside, not from any model.

A corpus is two lists of (text, group): what is asked, and what is stored; equal
groups belong together. choose() deals them out so that nothing that is judged was
seen in a fit:

    gallery  judged records; holds every record of the groups that `queries` ask for
    queries  judged queries, each with an answer in the gallery
    others   queries whose answers were taken out of it
    anchors  records that maps are fitted on: none of the gallery's, or, of a
             small corpus, the gallery itself, as in a collection of that size
    asked    queries for every fifth anchor, as users would ask: for the choice of
             the weight, where it is not left to queries made from the records
"""
import csv
import glob
import random
import subprocess
from collections import defaultdict, namedtuple

csv.field_size_limit(1 << 30)

N_ANCHORS = 3000
N_GALLERY = 2000
N_QUERIES = 600
N_ASKED = 300
N_OTHERS = 300
HELD = 5          # every fifth anchor is held out, from the first
GROUP_MAX = 8     # records of one group: more are no single answer

Corpus = namedtuple("Corpus", "name gallery queries others anchors asked")


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def text_of(row, columns):
    return " ".join(" ".join(row[c].split()) for c in columns if row[c].strip())


def groups_of(pairs):
    """Connected components: {id: number}."""
    parent = {}

    def find(x):
        while parent.setdefault(x, x) != x:
            parent[x] = x = parent[parent[x]]
        return x

    for left, right in pairs:
        parent[find(("l", left))] = find(("r", right))
    return {x: find(x) for x in list(parent)}


def linked(directory, left_columns, right_columns):
    matches = read(f"{directory}/matches.csv")
    group_of = groups_of((m["left_id"], m["right_id"]) for m in matches)
    sides = []
    for side, columns in (("left", left_columns), ("right", right_columns)):
        rows = read(f"{directory}/{side}.csv")
        sides.append([(text_of(r, columns), group_of.get((side[0], r["id"]),
                                                         (side[0], r["id"])))
                      for r in rows if text_of(r, columns)])
    return sides


def people(directory):
    """The first record of each person asks for the others."""
    columns = "full_name dob birth_place postcode_fake occupation".split()
    asking, stored, seen = [], [], set()
    rows = read(f"{directory}/records.csv")
    random.Random(3).shuffle(rows)
    for row in rows:
        entity = row["entity_id"]
        (stored if entity in seen else asking).append((text_of(row, columns), entity))
        seen.add(entity)
    return asking, stored


def packages(lists):
    """One-line synopses ask for long descriptions of the same source package."""
    def stanzas(pattern):
        for path in sorted(glob.glob(f"{lists}/{pattern}")):
            text = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", path],
                                  check=True, capture_output=True).stdout
            yield from text.decode("utf-8", "replace").split("\n\n")

    source_of = {}
    for stanza in stanzas("*_Packages*"):
        fields = dict(line.split(": ", 1) for line in stanza.split("\n")
                      if not line.startswith(" ") and ": " in line)
        if "Package" in fields:
            source_of[fields["Package"]] = fields.get("Source",
                                                      fields["Package"]).split()[0]
    asking, stored, seen = [], [], set()
    for stanza in stanzas("*_Translation-en*"):
        name, synopsis, body = None, None, []
        for line in stanza.split("\n"):
            if line.startswith("Package: "):
                name = line[9:].strip()
            elif line.startswith("Description-en: "):
                synopsis = line[16:].strip()
            elif line.startswith(" ") and line.strip() != ".":
                body.append(line.strip())
        text = " ".join(" ".join(body).split())
        if not name or not synopsis or len(text) < 80 or text in seen:
            continue
        seen.add(text)
        group = source_of.get(name, name)
        asking.append((synopsis, group))
        stored.append((text[:400], group))
    return asking, stored


def loaders(data, lists):
    return {
        "debian": lambda: packages(lists),
        "abt-buy": lambda: linked(f"{data}/abt-buy", ["name"], ["name"]),
        "dblp-scholar": lambda: linked(f"{data}/dblp-scholar-reduced",
                                       *[["title", "authors", "venue", "year"]] * 2),
        "historical": lambda: people(f"{data}/historical-50k"),
        "wikidata": lambda: linked(f"{data}/wikidata-names-en-hebrew",
                                   ["name_en"], ["name_hebrew"]),
        "dblp-acm": lambda: linked(f"{data}/dblp-acm",
                                   *[["title", "authors", "venue", "year"]] * 2),
    }


def choose(name, asking, stored):
    """Deals a corpus out, the same every time."""
    rng = random.Random(name)
    of_group = defaultdict(list)
    for i, (_, group) in enumerate(stored):
        of_group[group].append(i)
    asking = [a for a in asking if 0 < len(of_group[a[1]]) <= GROUP_MAX]
    rng.shuffle(asking)
    small = len(stored) < N_ANCHORS + N_GALLERY
    share = min(1.0, len(asking) / (N_QUERIES + N_ASKED + N_OTHERS))
    n_asked, n_others = int(N_ASKED * share), int(N_OTHERS * share)
    room = {"asked": n_asked, "others": n_others, "queries": N_QUERIES}
    parts = {part: [] for part in room}
    part_of = {}
    for text, group in asking:
        if group not in part_of:
            part_of[group] = next((p for p in room if len(parts[p]) < room[p]), None)
        elif part_of[group] == "asked":
            continue  # an anchor is asked for once
        part = part_of[group]
        if part is not None and len(parts[part]) < room[part]:
            parts[part].append((text, group))
    gallery = [i for g in {g for _, g in parts["queries"]} for i in of_group[g]]
    free = [i for i in range(len(stored))
            if part_of.get(stored[i][1]) is None]
    rng.shuffle(free)
    answers = [rng.choice(of_group[g]) for _, g in parts["asked"]]
    if small:
        gallery = sorted(set(gallery) | set(free) | set(answers))
        rest = [i for i in gallery if i not in set(answers)]
    else:
        n_fill = max(0, N_GALLERY - len(gallery))
        gallery, rest = gallery + free[:n_fill], free[n_fill:]
    rng.shuffle(gallery)
    rng.shuffle(rest)
    anchors = []
    n_anchors = min(N_ANCHORS, len(answers) + len(rest))
    waiting = list(answers)
    while len(anchors) < n_anchors:
        held = len(anchors) % HELD == 0
        ask = waiting and (held or not rest)
        anchors.append(waiting.pop(0) if ask else rest.pop())
    n_asked = min(len(answers), (len(anchors) + HELD - 1) // HELD)
    asked = [(text, i * HELD) for i, (text, _) in enumerate(parts["asked"][:n_asked])]
    return Corpus(name, [stored[i] for i in gallery], parts["queries"],
                  parts["others"], [stored[i] for i in anchors], asked)
