"""sentence-transformers (PyTorch, f32): from texts to unit vectors."""
import os
import sys

from worker import arguments, serve

model_dir, texts, batch, threads = arguments()
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import torch  # noqa: E402  (after the environment)

torch.set_num_threads(threads)
from sentence_transformers import SentenceTransformer  # noqa: E402

model = SentenceTransformer(model_dir, device="cpu")


def encode_all():
    for i in range(0, len(texts), batch):
        model.encode(texts[i:i + batch], batch_size=batch,
                     normalize_embeddings=True, show_progress_bar=False)


print("ready", file=sys.stderr)
serve(encode_all)
