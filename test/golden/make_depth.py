"""Writes fixtures/depth.json: what `mixtune analyze` measures, of the tiny model in float64.

    python test/golden/make_depth.py
"""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import torch

from llama import Config, forward, rms_norm
from make_tiny import POST_LAYERS, angular_distance, parameters_by_formula

FIXTURES = Path(__file__).parent / "fixtures"
# Of different lengths, so that means over tokens and over sequences differ.
ROWS = [[1, 4, 7, 2, 9], [3, 3, 10], [0, 8, 5, 6, 1, 2, 10]]


def without(layer, parameters, config):
    """The model that is left when a layer is taken out."""

    def renumbered(name):
        found = re.match(r"model\.layers\.(\d+)\.(.*)", name)
        if not found or int(found[1]) < layer:
            return name
        return f"model.layers.{int(found[1]) - 1}.{found[2]}"

    kept = {renumbered(n): v for n, v in parameters.items() if not n.startswith(f"model.layers.{layer}.")}
    post_layers = config.post_layers - (layer < config.post_layers)
    return kept, replace(config, layers=config.layers - 1, post_layers=post_layers)


def cross_entropies(logits, row):
    return -logits.log_softmax(-1).gather(1, row[1:, None])[:, 0]


def mean_loss(parameters, config):
    return torch.cat([cross_entropies(forward(row[:-1], parameters, config)[0], row) for row in rows()]).mean()


def rows():
    return [torch.tensor(row) for row in ROWS]


def exit_losses(streams, parameters, config):
    def losses(depth):
        for stream, row in zip(streams, rows()):
            hidden = rms_norm(stream[depth], parameters["model.norm.weight"], config.eps)
            yield cross_entropies(hidden @ parameters["lm_head.weight"].T, row)

    return [torch.cat(list(losses(depth))).mean().item() for depth in range(config.layers + 1)]


def mean_angles(vectors):
    """vectors [depth][item]: the mean over items between each two depths."""
    mean = lambda a, b: sum(map(angular_distance, a, b)) / len(a)
    return [[mean(a, b) if a is not b else 0.0 for b in vectors] for a in vectors]


def describe(post_layers):
    config = Config(11, 8, 12, layers=3, heads=2, kv_heads=2, post_layers=post_layers, tied=False)
    parameters = parameters_by_formula(config)
    loss = mean_loss(parameters, config)
    loss.backward()
    norm = lambda tensors: math.sqrt(sum(tensor.grad.pow(2).sum().item() for tensor in tensors))
    own = lambda layer: [v for n, v in parameters.items() if n.startswith(f"model.layers.{layer}.")]
    with torch.no_grad():
        streams = [forward(row[:-1], parameters, config)[1] for row in rows()]
        depths = range(config.layers + 1)
        every = [torch.cat([stream[depth] for stream in streams]) for depth in depths]
        last = [torch.stack([stream[depth][-1] for stream in streams]) for depth in depths]
        return {
            "postLayers": post_layers,
            "loss": loss.item(),
            "streamRms": [x.pow(2).mean(-1).sqrt().mean().item() for x in every],
            "angular": {"last": mean_angles(last), "all": mean_angles(every)},
            "removal": [mean_loss(*without(layer, parameters, config)).item() for layer in range(config.layers)],
            "exits": exit_losses(streams, parameters, config),
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
