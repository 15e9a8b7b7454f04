"""Seconds of a step of TRL's trainers, in bfloat16 autocast, from the first step to the last, with all that a step needs.

    python bench/peers/trl_speed.py dpo  --model bench/peers/models/SmolLM2-135M --rows bench/peers/models/pairs.jsonl
    python bench/peers/trl_speed.py grpo --model bench/peers/models/SmolLM2-135M --rows bench/peers/models/prompts.jsonl
    PYTHONPATH=bench/peers/.venv/ppo python bench/peers/trl_speed.py ppo \
        --model bench/peers/models/SmolLM2-135M --reward bench/peers/models/SmolLM2-135M-reward --rows …/prompts.jsonl

dpo: 4 pairs of at most 512 tokens a step. grpo: 2 prompts, 8 completions of 64 tokens each. ppo (TRL 1.12, the last
release with it): 16 prompts, one completion of 64 tokens each, 4 passes, critic and reward model of the same size.
"""

import argparse
import json
import tempfile
import time

import torch
import trl
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback
from worker import peak_rss_bytes

NEW_TOKENS = 64


class Clock(TrainerCallback):
    """Time at the start of training and after each step."""

    def __init__(self):
        self.times = []

    def on_train_begin(self, *_, **__):
        self.times.append(time.perf_counter())

    def on_step_end(self, *_, **__):
        self.times.append(time.perf_counter())


def common(options, folder):
    return {
        "output_dir": folder,
        "max_steps": options.steps,
        "learning_rate": 1e-6,
        "bf16": True,
        "use_cpu": True,
        "logging_steps": 1,
        "report_to": [],
        "save_strategy": "no",
        "disable_tqdm": True,
        "gradient_checkpointing": False,
    }


def language_model(options):
    return AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)


def dpo(options, folder, rows, tokenizer):
    def message(role, content):
        return [{"role": role, "content": content}]

    pairs = [
        {
            "prompt": message("user", row["prompt"]),
            "chosen": message("assistant", row["chosen"]),
            "rejected": message("assistant", row["rejected"]),
        }
        for row in rows
    ]
    config = trl.DPOConfig(**common(options, folder), per_device_train_batch_size=4, max_length=512)
    return trl.DPOTrainer(
        language_model(options), args=config, train_dataset=Dataset.from_list(pairs), processing_class=tokenizer
    )


def grpo(options, folder, rows, tokenizer):
    config = trl.GRPOConfig(
        **common(options, folder),
        per_device_train_batch_size=16,
        num_generations=8,
        max_completion_length=NEW_TOKENS,
        beta=0.04,
    )
    prompts = [{"prompt": [{"role": "user", "content": row["prompt"]}]} for row in rows]

    def variety(completions, **_):
        return [float(len(set(completion[0]["content"]))) for completion in completions]

    return trl.GRPOTrainer(
        language_model(options),
        reward_funcs=variety,
        args=config,
        train_dataset=Dataset.from_list(prompts),
        processing_class=tokenizer,
    )


def ppo(options, folder, rows, tokenizer):
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    arguments = common(options, folder)
    del arguments["max_steps"]
    config = PPOConfig(
        **arguments,
        per_device_train_batch_size=16,
        total_episodes=16 * options.steps,
        num_sample_generations=0,
        response_length=NEW_TOKENS,
        temperature=1.0,
    )

    def ids(row):
        message = [{"role": "user", "content": row["prompt"]}]
        return tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False)

    def classifier():
        return AutoModelForSequenceClassification.from_pretrained(options.reward, num_labels=1, dtype=torch.float32)

    tokenizer.padding_side = "left"
    tokenizer.pad_token = "<|endoftext|>"
    return PPOTrainer(
        config,
        processing_class=tokenizer,
        model=language_model(options),
        ref_model=language_model(options),
        reward_model=classifier(),
        value_model=classifier(),
        train_dataset=Dataset.from_list([{"input_ids": ids(row)} for row in rows]),
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("trainer", choices=["dpo", "grpo", "ppo"])
    parser.add_argument("--model", required=True, help="Hugging Face directory")
    parser.add_argument("--reward", help="directory of the reward model, for ppo")
    parser.add_argument("--rows", required=True, help="pairs.jsonl or prompts.jsonl of make_rows.py")
    parser.add_argument("--steps", type=int, default=3)
    options = parser.parse_args()

    with open(options.rows) as file:
        rows = [json.loads(line) for line in file]
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        trainer = {"dpo": dpo, "grpo": grpo, "ppo": ppo}[options.trainer](options, folder, rows, tokenizer)
        trainer.add_callback(clock)
        trainer.train()
    steps = [end - start for start, end in zip(clock.times, clock.times[1:])]
    later = steps[1:] or steps
    result = {"stepSeconds": sum(steps) / len(steps), "laterStepSeconds": sum(later) / len(later)}
    print(json.dumps({**result, "peakRssBytes": peak_rss_bytes(), "version": trl.__version__}))


if __name__ == "__main__":
    main()
