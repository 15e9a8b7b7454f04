"""Writes fixtures/placements.json: loss, logits and gradients of a tiny model under each placement that llama.py lacks.

    python test/golden/make_placements.py

Attention, MLP, RMSNorm and weights by formula are those of make_tiny.py; how they are joined stands here alone, each
placement as its paper has it. Everything is float64, written to 13 digits.
"""

import json
import math
from pathlib import Path

import torch

from llama import Config, attention, mlp, rms_norm

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


# By name: the equation and the norms of each layer, and whether the embedding has a norm (Kim et al. 2025).
PLACEMENTS = {
    "mix-reversed": ([(pre, PRE), (pre, PRE), (post, POST)], False),
    "lns": ([(layer_norm_scaling, PRE)] * 3, False),
    "sandwich": ([(sandwich, SANDWICH)] * 3, False),
    "peri": ([(sandwich, SANDWICH)] * 3, True),
    "deepnorm": ([(deep_norm, POST)] * 3, False),
}


def names_and_shapes(layers, embedding_norm):
    """In checkpoint order."""
    hidden, inner = CONFIG.hidden_size, CONFIG.intermediate_size
    yield "model.embed_tokens.weight", (CONFIG.vocab_size, hidden)
    if embedding_norm:
        yield "model.embed_layernorm.weight", (hidden,)
    for index, (_, norms) in enumerate(layers):
        prefix = f"model.layers.{index}"
        for name in "qkvo":
            yield f"{prefix}.self_attn.{name}_proj.weight", (hidden, hidden)
        yield f"{prefix}.mlp.gate_proj.weight", (inner, hidden)
        yield f"{prefix}.mlp.up_proj.weight", (inner, hidden)
        yield f"{prefix}.mlp.down_proj.weight", (hidden, inner)
        for name in norms:
            yield f"{prefix}.{name}.weight", (hidden,)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (CONFIG.vocab_size, hidden)


def by_formula(p, shape):
    k = torch.arange(math.prod(shape), dtype=torch.float64)
    values = 0.2 * torch.sin(1.3 * k + 0.7 * p + 0.1) if len(shape) == 2 else 1 + 0.05 * torch.cos(0.9 * k + 0.4 * p)
    return values.view(shape).requires_grad_()


def logits_of(tokens, weights, layers, embedding_norm):
    norm_named = lambda name: lambda x: rms_norm(x, weights[f"{name}.weight"], CONFIG.eps)
    x = weights["model.embed_tokens.weight"][tokens]
    if embedding_norm:
        x = norm_named("model.embed_layernorm")(x)
    for index, (join, names) in enumerate(layers):
        prefix = f"model.layers.{index}"
        norms = [norm_named(f"{prefix}.{name}") for name in names]
        half = len(norms) // 2
        x = join(x, lambda h: attention(h, weights, f"{prefix}.self_attn", CONFIG), index, *norms[:half])
        x = join(x, lambda h: mlp(h, weights, f"{prefix}.mlp"), index, *norms[half:])
    return norm_named("model.norm")(x) @ weights["lm_head.weight"].T


def describe(layers, embedding_norm):
    shapes = list(names_and_shapes(layers, embedding_norm))
    weights = {name: by_formula(p, shape) for p, (name, shape) in enumerate(shapes)}
    tokens = torch.tensor(TOKENS)
    logits = logits_of(tokens, weights, layers, embedding_norm)
    loss = torch.nn.functional.cross_entropy(logits[:-1], tokens[1:])
    loss.backward()
    gradients = {name: value.grad.flatten().tolist() for name, value in weights.items()}
    return {"loss": loss.item(), "logits": logits.flatten().tolist(), "gradients": gradients}


if __name__ == "__main__":
    models = {name: describe(*placement) for name, placement in PLACEMENTS.items()}
    text = json.dumps({"tokens": TOKENS, "models": models})
    rounded = json.loads(text, parse_float=lambda digits: float(f"{float(digits):.13g}"))
    (FIXTURES / "placements.json").write_text(json.dumps(rounded) + "\n")
    for name, model in models.items():
        print(name, model["loss"], model["logits"][-3:])
