"""sentence-transformers (PyTorch, f32 or bf16): from texts to unit vectors, all of them in
one call, which sorts them by length and cuts them into batches."""
import os
import sys

import worker

model_dir, threads = sys.argv[1], int(sys.argv[2])
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import torch  # noqa: E402  (after the environment)

torch.set_num_threads(threads)
from sentence_transformers import SentenceTransformer  # noqa: E402

model = SentenceTransformer(model_dir, device="cpu", model_kwargs={
    "dtype": torch.bfloat16 if worker.precision() == "bf16" else torch.float32})


def run(inputs):
    texts, batch = inputs
    return model.encode(texts, batch_size=batch, normalize_embeddings=True,
                        convert_to_tensor=True, show_progress_bar=False)


worker.serve(lambda texts, batch: (texts, batch), run,
             lambda outputs, _: outputs.float().numpy())
