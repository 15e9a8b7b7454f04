"""Writes the golden training runs: fixtures/{pre,mix}/ (initial models) and fixtures/{pretrain,sft,dpo}.json.

    python test/golden/make_training.py

Every run is computed in float64 and in float32, so that a test knows the noise of single precision.
"""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import save_file

from llama import Config, forward, parameter_shapes, token_log_probs

FIXTURES = Path(__file__).parent / "fixtures"
VOCABULARY = 64
MODELS = {
    "pre": Config(VOCABULARY, 32, 48, layers=4, heads=4, kv_heads=2, post_layers=0, tied=False),
    "mix": Config(VOCABULARY, 32, 48, layers=4, heads=4, kv_heads=2, post_layers=1, tied=True),
}
STEPS, WARMUP, FLOOR = 10, 3, 0.1
LEARNING_RATES = {"pretrain": 5e-3, "sft": 3e-3, "dpo": 3e-3}
# Chosen so that some updates are clipped and others are not.
MAX_GRADIENT_NORMS = {"pretrain": 3.0, "sft": 3.8, "dpo": 1.4}
ADAMW = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weightDecay": 0.1}
BETA = 0.1
PREFERENCE_LOSSES = {
    "sigmoid": lambda h: -torch.nn.functional.logsigmoid(BETA * h),
    "sigmoid-smoothed": lambda h: 0.9 * -torch.nn.functional.logsigmoid(BETA * h)
    + 0.1 * -torch.nn.functional.logsigmoid(-BETA * h),
    "ipo": lambda h: (h - 1 / (2 * BETA)) ** 2,
    "hinge": lambda h: torch.relu(1 - BETA * h),
}


# Initial models


def initial_parameters(config, seed):
    """Values are exact in bfloat16, so the stored half-size file and every precision start from the same numbers."""
    generator = torch.Generator().manual_seed(seed)

    def draw(name, shape):
        normal = torch.randn(shape, generator=generator)
        if len(shape) == 1:
            return 1 + 0.1 * normal
        return normal * (0.4**0.5 if "embed" in name and not config.tied else shape[-1] ** -0.5)

    return {name: draw(name, shape).bfloat16() for name, shape in parameter_shapes(config).items()}


def write_model(name, config, parameters):
    directory = FIXTURES / name
    directory.mkdir(parents=True, exist_ok=True)
    save_file(parameters, directory / "model.safetensors", metadata={"format": "pt"})
    huggingface = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "max_position_embeddings": 64,
        "rms_norm_eps": config.eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": config.tied,
        "attention_bias": False,
        "mlp_bias": False,
        "torch_dtype": "bfloat16",
    }
    (directory / "config.json").write_text(json.dumps(huggingface, indent=2) + "\n")


def check_against_transformers(directory, config, parameters):
    from transformers import LlamaForCausalLM

    model = LlamaForCausalLM.from_pretrained(directory, dtype=torch.float64, attn_implementation="eager")
    tokens = torch.tensor([3, 1, 4, 1, 5, 9, 2, 6])
    ours, _ = forward(tokens, parameters, config)
    # transformers computes the RoPE table and the RMSNorm in float32 whatever the model's type is.
    difference = (model(tokens[None]).logits[0] - ours).abs().max().item()
    print(f"{directory.name}: largest difference of logits from transformers {difference:.1e}")
    assert difference < 1e-5


# Data


def integer(generator, low, high):
    return int(torch.randint(low, high + 1, (1,), generator=generator))


def chain(generator, length, start=None):
    """Tokens of a noisy rule, next = 5·token + 3 mod vocabulary, so that there is something to learn."""
    tokens = [integer(generator, 0, VOCABULARY - 1) if start is None else start]
    while len(tokens) < length:
        follows_rule = integer(generator, 0, 9) < 7
        tokens.append((5 * tokens[-1] + 3) % VOCABULARY if follows_rule else integer(generator, 0, VOCABULARY - 1))
    return tokens


def text(generator):
    tokens = chain(generator, integer(generator, 5, 17))
    return {"tokens": tokens, "trained": [0] + [1] * (len(tokens) - 1)}


def exchange(generator):
    """Prompt, answer, a second prompt and a second answer; only the answers are trained."""
    lengths = [integer(generator, 2, 5), integer(generator, 1, 6), integer(generator, 1, 3), integer(generator, 1, 4)]
    trained = [role for length, role in zip(lengths, [0, 1, 0, 1]) for _ in range(length)]
    return {"tokens": chain(generator, sum(lengths)), "trained": trained}


def preference(generator):
    """The chosen answer goes on from the prompt by the rule, the rejected one starts anywhere."""
    prompt = chain(generator, integer(generator, 2, 6))

    def answer(start):
        tokens = prompt + chain(generator, integer(generator, 1, 7), start)
        return {"tokens": tokens, "trained": [0] * len(prompt) + [1] * (len(tokens) - len(prompt))}

    return {
        "chosen": answer((5 * prompt[-1] + 3) % VOCABULARY),
        "rejected": answer(integer(generator, 0, VOCABULARY - 1)),
    }


def windows(make, seed, micro_batches, size):
    generator = torch.Generator().manual_seed(seed)
    return [[[make(generator) for _ in range(size)] for _ in range(micro_batches)] for _ in range(STEPS)]


# Training


def learning_rate(step, peak):
    """step counts updates from 1: linear warm-up, the peak, then cosine towards FLOOR of it one update after the last."""
    if step <= WARMUP:
        return peak * step / (WARMUP + 1)
    return peak * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * (step - 1 - WARMUP) / (STEPS - WARMUP))))


def trained_log_probs(sequence, parameters, config):
    log_probs = token_log_probs(torch.tensor(sequence["tokens"]), parameters, config)
    return log_probs[torch.tensor(sequence["trained"][1:], dtype=torch.bool)]


def language_model_losses(window, parameters, config, _initial):
    """One term for each micro-batch; their sum is the mean over the trained tokens of the whole window."""
    total = sum(sum(sequence["trained"]) for micro_batch in window for sequence in micro_batch)
    for micro_batch in window:
        yield -sum(trained_log_probs(sequence, parameters, config).sum() for sequence in micro_batch) / total, {}


def preference_losses(loss_of, per_token):
    def losses(window, parameters, config, initial):
        pairs = sum(len(micro_batch) for micro_batch in window)
        for micro_batch in window:
            total, metrics = 0, {"chosenReward": 0.0, "rejectedReward": 0.0}
            for pair in micro_batch:
                moved, lengths = {}, {}
                for side in ("chosen", "rejected"):
                    with torch.no_grad():
                        reference = trained_log_probs(pair[side], initial, config).sum()
                    moved[side] = trained_log_probs(pair[side], parameters, config).sum() - reference
                    metrics[f"{side}Reward"] += BETA * moved[side].item() / pairs
                    lengths[side] = sum(pair[side]["trained"]) if per_token else 1
                margin = moved["chosen"] / lengths["chosen"] - moved["rejected"] / lengths["rejected"]
                total = total + loss_of(margin) / pairs
            yield total, metrics

    return losses


def fingerprint(gradient):
    """Norm, and a projection that notices elements in the wrong places: Σ g[k]·sin(0.37k + 0.2)."""
    k = torch.arange(gradient.numel(), dtype=torch.float64)
    return {
        "norm": gradient.norm().item(),
        "projection": (gradient.flatten().double() * torch.sin(0.37 * k + 0.2)).sum().item(),
    }


def train(stage, losses_of, data, config, initial, dtype):
    initial = {name: value.to(dtype) for name, value in initial.items()}
    parameters = {name: value.clone().requires_grad_() for name, value in initial.items()}
    matrices = [value for value in parameters.values() if value.dim() == 2]
    norms = [value for value in parameters.values() if value.dim() == 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": ADAMW["weightDecay"]}, {"params": norms, "weight_decay": 0.0}],
        betas=(ADAMW["beta1"], ADAMW["beta2"]),
        eps=ADAMW["epsilon"],
        foreach=False,
    )
    record = {}
    first_gradients = {}
    for step, window in enumerate(data, start=1):
        optimiser.zero_grad()
        measured = {"loss": 0.0}
        for loss, metrics in losses_of(window, parameters, config, initial):
            loss.backward()
            for key, value in {"loss": loss.item(), **metrics}.items():
                measured[key] = measured.get(key, 0.0) + value
        norm = math.sqrt(sum(value.grad.double().pow(2).sum().item() for value in parameters.values()))
        if step == 1:
            first_gradients = {name: fingerprint(value.grad) for name, value in parameters.items()}
        for value in parameters.values():
            value.grad *= min(1, MAX_GRADIENT_NORMS[stage] / norm)
        rate = learning_rate(step, LEARNING_RATES[stage])
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
        for key, value in {**measured, "gradientNorm": norm, "learningRate": rate}.items():
            record.setdefault(key, []).append(value)
    return record, first_gradients


def run(stage, losses_of, data, config, initial):
    double, first_gradients = train(stage, losses_of, data, config, initial, torch.float64)
    single, _ = train(stage, losses_of, data, config, initial, torch.float32)
    noise = max(abs(a - b) / abs(b) for a, b in zip(single["loss"], double["loss"]))
    print(f"  float32 noise {noise:.1e}, loss", *(f"{x:.4f}" for x in double["loss"]))
    print("  gradient norm", *(f"{x:.2f}" for x in double["gradientNorm"]))
    return {"float64": double, "float32": single, "firstGradients": first_gradients}


def write_stage(stage, data, runs):
    fixture = {
        "schedule": {"learningRate": LEARNING_RATES[stage], "warmupSteps": WARMUP, "steps": STEPS, "floor": FLOOR},
        "optimiser": {**ADAMW, "maxGradientNorm": MAX_GRADIENT_NORMS[stage]},
        "windows": data,
        "runs": runs,
    }
    (FIXTURES / f"{stage}.json").write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


def main():
    torch.set_num_threads(1)
    initial = {name: initial_parameters(config, seed=7) for name, config in MODELS.items()}
    for name, config in MODELS.items():
        write_model(name, config, initial[name])
    check_against_transformers(
        FIXTURES / "pre", MODELS["pre"], {key: value.double() for key, value in initial["pre"].items()}
    )

    def run_models(stage, losses_of, data):
        print(stage)
        return {name: run(stage, losses_of, data, config, initial[name]) for name, config in MODELS.items()}

    texts = windows(text, seed=4, micro_batches=1, size=4)
    write_stage("pretrain", texts, run_models("pretrain", language_model_losses, texts))
    exchanges = windows(exchange, seed=2, micro_batches=2, size=2)
    write_stage("sft", exchanges, run_models("sft", language_model_losses, exchanges))
    pairs = windows(preference, seed=3, micro_batches=2, size=2)
    runs = {loss: run_models("dpo", preference_losses(loss_of, per_token=loss == "ipo"), pairs) for loss, loss_of in PREFERENCE_LOSSES.items()}
    for loss in ("sigmoid-smoothed", "ipo", "hinge"):
        for record in runs[loss].values():
            del record["firstGradients"]
    write_stage("dpo", pairs, runs)


if __name__ == "__main__":
    main()
