"""A DINOv2 with token merging in numpy, in double precision: the reference for linkd's.
Written from the paper (Bolya et al. 2023, "Token Merging: Your ViT But Faster"), with
linkd's one difference: keys are compared without their bias. Pictures have the size
that the checkpoint's positions are for.
"""
import math

import numpy

erf = numpy.vectorize(math.erf)


class Layer:
    """`tensors` maps names of the checkpoint to arrays."""

    def __init__(self, tensors, number, heads, epsilon):
        self.tensors, self.prefix = tensors, f"encoder.layer.{number}."
        self.heads, self.epsilon = heads, epsilon

    def dense(self, name, x):
        return (x @ self.tensors[f"{self.prefix}{name}.weight"].T
                + self.tensors[f"{self.prefix}{name}.bias"])

    def norm(self, name, x):
        return norm(self.tensors, self.prefix + name, x, self.epsilon)

    def split(self, x):
        return x.reshape(len(x), self.heads, -1).transpose(1, 0, 2)

    def scaled(self, number, x):
        return x * self.tensors[f"{self.prefix}layer_scale{number}.lambda1"]

    def attention(self, x, sizes):
        """What is added to x, and what tokens are compared by."""
        query, key, value = (self.split(self.dense(f"attention.attention.{part}", x))
                             for part in ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        weights = numpy.exp(scores + numpy.log(sizes))
        weights /= weights.sum(axis=-1, keepdims=True)
        context = (weights @ value).transpose(1, 0, 2).reshape(x.shape)
        bare = x @ self.tensors[self.prefix + "attention.attention.key.weight"].T
        return (self.scaled(1, self.dense("attention.output.dense", context)),
                self.split(bare).mean(axis=0))

    def feed_forward(self, x):
        inner = self.dense("mlp.fc1", x)
        inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
        return self.scaled(2, self.dense("mlp.fc2", inner))


def norm(tensors, name, x, epsilon):
    x = x - x.mean(axis=1, keepdims=True)
    x /= numpy.sqrt((x * x).mean(axis=1, keepdims=True) + epsilon)
    return x * tensors[name + ".weight"] + tensors[name + ".bias"]


def merge(x, sizes, metric, n):
    """Section 3 of the paper: bipartite soft matching, and means weighted by size."""
    metric = metric / numpy.linalg.norm(metric, axis=1, keepdims=True)
    scores = metric[::2] @ metric[1::2].T
    scores[0] = -math.inf  # the class token stays
    order = numpy.argsort(-scores.max(axis=1), kind="stable")
    gone, stays = order[:n], numpy.sort(order[n:])
    sums, totals = x[1::2] * sizes[1::2, None], sizes[1::2].copy()
    for i in gone:
        to = scores[i].argmax()
        sums[to] += x[2 * i] * sizes[2 * i]
        totals[to] += sizes[2 * i]
    return (numpy.concatenate([x[::2][stays], sums / totals[:, None]]),
            numpy.concatenate([sizes[::2][stays], totals]))


def embed(tensors, config, pixels):
    side = config["patch_size"]
    _, height, width = pixels.shape
    patches = pixels.reshape(3, height // side, side, width // side, side)
    patches = patches.transpose(1, 3, 0, 2, 4).reshape(-1, 3 * side * side)
    name = "embeddings.patch_embeddings.projection."
    weight = tensors[name + "weight"]
    x = patches @ weight.reshape(len(weight), -1).T + tensors[name + "bias"]
    x = numpy.concatenate([tensors["embeddings.cls_token"][0], x])
    return x + tensors["embeddings.position_embeddings"][0]


def encode(tensors, config, pixels, n_merged):
    """Normalised pixels [3, height, width] to the class token after the last norm; each
    layer merges n_merged tokens away."""
    tensors = {name: values.astype(float) for name, values in tensors.items()}
    epsilon = config["layer_norm_eps"]
    x = embed(tensors, config, pixels.astype(float))
    sizes = numpy.ones(len(x))
    for i in range(config["num_hidden_layers"]):
        layer = Layer(tensors, i, config["num_attention_heads"], epsilon)
        added, metric = layer.attention(layer.norm("norm1", x), sizes)
        x, sizes = merge(x + added, sizes, metric, n_merged)
        x = x + layer.feed_forward(layer.norm("norm2", x))
    return norm(tensors, "layernorm", x, epsilon)[0]
