"""model2vec: the mean of the tokens' rows, from texts to unit vectors."""
import os
import sys

import worker

os.environ["TOKENIZERS_PARALLELISM"] = "false" if sys.argv[2] == "1" else "true"
from model2vec import StaticModel  # noqa: E402  (after the environment)

model = StaticModel.from_pretrained(sys.argv[1])


def run(inputs):
    texts, batch = inputs
    return model.encode(texts, batch_size=batch, use_multiprocessing=False)


worker.serve(lambda texts, batch: (texts, batch), run, lambda outputs, _: outputs)
