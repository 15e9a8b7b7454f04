"""Writes the learning rates of transformers' Trainer: fixtures/schedules.json. Needs what make_trl.py needs.

    /tmp/trl/bin/python test/golden/make_schedules.py

Each run trains a model of one weight at a peak rate of 1; the rate of an update is read right before it.
"""

import json
import tempfile

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from make_training import FIXTURES

STEPS = [1, 2, 3, 10]
# Below 1 a share of the steps, as in mixtune.
WARMUPS = [0, 0.1, 0.25, 0.5, 1, 2, 10]
SCHEDULES = {
    ("linear", 0): ("linear", {}),
    # Polynomials of power 1 end at lr_end.
    ("linear", 0.2): ("polynomial", {"lr_end": 0.2, "power": 1.0}),
    ("cosine", 0): ("cosine", {}),
    ("cosine", 0.1): ("cosine_with_min_lr", {"min_lr_rate": 0.1}),
    ("constant", 0): ("constant_with_warmup", {}),
}


class OneWeight(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return {"loss": (self.weight * x).sum()}


class Rates(TrainerCallback):
    def __init__(self):
        self.rates = []

    def on_pre_optimizer_step(self, args, state, control, optimizer, **_):
        self.rates.append(optimizer.param_groups[0]["lr"])


def rates(name, options, steps, warmup):
    seen = Rates()
    with tempfile.TemporaryDirectory() as directory:
        arguments = TrainingArguments(
            directory,
            max_steps=steps,
            warmup_steps=warmup,
            learning_rate=1.0,
            lr_scheduler_type=name,
            lr_scheduler_kwargs=options,
            per_device_train_batch_size=1,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=True,
        )
        data = [{"x": torch.ones(1)}] * steps
        Trainer(OneWeight(), arguments, train_dataset=data, callbacks=[seen]).train()
        return arguments.get_warmup_steps(steps), seen.rates


def main():
    runs = []
    for (schedule, floor), (name, options) in SCHEDULES.items():
        for steps in STEPS:
            for warmup in WARMUPS:
                # transformers divides by the steps that are left after the warm-up.
                if name == "polynomial" and TrainingArguments("x", warmup_steps=warmup).get_warmup_steps(steps) == steps:
                    continue
                warmup_steps, found = rates(name, options, steps, warmup)
                runs.append(
                    {
                        "schedule": schedule,
                        "minLr": floor,
                        "steps": steps,
                        "warmup": warmup,
                        "warmupSteps": warmup_steps,
                        "rates": found,
                    }
                )
    lines = ",\n".join(json.dumps(run) for run in runs)
    (FIXTURES / "schedules.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
