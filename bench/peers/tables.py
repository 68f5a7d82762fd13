"""What the peers of bench/linkage have in common: what a user of a tool that
has to be told writes down about a set (its fields, which pairs to compare), and
reading and writing its tables.

A field is "column:kind" or "left column=right column:kind"; it is then known by
its left name. A kind says how to compare two values; each peer maps it to what
its own library offers:

    name      a name or short title     code   a number of digits and letters
    text      words in any order        date   year, month and day
    category  equal or not              price  an amount; also: email, postcode

A key is what two rows must share: "surname", "surname/3" (its first 3 letters),
"title.1" (its first word), several joined by "&", and "*" is nothing at all.
"""
import csv
import re
from collections import namedtuple

csv.field_size_limit(1 << 30)

# fields: see above. block: pairs are compared if they share one of these keys.
# sure: sharing one of these is all but proof, and `recall` of the true pairs
# do. train: keys of the EM sessions, no field being in all of them. spell: gives
# a value the spelling that the other table has.
Plan = namedtuple("Plan", "fields block sure train recall spell")


def plan(fields, block, sure, train, recall=0.7, spell=str):
    return Plan(fields.split(), block.split(), sure.split(), train.split(),
                recall, spell)


def film(value):
    """"Torrid Zone (1940)" and "Mitchum, Robert (I)" are "Torrid Zone" and
    "Robert Mitchum" in the other table."""
    value = re.sub(r" \((\d{4}\S*|[IVX]+|writer|actor)\)", "", value)
    return re.sub(r"^([^,]+), ([^,]+)$", r"\2 \1", value)


PAPERS = plan("title:text authors:name venue:text year:category",
              "title/8 title.1&year authors/6 authors/3&year",
              "title", "title/8 authors/6&year")
FEBRL = plan("given_name:name surname:name street_number:code address_1:name "
             "suburb:name postcode:code date_of_birth:date soc_sec_id:code",
             "soc_sec_id given_name surname date_of_birth postcode",
             "soc_sec_id given_name&surname&date_of_birth",
             "date_of_birth postcode", 0.9)
RLDATA = plan("fname_c1:name fname_c2:name lname_c1:name lname_c2:name "
              "by:category bm:category bd:category",
              "fname_c1&by lname_c1&by fname_c1&lname_c1 by&bm&bd",
              "fname_c1&lname_c1&by lname_c1&by&bm&bd",
              "fname_c1&lname_c1 by&bm&bd")
VOTERS = plan("first_name:name middle_name:name last_name:name gender:category "
              "birth_or_reg_date:date street_address:name city:category "
              "zip_code:code",
              "first_name&last_name last_name&zip_code birth_or_reg_date",
              "first_name&last_name&birth_or_reg_date "
              "first_name&last_name&zip_code",
              "first_name&last_name birth_or_reg_date")

PLANS = {
    "abt-buy": plan("name:text description:text price:price", "*",
                    "name price&name.1", "name.1 price", 0.5),
    "dblp-acm": PAPERS,
    "dblp-scholar-reduced": PAPERS,
    "fodors-zagats": plan(
        "name:name addr:name city:category phone:code type:category", "*",
        "phone name&city", "phone name"),
    "restaurants-oaei": plan("name:name phone_number:code street:name", "*",
                             "phone_number", "phone_number name"),
    "imdb-tvdb": plan(
        "title:text name:name episodeNumber:category seasonNumber:category "
        "startYear=releaseDate:date",
        "title/8 name/6 name.1&startYear", "title&startYear name",
        "title/8 episodeNumber&seasonNumber"),
    "imdb-dbpedia": plan(
        "title:text starring=actor_name:name writer=director_name:name",
        "title/8 starring writer", "title", "title starring", 0.4, film),
    "ncvr-5k-clean": VOTERS,
    "ncvr-5k-corrupted": plan(
        "first_name:name middle_name:name last_name:name gender:category",
        "first_name last_name middle_name&last_name/2 "
        "first_name/3&last_name/3",
        "first_name&last_name", "first_name last_name"),
    "mexican-tariff-es": plan(
        "tariffcode47=tariffcode48:code description47=description48:text",
        "tariffcode47 tariffcode47/3&description47.1 description47/12",
        "tariffcode47&description47.1", "tariffcode47 description47/12"),
    "wikidata-names-en-hebrew": plan("name_en=name_hebrew:name", "name_en/3",
                                     "name_en", "name_en/3"),
    "jp-companies": plan(
        "source_firm_title=tk_firm_title:name source_address=tk_address:name "
        "source_product=tk_product:name source_est_date=tk_est_date:category "
        "source_capital=tk_capital:category source_bank=tk_bank:name",
        "*", "source_firm_title",
        "source_firm_title/2 source_address/3 source_product/3"),
    "rotten-imdb": plan("name:name release_date:text director:name genre:text",
                        "name/6 director", "name&director", "name director"),
    "zomato-yelp": plan(
        "name:name phone:code address:text zip:category cuisine:text",
        "phone name zip&name/3", "phone", "phone name"),
    "fake-1000": plan(
        "first_name:name surname:name dob:date city:category email:email",
        "first_name surname dob email", "first_name&surname",
        "first_name&surname dob"),
    "febrl1": FEBRL,
    "febrl3": FEBRL,
    "historical-50k": plan(
        "first_name:name surname:name dob:date postcode_fake:postcode "
        "birth_place:category occupation:category",
        "first_name/3&surname/4 surname&dob first_name&dob "
        "postcode_fake&first_name postcode_fake&surname dob&birth_place "
        "postcode_fake/3&dob postcode_fake/3&first_name "
        "postcode_fake/3&surname",
        "first_name&surname&dob", "first_name&surname dob", 0.6),
    "rldata500": RLDATA,
    "rldata10000": RLDATA,
    "lt-company-clusters-toy": plan("company_name:name", "*", "company_name",
                                    "*"),
}


def fields(the_plan):
    """[(name, left column, right column, kind)]"""
    found = []
    for field in the_plan.fields:
        columns, kind = field.split(":")
        left, _, right = columns.partition("=")
        found.append((left, left, right or left, kind))
    return found


def key_parts(key):
    """"a/3&b.1" -> [("a", "/", 3), ("b", ".", 1)]; [] for "*"."""
    parts = [] if key == "*" else key.split("&")
    return [(match[1], match[2] or "", int(match[3] or 0)) for match in
            (re.fullmatch(r"(\w+)(?:([/.])(\d+))?", part) for part in parts)]


def clean(value, kind):
    """What every tool's guide asks for first: one spelling of each value, and
    None for nothing. Dates become YYYY-MM-DD."""
    value = " ".join(value.lower().split())
    if kind == "text":
        value = " ".join(re.findall(r"\w+", value))
    elif kind == "code":
        value = re.sub(r"\W", "", value)
    elif kind == "price":
        value = re.sub(r"[^\d.]", "", value)
    elif kind == "date":
        value = re.sub(r"(\d\d)/(\d\d)/(\d{4})", r"\3-\1-\2", value)
        value = re.sub(r"^(\d{4})(\d\d)(\d\d)$", r"\1-\2-\3", value)
    return value or None


def read(path, the_plan, side=0):
    """{"id": [...], field: [...]} of a table; side 1 is the right one."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    table = {"id": [row["id"] for row in rows]}
    for name, *columns, kind in fields(the_plan):
        column = columns[side]
        if rows and column not in rows[0]:
            column = column.replace("_", " ")
        table[name] = [clean(the_plan.spell(row[column]), kind)
                       for row in rows]
    return table


def read_all(folder, the_plan):
    """One table of records.csv, or two: of left.csv and right.csv."""
    try:
        return [read(f"{folder}/records.csv", the_plan)]
    except FileNotFoundError:
        return [read(f"{folder}/left.csv", the_plan),
                read(f"{folder}/right.csv", the_plan, 1)]


def write_pairs(path, pairs):
    write(path, ["left_id", "right_id"], pairs)


def write_entities(path, entity_of):
    write(path, ["id", "entity_id"], entity_of)


def write(path, head, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)


def components(ids, pairs):
    """[(id, entity)]: rows joined by a chain of pairs are one entity."""
    parent = {row: row for row in ids}

    def root(row):
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for a, b in pairs:
        parent[root(a)] = root(b)
    return [(row, root(row)) for row in ids]
