"""Writes what TRL makes of the preference losses: fixtures/trl.json. Run make_training.py first: it makes the initial models.

    python -m venv /tmp/trl && /tmp/trl/bin/pip install -r test/golden/requirements-trl.txt
    /tmp/trl/bin/python test/golden/make_trl.py

The trainers of TRL train fixtures/pre (a stock LlamaForCausalLM) on the same rows, in float32, without clipping. A token is
a character here, so that TRL's way from text to ids is part of what is compared and every id can be seen.
"""

import json
import os
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import LlamaForCausalLM, LlamaForSequenceClassification, PreTrainedTokenizerFast, TrainerCallback
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RewardConfig, RewardTrainer
from trl.experimental.cpo import CPOConfig, CPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

from make_training import FIXTURES, VOCABULARY, chain, integer

STEPS, BATCH = 5, 4
LEARNING_RATE = 2e-3
ADAMW = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weightDecay": 0.1}
END, PADDING = 0, 63
REWARD_MARGIN = 0.25
REFERENCE_SCALE = 1.25  # KTO's reference is not the initial model, so that the KL is not 0 at first.
CHARACTERS = [chr(ord("0") + i) for i in range(VOCABULARY)]

LOSSES = {
    "dpo": (DPOTrainer, DPOConfig, {"loss_type": ["sigmoid"], "beta": 0.1}),
    # TRL's `sigmoid` knows no label smoothing any more; `aot` of a single pair is cDPO.
    "dpo smoothed": (DPOTrainer, DPOConfig, {"loss_type": ["aot"], "beta": 0.1, "label_smoothing": 0.1}),
    "ipo": (DPOTrainer, DPOConfig, {"loss_type": ["ipo"], "beta": 0.1}),
    "hinge": (DPOTrainer, DPOConfig, {"loss_type": ["hinge"], "beta": 0.1}),
    "dpo with nll": (DPOTrainer, DPOConfig, {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5], "beta": 0.1}),
    "simpo": (CPOTrainer, CPOConfig, {"loss_type": "simpo", "beta": 2.0, "simpo_gamma": 0.5, "cpo_alpha": 0.0}),
    "simpo with nll": (CPOTrainer, CPOConfig, {"loss_type": "simpo", "beta": 2.0, "simpo_gamma": 0.5, "cpo_alpha": 0.5}),
    "orpo": (ORPOTrainer, ORPOConfig, {"beta": 0.2}),
    "kto": (KTOTrainer, KTOConfig, {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.5}),
    "kto of pairs": (KTOTrainer, KTOConfig, {"beta": 0.1}),
    "reward": (RewardTrainer, RewardConfig, {"center_rewards_coefficient": 0.01}),
}


def tokenizer():
    characters = Tokenizer(models.WordLevel({character: i for i, character in enumerate(CHARACTERS)}, unk_token="0"))
    characters.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=characters, eos_token=CHARACTERS[END], pad_token=CHARACTERS[PADDING], clean_up_tokenization_spaces=False
    )


def text(tokens):
    return "".join(CHARACTERS[token] for token in tokens)


def answer(generator, start):
    """Without the end token, which TRL appends."""
    tokens = chain(generator, integer(generator, 1, 7), start)
    return [token if token not in (END, PADDING) else token ^ 2 for token in tokens]


def pairs(generator, prompt_tokens):
    rows = []
    for _ in range(STEPS * BATCH):
        prompt = [token if token != PADDING else 5 for token in chain(generator, integer(generator, *prompt_tokens))]
        chosen = answer(generator, (5 * prompt[-1] + 3) % VOCABULARY)
        rejected = answer(generator, integer(generator, 1, VOCABULARY - 2))
        rows.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    assert all(row["chosen"] != row["rejected"] for row in rows)
    return rows


def unpaired(generator):
    rows = []
    for row in pairs(generator, (2, 6)):
        desirable = integer(generator, 0, 2) > 0
        rows.append({"prompt": row["prompt"], "completion": row["chosen" if desirable else "rejected"], "label": desirable})
    return rows


def initial_model():
    return LlamaForCausalLM.from_pretrained(FIXTURES / "pre", dtype=torch.float32, attn_implementation="eager")


def scaled_reference():
    model = initial_model()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter *= REFERENCE_SCALE
    return model


def reward_model(head):
    model = LlamaForSequenceClassification.from_pretrained(
        FIXTURES / "pre", num_labels=1, pad_token_id=PADDING, dtype=torch.float32, attn_implementation="eager"
    )
    with torch.no_grad():
        model.score.weight.copy_(head)
    return model


class Recorder(TrainerCallback):
    """Losses as compute_loss returns them, before anything is rounded, and norms of the gradients that the optimiser is given."""

    def __init__(self, trainer):
        self.losses, self.record, self.trainer = [], {"loss": [], "gradientNorm": []}, trainer
        compute_loss = trainer.compute_loss

        def recorded(*arguments, **options):
            loss = compute_loss(*arguments, **options)
            self.losses.append(loss.item())
            return loss

        trainer.compute_loss = recorded
        trainer.add_callback(self)

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        gradients = [parameter.grad.double().pow(2).sum() for parameter in model.parameters() if parameter.grad is not None]
        self.record["gradientNorm"].append(sum(gradients).sqrt().item())
        self.record["loss"].append(sum(self.losses) / len(self.losses))
        self.losses = []


METRICS = {
    "rewards/chosen": "chosenReward",
    "rewards/rejected": "rejectedReward",
    "logps/chosen": "chosenLogProb",
    "logps/rejected": "rejectedLogProb",
    "kl": "kl",
    "accuracy": "accuracy",
    "rewards/accuracies": "accuracy",
    "margin": "margin",
}


def train(name, rows, head):
    trainer_class, config_class, options = LOSSES[name]
    alone = name == "dpo smoothed"
    args = config_class(
        output_dir=tempfile.mkdtemp(),
        max_steps=STEPS,
        per_device_train_batch_size=1 if alone else BATCH,
        gradient_accumulation_steps=BATCH if alone else 1,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        adam_beta1=ADAMW["beta1"],
        adam_beta2=ADAMW["beta2"],
        adam_epsilon=ADAMW["epsilon"],
        weight_decay=ADAMW["weightDecay"],
        max_grad_norm=0.0,
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        train_sampling_strategy="sequential",
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        **options,
    )
    reference = {"ref_model": scaled_reference()} if trainer_class is KTOTrainer else {}
    texts = [{key: text(value) if isinstance(value, list) else value for key, value in row.items()} for row in rows]
    if trainer_class is RewardTrainer:
        texts = [{**row, "margin": REWARD_MARGIN} for row in texts]
    trainer = trainer_class(
        model=reward_model(head) if trainer_class is RewardTrainer else initial_model(),
        args=args,
        train_dataset=Dataset.from_list(texts),
        processing_class=tokenizer(),
        **reference,
    )
    recorder = Recorder(trainer)
    trainer.train()
    record = recorder.record
    steps = [log for log in trainer.state.log_history if "loss" in log]
    for theirs, ours in METRICS.items():
        # None where a step of KTO has no answer of the kind.
        values = [log.get(theirs) for log in steps]
        if any(value is not None for value in values):
            record[ours] = values
    assert all(len(values) == STEPS for values in record.values()), record
    for key, values in record.items():
        print(f"{name:16s} {key:16s}", *(f"{value:.6f}" for value in values if value is not None))
    return record


def main():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(21)
    head = (torch.randn((1, 32), generator=generator) / 33**0.5).bfloat16().float()
    rows = {
        "pairs": pairs(generator, (2, 6)),
        "shortPrompts": pairs(generator, (1, 1)),
        "unpaired": unpaired(generator),
    }
    # A pair is two rows for KTO, which TRL puts behind each other: first all chosen answers, then all others.
    rows["halfOfPairs"] = rows["pairs"][: STEPS * BATCH // 2]
    # TRL's ORPO takes the cross-entropy of prompt and answer; of a prompt of one token nothing is predicted.
    rows_of = {"orpo": "shortPrompts", "kto": "unpaired", "kto of pairs": "halfOfPairs"}
    runs = {name: train(name, rows[rows_of.get(name, "pairs")], head) for name in LOSSES}
    fixture = {
        "steps": STEPS,
        "batchSize": BATCH,
        "learningRate": LEARNING_RATE,
        "optimiser": ADAMW,
        "endToken": END,
        "referenceScale": REFERENCE_SCALE,
        "rewardMargin": REWARD_MARGIN,
        "scoreHead": head[0].tolist(),
        "rows": rows,
        "runs": runs,
    }
    (FIXTURES / "trl.json").write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
