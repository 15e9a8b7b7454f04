"""Writes the golden PPO run: fixtures/ppo.json. Run make_training.py first: it makes the initial models.

    python test/golden/make_ppo.py

Two iterations of rollouts that stand in the fixture (so nothing depends on sampling), with 3 and 2 updates: five updates
of policy and critic. Written from the papers, response by response, without padding; in float64.
"""

import json
import math

import torch

from llama import forward, rms_norm
from make_training import ADAMW, FIXTURES, MODELS, VOCABULARY, chain, initial_parameters, integer

TEMPERATURE = 0.7
KL_COEFFICIENT, GAMMA, LAMBDA = 0.2, 0.98, 0.9
CLIP, VALUE_CLIP = 0.2, 0.1  # Some tokens are clipped.
LEARNING_RATE, VALUE_LEARNING_RATE, MAX_GRADIENT_NORM = 3e-4, 5e-4, 1.0
UPDATES_BY_ITERATION = [3, 2]
RESPONSES = 6


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


def log_probs(row, parameters, config):
    tokens, rows = response_rows(row)
    logits, _ = forward(tokens, parameters, config)
    chosen = torch.tensor(row["response"])[:, None]
    return (logits[rows] / TEMPERATURE).log_softmax(-1).gather(1, chosen)[:, 0]


def values(row, critic, config):
    tokens, rows = response_rows(row)
    return final_hidden(tokens, critic, config)[rows] @ critic["score.weight"][0]


def gae(rewards, old_values):
    advantages, following, following_value = [], 0.0, 0.0
    for reward, value in zip(reversed(rewards.tolist()), reversed(old_values.tolist())):
        following = reward + GAMMA * following_value - value + GAMMA * LAMBDA * following
        following_value = value
        advantages.insert(0, following)
    return torch.tensor(advantages, dtype=torch.float64)


def experience(rows, policy, reference, critic, config):
    examples = []
    for row in rows:
        with torch.no_grad():
            old, ref = log_probs(row, policy, config), log_probs(row, reference, config)
            old_values = values(row, critic, config)
        rewards = -KL_COEFFICIENT * (old - ref)
        rewards[-1] += row["score"]
        advantages = gae(rewards, old_values)
        examples.append([row, old, advantages, old_values, advantages + old_values])
    pooled = torch.cat([example[2] for example in examples])
    for example in examples:
        example[2] = (example[2] - pooled.mean()) / (pooled.var() + 1e-8).sqrt()
    return examples


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


def train(iterations, config, initial, score):
    reference = {name: value.double() for name, value in initial.items()}
    policy = {name: value.clone().requires_grad_() for name, value in reference.items()}
    critic = {name: value.clone().requires_grad_() for name, value in reference.items() if name != "lm_head.weight"}
    critic["score.weight"] = score.double().requires_grad_()
    policy_optimiser = optimiser_of(policy, LEARNING_RATE)
    critic_optimiser = optimiser_of(critic, VALUE_LEARNING_RATE)
    record = {}
    for rows, updates in zip(iterations, UPDATES_BY_ITERATION):
        examples = experience(rows, policy, reference, critic, config)
        old = torch.cat([example[1] for example in examples])
        advantages, old_values, returns = (torch.cat([example[i] for example in examples]) for i in (2, 3, 4))
        for _ in range(updates):
            new = torch.cat([log_probs(row, policy, config) for row, *_ in examples])
            ratio = (new - old).exp()
            unclipped, clipped = -advantages * ratio, -advantages * ratio.clamp(1 - CLIP, 1 + CLIP)
            policy_loss = torch.maximum(unclipped, clipped).mean()
            value = torch.cat([values(row, critic, config) for row, *_ in examples])
            near = old_values + (value - old_values).clamp(-VALUE_CLIP, VALUE_CLIP)
            value_loss = 0.5 * torch.maximum((value - returns) ** 2, (near - returns) ** 2).mean()
            measured = {
                "policyLoss": policy_loss.item(),
                "valueLoss": value_loss.item(),
                "clipFraction": (clipped > unclipped).double().mean().item(),
                "gradientNorm": step(policy_loss, policy, policy_optimiser),
                "valueGradientNorm": step(value_loss, critic, critic_optimiser),
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
    runs = {name: train(iterations, config, initial_parameters(config, seed=7), score) for name, config in MODELS.items()}
    for name, run in runs.items():
        for key, numbers in run.items():
            print(name, key, *(f"{number:.5f}" for number in numbers))
    fixture = {
        "temperature": TEMPERATURE,
        "advantages": {"klCoefficient": KL_COEFFICIENT, "gamma": GAMMA, "lambda": LAMBDA},
        "clip": CLIP,
        "valueClip": VALUE_CLIP,
        "optimiser": {**ADAMW, "lr": LEARNING_RATE, "valueLr": VALUE_LEARNING_RATE, "clip": MAX_GRADIENT_NORM},
        "updates": UPDATES_BY_ITERATION,
        "scoreHead": score[0].double().tolist(),
        "iterations": iterations,
        "runs": runs,
    }
    (FIXTURES / "ppo.json").write_text(json.dumps(fixture, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
