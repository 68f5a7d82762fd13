"""Splink: a Fellegi-Sunter model trained without labels, as its tutorial does:
the prior from sure rules, u by random sampling, m by EM under two blocking
rules, pairs of probability .5 or more, and for one table their components.

    python splink_worker.py FOLDER SET RESULT"""
import logging
import sys

import pyarrow
import splink.comparison_level_library as cll
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

import tables

THRESHOLD = 0.5
MAX_U_PAIRS = 1e6  # of its quick start
SEED = 1


def column_of(field):
    return f"c_{field}"  # "by" alone would be SQL


def words_level(column, share):
    words = f"list_intersect({column}_words_l, {column}_words_r)"
    either = (f"list_distinct(list_concat({column}_words_l, "
              f"{column}_words_r))")
    return cll.CustomLevel(f"len({words}) >= {share} * len({either})",
                           label_for_charts=f"{share} of the words")


def words(column):
    return cl.CustomComparison(
        output_column_name=column,
        comparison_levels=[cll.NullLevel(column), cll.ExactMatchLevel(column)] +
        [words_level(column, share) for share in (0.8, 0.5, 0.3)] +
        [cll.ElseLevel()])


COMPARISONS = {
    "name": cl.NameComparison,
    "text": words,
    "code": lambda column: cl.LevenshteinAtThresholds(column, [1, 2]),
    "category": lambda column: cl.ExactMatch(column).configure(
        term_frequency_adjustments=True),
    "date": lambda column: cl.DateOfBirthComparison(column,
                                                    input_is_string=True),
    "price": cl.ExactMatch,
    "email": cl.EmailComparison,
    "postcode": cl.PostcodeComparison,
}


def rule(key):
    """A key of tables.py as a blocking rule."""
    spelled = {"": "{}", "/": "substr({}, 1, {})",
               ".": "split_part({}, ' ', {})"}
    parts = [spelled[how].format(column_of(name), n)
             for name, how, n in tables.key_parts(key)]
    return block_on(*parts) if parts else "1=1"


def arrow_table(table, kinds):
    columns = {"id": table["id"]}
    for name, kind in kinds:
        columns[column_of(name)] = table[name]
        if kind == "text":
            columns[f"{column_of(name)}_words"] = [
                value and value.split() for value in table[name]]
    return pyarrow.table(columns)


def trained(linker, plan):
    linker.training.estimate_probability_two_random_records_match(
        [rule(key) for key in plan.sure], recall=plan.recall)
    linker.training.estimate_u_using_random_sampling(max_pairs=MAX_U_PAIRS,
                                                     seed=SEED)
    for key in plan.train:
        linker.training.estimate_parameters_using_expectation_maximisation(
            rule(key))
    return linker


def main():
    folder, name, result = sys.argv[1:4]
    logging.getLogger("splink").setLevel(logging.ERROR)
    plan = tables.PLANS[name]
    kinds = [(field[0], field[3]) for field in tables.fields(plan)]
    db = DuckDBAPI()
    inputs = tables.read_all(folder, plan)
    frames = [db.register(arrow_table(table, kinds), dataset_display_name=side)
              for table, side in zip(inputs, ("left_table", "right_table"))]
    settings = SettingsCreator(
        link_type="link_only" if len(frames) == 2 else "dedupe_only",
        unique_id_column_name="id",
        comparisons=[COMPARISONS[kind](column_of(n)) for n, kind in kinds],
        blocking_rules_to_generate_predictions=[rule(k) for k in plan.block])
    linker = trained(Linker(frames if len(frames) == 2 else frames[0],
                            settings), plan)
    found = linker.inference.predict(threshold_match_probability=THRESHOLD)
    if len(frames) == 2:
        pairs = found.as_dict()
        tables.write_pairs(result, zip(pairs["id_l"], pairs["id_r"]))
    else:
        rows = linker.clustering.cluster_pairwise_predictions_at_threshold(
            found, THRESHOLD).as_dict()
        tables.write_entities(result, zip(rows["id"], rows["cluster_id"]))


if __name__ == "__main__":
    main()
