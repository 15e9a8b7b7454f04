"""The models that are measured: mixtune's presets with random weights, and Hugging Face directories."""

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

PRESETS = {
    "9m": {"hidden_size": 128, "intermediate_size": 352, "num_attention_heads": 4, "num_hidden_layers": 4},
    "20m": {"hidden_size": 256, "intermediate_size": 688, "num_attention_heads": 4, "num_hidden_layers": 4},
    "71m": {"hidden_size": 512, "intermediate_size": 1368, "num_attention_heads": 8, "num_hidden_layers": 12},
}


def load(name, dtype=torch.float32):
    """The preset, or the model of the directory, that `name` is."""
    torch.manual_seed(0)
    if name not in PRESETS:
        return AutoModelForCausalLM.from_pretrained(name, dtype=dtype, attn_implementation="sdpa")
    config = LlamaConfig(
        **PRESETS[name],
        vocab_size=32000,
        max_position_embeddings=8192,
        rms_norm_eps=1e-6,
        tie_word_embeddings=False,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config).to(dtype)


def flops_per_token(config, length):
    """6 per matrix parameter (the head once, the input embedding not) and 12 · layers · hidden · length for attention."""
    hidden, layers = config.hidden_size, config.num_hidden_layers
    head_dim = getattr(config, "head_dim", None) or hidden // config.num_attention_heads
    attention = 2 * hidden * head_dim * (config.num_attention_heads + config.num_key_value_heads)
    matrices = layers * (attention + 3 * hidden * config.intermediate_size) + config.vocab_size * hidden
    return 6 * matrices + 12 * layers * hidden * length
