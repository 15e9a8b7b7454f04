"""Writes fixtures/bf16.json: losses of 200 updates in float32 and under PyTorch's bfloat16 autocast.

    python test/golden/make_bf16.py

The models and rows are those of make_training.py (run it first); update i takes the rows of update i mod 10, at a
constant rate. How far autocast strays from float32 is what bfloat16 products may cost.
"""

import json

import torch
from safetensors.torch import load_file

from make_training import ADAMW, FIXTURES, MODELS, language_model_losses

STEPS, LEARNING_RATE = 200, 1e-3


def losses(config, initial, windows, autocast):
    parameters = {name: value.float().requires_grad_() for name, value in initial.items()}
    matrices = [value for value in parameters.values() if value.dim() == 2]
    norms = [value for value in parameters.values() if value.dim() == 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": ADAMW["weightDecay"]}, {"params": norms, "weight_decay": 0.0}],
        lr=LEARNING_RATE,
        betas=(ADAMW["beta1"], ADAMW["beta2"]),
        eps=ADAMW["epsilon"],
    )
    for step in range(STEPS):
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = sum(part for part, _ in language_model_losses(windows[step % 10], parameters, config, None))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimiser.step()
        yield loss.item()


def main():
    windows = json.loads((FIXTURES / "pretrain.json").read_text())["windows"]
    runs = {}
    for name, config in MODELS.items():
        initial = load_file(FIXTURES / name / "model.safetensors")
        float32, autocast = (list(losses(config, initial, windows, autocast)) for autocast in (False, True))
        spread = [abs(a - b) for a, b in zip(float32, autocast)]
        print(f"{name}: {float32[0]:.4f} to {float32[-1]:.4f}, autocast off by {max(spread):.4f} at most, "
              f"{sum(spread) / STEPS:.4f} on average")
        runs[name] = {kind: [round(loss, 6) for loss in run] for kind, run in (("float32", float32), ("autocast", autocast))}
    (FIXTURES / "bf16.json").write_text(json.dumps({"learningRate": LEARNING_RATE, "runs": runs}) + "\n")


if __name__ == "__main__":
    main()
