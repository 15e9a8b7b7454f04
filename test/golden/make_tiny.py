"""Writes fixtures/tiny.json and fixtures/tiny-gradients-*.safetensors: a model whose weights are a formula.

    python test/golden/make_tiny.py

Weights, with p the parameter's index in checkpoint order and k the row-major element index: matrices are
0.2·sin(1.3k + 0.7p + 0.1), norm weights 1 + 0.05·cos(0.9k + 0.4p). Everything is float64.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file

from llama import Config, forward, parameter_shapes

FIXTURES = Path(__file__).parent / "fixtures"
TOKENS = [1, 4, 7, 2, 9]
POST_LAYERS = {"pre": 0, "mix": 1, "post": 3}
# The same model in an independent NumPy reference.
NUMPY_LOSSES = {"pre": 2.1007758329, "mix": 2.0113335074, "post": 2.0088854644}


def parameters_by_formula(config, first=0):
    parameters = {}
    for p, (name, shape) in enumerate(parameter_shapes(config).items(), first):
        k = torch.arange(math.prod(shape), dtype=torch.float64)
        values = 0.2 * torch.sin(1.3 * k + 0.7 * p + 0.1) if len(shape) == 2 else 1 + 0.05 * torch.cos(0.9 * k + 0.4 * p)
        parameters[name] = values.view(shape).requires_grad_()
    return parameters


def angular_distance(a, b):
    return (torch.dot(a, b) / (a.norm() * b.norm())).clamp(-1, 1).acos().item() / math.pi


def describe(name, post_layers):
    config = Config(11, 8, 12, layers=3, heads=2, kv_heads=2, post_layers=post_layers, tied=False)
    parameters = parameters_by_formula(config)
    tokens = torch.tensor(TOKENS)
    logits, stream = forward(tokens, parameters, config)
    log_probs = logits[:-1].log_softmax(-1).gather(1, tokens[1:, None])[:, 0]
    loss = -log_probs.mean()
    loss.backward()
    assert abs(loss.item() - NUMPY_LOSSES[name]) < 1e-9, (name, loss.item())
    save_file(
        {key: value.grad for key, value in parameters.items()},
        FIXTURES / f"tiny-gradients-{name}.safetensors",
        metadata={"format": "pt"},
    )
    last = [x[-1].detach() for x in stream]
    return {
        "postLayers": post_layers,
        "loss": loss.item(),
        "logProbs": log_probs.tolist(),
        "logits": logits.tolist(),
        "streamRms": [x.pow(2).mean().sqrt().item() for x in stream],
        "angularDistances": [angular_distance(a, b) for a, b in zip(last, last[1:])],
        "gradientNorm": math.sqrt(sum(value.grad.pow(2).sum().item() for value in parameters.values())),
    }


if __name__ == "__main__":
    models = {name: describe(name, post_layers) for name, post_layers in POST_LAYERS.items()}
    (FIXTURES / "tiny.json").write_text(json.dumps({"tokens": TOKENS, "models": models}, indent=1) + "\n")
    for name, model in models.items():
        print(name, model["loss"], model["logProbs"], model["streamRms"], model["angularDistances"], model["logits"][-1])
