"""Writes the golden PPO runs: fixtures/ppo.json. Run make_training.py first: it makes the initial models.

    python test/golden/make_ppo.py

Two iterations of rollouts that stand in the fixture (so nothing depends on sampling), with 3 and 2 updates: five updates
of policy and critic, for each of three settings; and of a policy alone under RLOO. Written from the papers, response by response, without padding; in float64.
"""

import json
import math
from dataclasses import asdict, dataclass

import torch

from llama import forward, rms_norm
from make_training import ADAMW, FIXTURES, MODELS, VOCABULARY, chain, initial_parameters, integer

TEMPERATURE = 0.7
KL_COEFFICIENT, GAMMA, LAMBDA = 0.2, 0.98, 0.9
CLIP = 0.2  # Some tokens are clipped, and some values.
LEARNING_RATE, VALUE_LEARNING_RATE, MAX_GRADIENT_NORM = 3e-4, 5e-4, 1.0
UPDATES_BY_ITERATION = [3, 2]
RESPONSES = 6


@dataclass
class Settings:
    value_clip: float = 0.1
    kl_kind: str = "k1"
    whiten_rewards: bool = False
    # (target in nats a response, horizon in responses)
    kl_target: tuple[float, float] | None = None
    pretrain_weight: float | None = None
    entropy_coefficient: float = 0.0
    # Values are read from the policy's own trunk, and their loss counts so much; otherwise the critic is a model of its own.
    shared_value_weight: float | None = None
    # (x − mean) / std of all scores so far, then clipped.
    score_clip: float | None = None


SETTINGS = {
    "plain": Settings(),
    "switched": Settings(0.5, "k3", True, (0.5, 20.0), 0.3, 0.02),
    "shared": Settings(shared_value_weight=0.1, score_clip=1.0),
}
# Responses to a prompt, and what the mean entropy of a response's tokens counts.
RLOO = {"samples": 3, "entropyCoefficient": 0.02}


def rollout(generator):
    prompt = chain(generator, integer(generator, 2, 6))
    response = chain(generator, integer(generator, 1, 8), (5 * prompt[-1] + 3) % VOCABULARY)
    return {"prompt": prompt, "response": response, "score": integer(generator, -20, 20) / 10}


def final_hidden(tokens, parameters, config):
    _, stream = forward(tokens, {**parameters, "lm_head.weight": parameters["model.embed_tokens.weight"]}, config)
    return rms_norm(stream[-1], parameters["model.norm.weight"], config.eps)


def response_rows(row):
    """Tokens that the model reads, and the rows that predict the response."""
    tokens = torch.tensor(row["prompt"] + row["response"])
    return tokens[:-1], slice(len(row["prompt"]) - 1, None)


def distributions(row, parameters, config):
    tokens, rows = response_rows(row)
    logits, _ = forward(tokens, parameters, config)
    return (logits[rows] / TEMPERATURE).log_softmax(-1)


def log_probs(row, parameters, config):
    return distributions(row, parameters, config).gather(1, torch.tensor(row["response"])[:, None])[:, 0]


def entropies(row, parameters, config):
    logs = distributions(row, parameters, config)
    return -(logs.exp() * logs).sum(-1)


def values(row, critic, config):
    tokens, rows = response_rows(row)
    return final_hidden(tokens, critic, config)[rows] @ critic["score.weight"][0]


def text_loss(windows, parameters, config):
    """Mean cross-entropy over the tokens of all windows."""
    losses = []
    for window in windows:
        tokens = torch.tensor(window)
        logits, _ = forward(tokens[:-1], parameters, config)
        losses.append(torch.nn.functional.cross_entropy(logits, tokens[1:], reduction="none"))
    return torch.cat(losses).mean()


def gae(rewards, old_values):
    advantages, following, following_value = [], 0.0, 0.0
    for reward, value in zip(reversed(rewards.tolist()), reversed(old_values.tolist())):
        following = reward + GAMMA * following_value - value + GAMMA * LAMBDA * following
        following_value = value
        advantages.insert(0, following)
    return torch.tensor(advantages, dtype=torch.float64)


def whitened(parts, keep_mean):
    pooled = torch.cat(parts)
    scale = (pooled.var() + 1e-8).rsqrt()
    return [(part - pooled.mean()) * scale + (pooled.mean() if keep_mean else 0) for part in parts]


def experience(rows, scores, models, config, settings, kl_coefficient):
    policy, reference, critic = models
    with torch.no_grad():
        old = [log_probs(row, policy, config) for row in rows]
        delta = [new - log_probs(row, reference, config) for new, row in zip(old, rows)]
        old_values = [values(row, critic, config) for row in rows]
    penalty = {"k1": lambda d: d, "k3": lambda d: torch.exp(-d) - 1 + d}[settings.kl_kind]
    rewards = [-kl_coefficient * penalty(d) for d in delta]
    for reward, score in zip(rewards, scores):
        reward[-1] += score
    if settings.whiten_rewards:
        rewards = whitened(rewards, keep_mean=True)
    advantages = [gae(reward, value) for reward, value in zip(rewards, old_values)]
    returns = [advantage + value for advantage, value in zip(advantages, old_values)]
    kl = torch.stack([d.sum() for d in delta]).mean().item()
    joined = [torch.cat(parts) for parts in (old, whitened(advantages, keep_mean=False), old_values, returns)]
    return joined, kl


def optimiser_of(parameters, rate):
    groups = [
        {"params": [p for p in parameters.values() if p.dim() == 2], "weight_decay": ADAMW["weightDecay"]},
        {"params": [p for p in parameters.values() if p.dim() == 1], "weight_decay": 0.0},
    ]
    betas = (ADAMW["beta1"], ADAMW["beta2"])
    return torch.optim.AdamW(groups, lr=rate, betas=betas, eps=ADAMW["epsilon"], foreach=False)


def step(loss, parameters, optimiser):
    optimiser.zero_grad()
    loss.backward()
    norm = math.sqrt(sum(p.grad.pow(2).sum().item() for p in parameters.values()))
    for p in parameters.values():
        p.grad *= min(1, MAX_GRADIENT_NORM / norm)
    optimiser.step()
    return norm


def scored(rows, seen, settings):
    """Scores of an iteration; `seen` has those of all iterations so far, these included."""
    plain = torch.tensor([row["score"] for row in rows], dtype=torch.float64)
    seen.extend(plain.tolist())
    if settings.score_clip is None:
        return plain
    every = torch.tensor(seen, dtype=torch.float64)
    return ((plain - every.mean()) / (every.std() + 1e-8)).clamp(-settings.score_clip, settings.score_clip)


def train(iterations, windows, config, initial, score, settings):
    reference = {name: value.double() for name, value in initial.items()}
    policy = {name: value.clone().requires_grad_() for name, value in reference.items()}
    shared = settings.shared_value_weight is not None
    trunk = policy if shared else {n: v.clone().requires_grad_() for n, v in reference.items() if n != "lm_head.weight"}
    trunk["score.weight"] = score.double().requires_grad_()
    critic = trunk
    policy_optimiser = optimiser_of(policy, LEARNING_RATE)
    critic_optimiser = None if shared else optimiser_of(critic, VALUE_LEARNING_RATE)
    record, seen, kl_coefficient, texts = {}, [], KL_COEFFICIENT, iter(windows)
    for rows, updates in zip(iterations, UPDATES_BY_ITERATION):
        scores = scored(rows, seen, settings)
        models = (policy, reference, critic)
        (old, advantages, old_values, returns), kl = experience(rows, scores, models, config, settings, kl_coefficient)
        for _ in range(updates):
            new = torch.cat([log_probs(row, policy, config) for row in rows])
            ratio = (new - old).exp()
            unclipped, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - CLIP, 1 + CLIP)
            entropy = torch.cat([entropies(row, policy, config) for row in rows])
            policy_loss = (torch.maximum(unclipped, clipped) - settings.entropy_coefficient * entropy).mean()
            value = torch.cat([values(row, critic, config) for row in rows])
            near = old_values + (value - old_values).clamp(-settings.value_clip, settings.value_clip)
            value_loss = 0.5 * torch.maximum((value - returns) ** 2, (near - returns) ** 2).mean()
            measured = {
                "policyLoss": policy_loss.item(),
                "valueLoss": value_loss.item(),
                "clipFraction": (clipped > unclipped).double().mean().item(),
                "klCoefficient": kl_coefficient,
            }
            total = policy_loss
            if settings.pretrain_weight is not None:
                text = text_loss(next(texts), policy, config)
                measured["pretrainLoss"] = text.item()
                total = total + settings.pretrain_weight * text
            if shared:
                total = total + settings.shared_value_weight * value_loss
            measured["gradientNorm"] = step(total, policy, policy_optimiser)
            if not shared:
                measured["valueGradientNorm"] = step(value_loss, critic, critic_optimiser)
            for key, number in measured.items():
                record.setdefault(key, []).append(number)
        if settings.kl_target is not None:
            target, horizon = settings.kl_target
            kl_coefficient *= 1 + max(-0.2, min(0.2, kl / target - 1)) * len(rows) / horizon
    return record


def leave_one_out(rewards):
    groups = rewards.view(-1, RLOO["samples"])
    others = (groups.sum(1, keepdim=True) - groups) / (RLOO["samples"] - 1)
    return (groups - others).flatten()


def train_rloo(iterations, config, initial):
    """Consecutive responses stand for those to one prompt. A response is one action: the ratio is of the whole of it."""
    reference = {name: value.double() for name, value in initial.items()}
    policy = {name: value.clone().requires_grad_() for name, value in reference.items()}
    optimiser = optimiser_of(policy, LEARNING_RATE)
    record = {}
    for rows, updates in zip(iterations, UPDATES_BY_ITERATION):
        with torch.no_grad():
            old = torch.stack([log_probs(row, policy, config).sum() for row in rows])
            kl = old - torch.stack([log_probs(row, reference, config).sum() for row in rows])
        scores = torch.tensor([row["score"] for row in rows], dtype=torch.float64)
        advantages = leave_one_out(scores - KL_COEFFICIENT * kl)
        for _ in range(updates):
            ratio = (torch.stack([log_probs(row, policy, config).sum() for row in rows]) - old).exp()
            unclipped, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - CLIP, 1 + CLIP)
            entropy = torch.stack([entropies(row, policy, config).mean() for row in rows])
            loss = (torch.maximum(unclipped, clipped) - RLOO["entropyCoefficient"] * entropy).mean()
            measured = {
                "policyLoss": loss.item(),
                "clipFraction": (clipped > unclipped).double().mean().item(),
                "gradientNorm": step(loss, policy, optimiser),
            }
            for key, number in measured.items():
                record.setdefault(key, []).append(number)
    return record


def main():
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(11)
    iterations = [[rollout(generator) for _ in range(RESPONSES)] for _ in UPDATES_BY_ITERATION]
    hidden = MODELS["pre"].hidden_size
    score = (torch.randn((1, hidden), generator=generator) / math.sqrt(hidden + 1)).bfloat16()
    windows = [[chain(generator, integer(generator, 4, 9)) for _ in range(3)] for _ in range(sum(UPDATES_BY_ITERATION))]
    runs = {
        setting: {
            name: train(iterations, windows, config, initial_parameters(config, seed=7), score, settings)
            for name, config in MODELS.items()
        }
        for setting, settings in SETTINGS.items()
    }
    rloo = {
        name: train_rloo(iterations, config, initial_parameters(config, seed=7)) for name, config in MODELS.items()
    }
    for setting, models in [*runs.items(), ("rloo", rloo)]:
        for name, run in models.items():
            for key, numbers in run.items():
                print(setting, name, key, *(f"{number:.5f}" for number in numbers))
    fixture = {
        "temperature": TEMPERATURE,
        "advantages": {"klCoefficient": KL_COEFFICIENT, "gamma": GAMMA, "lambda": LAMBDA},
        "clip": CLIP,
        "optimiser": {**ADAMW, "lr": LEARNING_RATE, "valueLr": VALUE_LEARNING_RATE, "clip": MAX_GRADIENT_NORM},
        "updates": UPDATES_BY_ITERATION,
        "scoreHead": score[0].double().tolist(),
        "iterations": iterations,
        "windows": windows,
        "settings": {name: asdict(settings) for name, settings in SETTINGS.items()},
        "runs": runs,
        "rloo": {**RLOO, "runs": rloo},
    }
    (FIXTURES / "ppo.json").write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
