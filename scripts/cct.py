"""A Compact Convolutional Transformer in PyTorch: the reference for linkd's, which
`transformers` does not have. Written from the paper (Hassani et al. 2021, "Escaping
the Big Data Paradigm with Compact Transformers") with the authors' names of weights,
and their norm between attention and feed-forward, from which the residual goes on.
"""
import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x):
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(0, 1)
            for part in self.qkv(x).chunk(3, dim=-1))
        scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        return self.proj((scores.softmax(-1) @ value).transpose(0, 1).flatten(1))


class Block(nn.Module):
    def __init__(self, dim, heads, inner):
        super().__init__()
        self.pre_norm, self.norm1 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.self_attn = Attention(dim, heads)
        self.linear1, self.linear2 = nn.Linear(dim, inner), nn.Linear(inner, dim)

    def forward(self, x):
        x = self.norm1(x + self.self_attn(self.pre_norm(x)))
        return x + self.linear2(functional.gelu(self.linear1(x)))


class Cct(nn.Module):
    """`config` is what config.json holds; see docs/models.md."""

    def __init__(self, config):
        super().__init__()
        planes = [3, *[config["in_planes"]] * (config["n_conv_layers"] - 1),
                  config["embedding_dim"]]
        self.tokenizer = nn.Module()
        self.tokenizer.conv_layers = nn.Sequential(*[
            nn.Sequential(
                nn.Conv2d(planes[i], planes[i + 1], config["kernel_size"], config["stride"],
                          config["padding"], bias=False),
                nn.ReLU(),
                nn.MaxPool2d(config["pooling_kernel_size"], config["pooling_stride"],
                             config["pooling_padding"]))
            for i in range(config["n_conv_layers"])])
        side = config["img_size"]
        length = self.tokenizer.conv_layers(torch.zeros(1, 3, side, side))[0, 0].numel()
        dim = config["embedding_dim"]
        self.classifier = body = nn.Module()
        if config["positional_embedding"] != "none":
            body.positional_emb = nn.Parameter(torch.randn(1, length, dim) * 0.2)
        body.attention_pool = nn.Linear(dim, 1)
        body.blocks = nn.Sequential(*[
            Block(dim, config["num_heads"], int(dim * config["mlp_ratio"]))
            for _ in range(config["num_layers"])])
        body.norm = nn.LayerNorm(dim)
        body.fc = nn.Linear(dim, 10)

    def forward(self, pixels):
        """A picture [3, side, side] to what `classifier.fc` would be given."""
        x = self.tokenizer.conv_layers(pixels[None])[0].flatten(1).T
        if hasattr(self.classifier, "positional_emb"):
            x = x + self.classifier.positional_emb[0]
        x = self.classifier.norm(self.classifier.blocks(x))
        return self.classifier.attention_pool(x).softmax(0).T[0] @ x
