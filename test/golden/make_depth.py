"""Writes fixtures/depth.json: what `mixtune analyze` measures, of the tiny model in float64.

    python test/golden/make_depth.py
"""

import json
import math
from pathlib import Path

import torch

from llama import Config, attention, forward, mlp, norm_names, rms_norm, rotate
from make_tiny import POST_LAYERS, angular_distance, parameters_by_formula

FIXTURES = Path(__file__).parent / "fixtures"
# Of different lengths, so that means over tokens and over sequences differ.
ROWS = [[1, 4, 7, 2, 9], [3, 3, 10], [0, 8, 5, 6, 1, 2, 10]]


def through(order, row, parameters, config):
    """The stream [tokens, hidden] after the given layers, in that order, each wired as in its own place."""
    x = parameters["model.embed_tokens.weight"][row[:-1]]
    for layer in order:
        prefix = f"model.layers.{layer}"
        first, second = (parameters[f"{prefix}.{name}.weight"] for name in norm_names(config, layer))
        norm = lambda h, weight: rms_norm(h, weight, config.eps)
        attend = lambda h: attention(h, parameters, f"{prefix}.self_attn", config)
        feed = lambda h: mlp(h, parameters, f"{prefix}.mlp")
        if layer < config.post_layers:
            x = norm(x + attend(x), first)
            x = norm(x + feed(x), second)
        else:
            x = x + attend(norm(x, first))
            x = x + feed(norm(x, second))
    return x


def cross_entropies(logits, row):
    return -logits.log_softmax(-1).gather(1, row[1:, None])[:, 0]


def mean_loss(order, parameters, config):
    def losses(row):
        hidden = rms_norm(through(order, row, parameters, config), parameters["model.norm.weight"], config.eps)
        return cross_entropies(hidden @ parameters["lm_head.weight"].T, row)

    return torch.cat([losses(row) for row in rows()]).mean()


def rows():
    return [torch.tensor(row) for row in ROWS]


def mean_angles(vectors):
    """vectors [depth][item]: the mean over items between each two depths."""
    mean = lambda a, b: sum(map(angular_distance, a, b)) / len(a)
    return [[mean(a, b) if a is not b else 0.0 for b in vectors] for a in vectors]


def attention_entropies(streams, parameters, config):
    """Of each layer and head: the mean of −Σ p ln p over tokens, and of its share of ln(tokens seen) but for the first."""

    def of_layer(layer, row_stream):
        prefix = f"model.layers.{layer}"
        x = row_stream[layer]
        if layer >= config.post_layers:
            x = rms_norm(x, parameters[f"{prefix}.{norm_names(config, layer)[0]}.weight"], config.eps)
        heads = lambda name: (x @ parameters[f"{prefix}.self_attn.{name}_proj.weight"].T).view(len(x), config.heads, -1).transpose(0, 1)
        query, key = rotate(heads("q"), config.rope_theta), rotate(heads("k"), config.rope_theta)
        scores = (query @ key.transpose(1, 2) / math.sqrt(config.head_dim)).masked_fill(
            torch.ones(len(x), len(x), dtype=torch.bool).triu(1), -math.inf
        )
        return torch.distributions.Categorical(logits=scores).entropy()  # [heads, tokens]

    nats, normalised = [], []
    for layer in range(config.layers):
        entropies = [of_layer(layer, stream) for stream in streams]
        nats.append(torch.cat(entropies, 1).mean(1).tolist())
        shares = [entropy[:, 1:] / torch.arange(2, entropy.shape[1] + 1).double().log() for entropy in entropies]
        normalised.append(torch.cat(shares, 1).mean(1).tolist())
    return {"nats": nats, "normalised": normalised}


def effective_rank(x):
    singular = torch.linalg.svdvals(x - x.mean(0))
    shares = singular / singular.sum()
    return torch.special.entr(shares).sum().exp().item()


def outliers(x):
    squares = x.pow(2).mean(0)
    kurtosis = squares.pow(2).mean() / squares.mean().pow(2)
    return kurtosis.item(), (x.abs().max() / x.pow(2).mean().sqrt()).item()


def prunings(angles, removal, parameters, config):
    layers = list(range(config.layers))
    loss = lambda removed: mean_loss([l for l in layers if l not in removed], parameters, config).item()
    first = [min(range(config.layers + 1 - k), key=lambda s: angles[s][s + k]) for k in range(config.layers + 1)]
    order = sorted(layers, key=lambda layer: removal[layer])
    return {
        "byAngle": {"first": first, "loss": [loss(range(s, s + k)) for k, s in enumerate(first)]},
        "byLoss": {"order": order, "loss": [loss(order[:k]) for k in range(config.layers + 1)]},
    }


def relative_update(names, parameters, base):
    norm = lambda tensors: math.sqrt(sum(tensor.pow(2).sum().item() for tensor in tensors))
    return norm(parameters[n] - base[n] for n in names) / norm(base[n] for n in names)


def describe(post_layers):
    config = Config(11, 8, 12, layers=3, heads=2, kv_heads=2, post_layers=post_layers, tied=False)
    parameters = parameters_by_formula(config)
    layers = list(range(config.layers))
    loss = mean_loss(layers, parameters, config)
    loss.backward()
    norm = lambda tensors: math.sqrt(sum(tensor.grad.pow(2).sum().item() for tensor in tensors))
    own = lambda layer: [v for n, v in parameters.items() if n.startswith(f"model.layers.{layer}.")]
    with torch.no_grad():
        streams = [forward(row[:-1], parameters, config)[1] for row in rows()]
        depths = range(config.layers + 1)
        every = [torch.cat([stream[depth] for stream in streams]) for depth in depths]
        last = [torch.stack([stream[depth][-1] for stream in streams]) for depth in depths]
        angles = {"last": mean_angles(last), "all": mean_angles(every)}
        removal = [mean_loss(layers[:l] + layers[l + 1 :], parameters, config).item() for l in layers]
        swapped = lambda l: layers[:l] + [l + 1, l] + layers[l + 2 :]
        base = parameters_by_formula(config, first=1)
        inside = lambda layer: [n for n in parameters if n.startswith(f"model.layers.{layer}.")]
        return {
            "postLayers": post_layers,
            "loss": loss.item(),
            "streamRms": [x.pow(2).mean(-1).sqrt().mean().item() for x in every],
            "angular": angles,
            "effectiveRank": [effective_rank(x) for x in every],
            "effectiveRankOfFirst": [effective_rank(stream) for stream in streams[0]],
            "outliers": dict(zip(["kurtosis", "largest"], zip(*map(outliers, every)))),
            "attentionEntropy": attention_entropies(streams, parameters, config),
            "removal": removal,
            "exchange": [mean_loss(swapped(l), parameters, config).item() for l in layers[:-1]],
            "exits": [mean_loss(layers[:depth], parameters, config).item() for depth in depths],
            "pruning": prunings(angles["last"], removal, parameters, config),
            "updates": {
                "all": relative_update(parameters, parameters, base),
                "layers": [relative_update(inside(l), parameters, base) for l in layers],
                "head": relative_update(["lm_head.weight"], parameters, base),
            },
            "gradients": {
                "all": norm(parameters.values()),
                "layers": [norm(own(layer)) for layer in range(config.layers)],
                "matrices": [norm(v for v in own(layer) if v.dim() == 2) for layer in range(config.layers)],
                "queries": [norm([parameters[f"model.layers.{layer}.self_attn.q_proj.weight"]]) for layer in range(config.layers)],
                "embedding": norm([parameters["model.embed_tokens.weight"]]),
                "finalNorm": norm([parameters["model.norm.weight"]]),
                "head": norm([parameters["lm_head.weight"]]),
            },
        }


if __name__ == "__main__":
    models = {name: describe(post_layers) for name, post_layers in POST_LAYERS.items()}
    (FIXTURES / "depth.json").write_text(json.dumps({"rows": ROWS, "models": models}, indent=1) + "\n")
    for name, model in models.items():
        print(name, model["loss"], model["streamRms"], model["removal"], model["exits"], model["gradients"]["layers"])
