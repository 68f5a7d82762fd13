"""LinkTransformer: merge, which gives every left row its nearest right row, and
for one table cluster_rows as its README's dedup_rows (which returns no
clusters): agglomerative, threshold .7.

    python linktransformer_worker.py FOLDER SET RESULT MODEL"""
import os
import sys

import pandas

import tables

folder, name, result, model = sys.argv[1:5]
os.environ.update(HF_HUB_OFFLINE="1", WANDB_MODE="disabled",
                  TOKENIZERS_PARALLELISM="false")
import linktransformer  # noqa: E402  (after the environment)

plan = tables.PLANS[name]
columns = [field[0] for field in tables.fields(plan)]
frames = [pandas.DataFrame(table).fillna("")
          for table in tables.read_all(folder, plan)]
if len(frames) == 2:
    merged = linktransformer.merge(*frames, on=columns, model=model)
    tables.write_pairs(result, zip(merged["id_x"], merged["id_y"]))
else:
    rows = linktransformer.cluster_rows(
        frames[0], on=columns, model=model, cluster_type="agglomerative",
        cluster_params={"threshold": 0.7})
    tables.write_entities(result, zip(rows["id"], rows["cluster"]))
