"""Writes fixtures/families.json: logits and gradients of biases of tiny Qwen2 and SmolLM3 models of transformers.

    python test/golden/make_families.py

The weights are the formula of README.md, biases like matrices. transformers takes norms and angles in float32 whatever
the model's precision is, so that the values are good to about 1e-6. Rotary frequencies are divided by 4 (`linear`). The
biases of output projections, which SmolLM3 has where it has the others, are 0.
"""

import json
import math
from pathlib import Path

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, SmolLM3Config, SmolLM3ForCausalLM

FIXTURES = Path(__file__).parent / "fixtures"
TOKENS = [1, 4, 7, 2, 9, 3]
SIZES = dict(
    vocab_size=11,
    hidden_size=8,
    intermediate_size=12,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=16,
    rms_norm_eps=1e-6,
    tie_word_embeddings=False,
    rope_parameters={"rope_type": "linear", "factor": 4.0, "rope_theta": 100.0},
    attn_implementation="eager",
)
NO_IDS = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)
MODELS = {
    "qwen2": Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "smollm3": SmolLM3ForCausalLM(SmolLM3Config(**SIZES, **NO_IDS, no_rope_layers=[1, 0, 1], attention_bias=True)),
}


def checkpoint_order(names):
    """As mixtune writes them: of each layer the projections, then biases, then norms."""
    projections = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    endings = [f"{name}.weight" for name in projections] + [f"{name}.bias" for name in projections[:3]]
    endings += ["input_layernorm.weight", "post_attention_layernorm.weight"]

    def place(name):
        parts = name.split(".")
        if parts[1] == "layers":
            return 1, int(parts[2]), endings.index(".".join(parts[-2:]))
        return {"model.embed_tokens.weight": 0, "model.norm.weight": 2, "lm_head.weight": 3}[name], 0, 0

    return sorted(names, key=place)


def describe(model):
    model.double()
    parameters = dict(model.named_parameters())
    for name in [name for name in parameters if name.endswith("o_proj.bias")]:
        parameters.pop(name).data.zero_()
    for p, name in enumerate(checkpoint_order(parameters)):
        shape = parameters[name].shape
        k = torch.arange(math.prod(shape), dtype=torch.float64)
        is_norm = name.endswith("norm.weight")
        values = 1 + 0.05 * torch.cos(0.9 * k + 0.4 * p) if is_norm else 0.2 * torch.sin(1.3 * k + 0.7 * p + 0.1)
        parameters[name].data = values.view(shape)
    tokens = torch.tensor([TOKENS])
    logits = model(tokens).logits[0]
    torch.nn.functional.cross_entropy(logits[:-1], tokens[0, 1:]).backward()
    gradients = {name: value.grad.tolist() for name, value in parameters.items() if name.endswith(".bias")}
    return {"logits": logits.tolist(), "biasGradients": gradients}


if __name__ == "__main__":
    torch.manual_seed(0)
    models = {name: describe(model) for name, model in MODELS.items()}
    rounded = json.loads(json.dumps({"tokens": TOKENS, "models": models}), parse_float=lambda text: float(f"{float(text):.8g}"))
    (FIXTURES / "families.json").write_text(json.dumps(rounded) + "\n")
    for name, model in models.items():
        print(name, model["logits"][-1][:4], len(model["biasGradients"]))
