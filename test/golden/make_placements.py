"""Writes fixtures/placements.json: loss, logits and gradients of a tiny model under each placement that llama.py lacks.

    python test/golden/make_placements.py

MLP, rotation, RMSNorm, plain attention and weights by formula are those of make_tiny.py; how they are joined, norms of
heads and LayerNorm stand here alone, each as its paper has it. Everything is float64, written to 13 digits.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from llama import Config, attention, mlp, rms_norm, rotate

FIXTURES = Path(__file__).parent / "fixtures"
TOKENS = [1, 4, 2, 6, 3]
CONFIG = Config(7, 4, 6, layers=3, heads=2, kv_heads=2, post_layers=0, tied=False)

PRE = ["input_layernorm", "post_attention_layernorm"]
POST = ["post_attention_layernorm", "post_feedforward_layernorm"]
SANDWICH = ["input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"]


def pre(x, f, layer, norm):
    return x + f(norm(x))


def post(x, f, layer, norm):
    return norm(x + f(x))


def layer_norm_scaling(x, f, layer, norm):
    """Sun et al. 2025, arXiv 2502.05795: the output of each norm divided by the root of the layer's index from 1."""
    return x + f(norm(x) / math.sqrt(layer + 1))


def deep_norm(x, f, layer, norm):
    """Wang et al. 2022, arXiv 2203.00555, figure 2, decoder-only."""
    return norm((2 * CONFIG.layers) ** (1 / 4) * x + f(x))


def sandwich(x, f, layer, before, after):
    """Ding et al. 2021, arXiv 2105.13290."""
    return x + after(f(before(x)))


def hybrid(x, f, layer, *norms):
    """Zhuo et al. 2025, arXiv 2503.04598: attention without a norm around it, the MLP with Post-Norm before it."""
    if not norms:
        return x + f(x)
    return f(norms[0](x)) + norms[0](x)


@dataclass
class Placement:
    """The equation of each layer and the norms of its two sub-layers, the first half of them of attention."""

    layers: list
    embedding_norm: bool = False
    head_norms: str = ""
    layer_norm: bool = False


PLACEMENTS = {
    "mix-reversed": Placement([(pre, PRE), (pre, PRE), (post, POST)]),
    "lns": Placement([(layer_norm_scaling, PRE)] * 3),
    "sandwich": Placement([(sandwich, SANDWICH)] * 3),
    "peri": Placement([(sandwich, SANDWICH)] * 3, embedding_norm=True),
    "deepnorm": Placement([(deep_norm, POST)] * 3),
    "hybrid": Placement([(hybrid, ["post_attention_layernorm"])] * 3, head_norms="qkv"),
    "hybrid with a Pre-LN layer": Placement([(pre, PRE)] + [(hybrid, ["post_attention_layernorm"])] * 2, head_norms="qkv"),
    "pre with norms of queries and keys": Placement([(pre, PRE)] * 3, head_norms="qk"),
    "mix with LayerNorm": Placement([(post, POST), (pre, PRE), (pre, PRE)], layer_norm=True),
    "lns with LayerNorm": Placement([(layer_norm_scaling, PRE)] * 3, layer_norm=True),
}


def layer_norm(x, weight, bias, eps):
    """Ba et al. 2016: the variance is that of all numbers, not an estimate from a sample of them."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight + bias


def names_and_shapes(placement):
    """In checkpoint order."""
    hidden, inner = CONFIG.hidden_size, CONFIG.intermediate_size

    def norm(name, width):
        yield f"{name}.weight", (width,)
        if placement.layer_norm:
            yield f"{name}.bias", (width,)

    yield "model.embed_tokens.weight", (CONFIG.vocab_size, hidden)
    if placement.embedding_norm:
        yield from norm("model.embed_layernorm", hidden)
    for index, (_, norms) in enumerate(placement.layers):
        prefix = f"model.layers.{index}"
        for name in "qkvo":
            yield f"{prefix}.self_attn.{name}_proj.weight", (hidden, hidden)
        yield f"{prefix}.mlp.gate_proj.weight", (inner, hidden)
        yield f"{prefix}.mlp.up_proj.weight", (inner, hidden)
        yield f"{prefix}.mlp.down_proj.weight", (hidden, inner)
        for name in placement.head_norms:
            yield from norm(f"{prefix}.self_attn.{name}_norm", CONFIG.head_dim)
        for name in norms:
            yield from norm(f"{prefix}.{name}", hidden)
    yield from norm("model.norm", hidden)
    yield "lm_head.weight", (CONFIG.vocab_size, hidden)


def by_formula(p, name, shape):
    k = torch.arange(math.prod(shape), dtype=torch.float64)
    is_norm = name.endswith("norm.weight")
    values = 1 + 0.05 * torch.cos(0.9 * k + 0.4 * p) if is_norm else 0.2 * torch.sin(1.3 * k + 0.7 * p + 0.1)
    return values.view(shape).requires_grad_()


def attention_with_norms(x, weights, prefix, norm_named, head_norms):
    """Each head of queries, keys and values goes through its norm, if it has one, before rotation."""

    def heads_of(name):
        heads = (x @ weights[f"{prefix}.{name}_proj.weight"].T).view(len(x), CONFIG.heads, CONFIG.head_dim)
        normed = norm_named(f"{prefix}.{name}_norm")(heads) if name in head_norms else heads
        return normed.transpose(0, 1)

    query, key = rotate(heads_of("q"), CONFIG.rope_theta), rotate(heads_of("k"), CONFIG.rope_theta)
    scores = query @ key.transpose(1, 2) / math.sqrt(CONFIG.head_dim)
    future = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
    mixed = scores.masked_fill(future, -math.inf).softmax(-1) @ heads_of("v")
    return mixed.transpose(0, 1).reshape(len(x), -1) @ weights[f"{prefix}.o_proj.weight"].T


def logits_of(tokens, weights, placement):
    def norm_named(name):
        if placement.layer_norm:
            return lambda x: layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"], CONFIG.eps)
        return lambda x: rms_norm(x, weights[f"{name}.weight"], CONFIG.eps)

    x = weights["model.embed_tokens.weight"][tokens]
    if placement.embedding_norm:
        x = norm_named("model.embed_layernorm")(x)
    for index, (join, names) in enumerate(placement.layers):
        prefix = f"model.layers.{index}"
        attend = lambda h: attention(h, weights, f"{prefix}.self_attn", CONFIG)
        if placement.head_norms:
            attend = lambda h: attention_with_norms(h, weights, f"{prefix}.self_attn", norm_named, placement.head_norms)
        norms = [norm_named(f"{prefix}.{name}") for name in names]
        half = len(norms) // 2
        x = join(x, attend, index, *norms[:half])
        x = join(x, lambda h: mlp(h, weights, f"{prefix}.mlp"), index, *norms[half:])
    return norm_named("model.norm")(x) @ weights["lm_head.weight"].T


def describe(placement):
    shapes = list(names_and_shapes(placement))
    weights = {name: by_formula(p, name, shape) for p, (name, shape) in enumerate(shapes)}
    tokens = torch.tensor(TOKENS)
    logits = logits_of(tokens, weights, placement)
    loss = torch.nn.functional.cross_entropy(logits[:-1], tokens[1:])
    loss.backward()
    gradients = {name: value.grad.flatten().tolist() for name, value in weights.items()}
    return {"loss": loss.item(), "logits": logits.flatten().tolist(), "gradients": gradients}


if __name__ == "__main__":
    models = {name: describe(placement) for name, placement in PLACEMENTS.items()}
    text = json.dumps({"tokens": TOKENS, "models": models})
    rounded = json.loads(text, parse_float=lambda digits: float(f"{float(digits):.13g}"))
    (FIXTURES / "placements.json").write_text(json.dumps(rounded) + "\n")
    for name, model in models.items():
        print(name, model["loss"], model["logits"][-3:])
