"""A Llama-style decoder in plain PyTorch with Pre-LN, Post-LN or Mix-LN placement: the reference of the golden tests.

Written to be checked by eye against the equations; one sequence at a time, no cache, no padding.
"""

import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Config:
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    post_layers: int
    tied: bool
    rope_theta: float = 10000.0
    eps: float = 1e-6

    @property
    def head_dim(self):
        return self.hidden_size // self.heads


def parameter_shapes(config):
    """Hugging Face names and shapes, in checkpoint order; a Post-LN layer's norms are named as in the Mix-LN authors' code."""
    hidden, inner, kv = config.hidden_size, config.intermediate_size, config.kv_heads * config.head_dim
    shapes = {"model.embed_tokens.weight": (config.vocab_size, hidden)}
    for layer in range(config.layers):
        prefix = f"model.layers.{layer}"
        for name, shape in {
            "self_attn.q_proj": (hidden, hidden),
            "self_attn.k_proj": (kv, hidden),
            "self_attn.v_proj": (kv, hidden),
            "self_attn.o_proj": (hidden, hidden),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
        }.items():
            shapes[f"{prefix}.{name}.weight"] = shape
        for norm in norm_names(config, layer):
            shapes[f"{prefix}.{norm}.weight"] = (hidden,)
    shapes["model.norm.weight"] = (hidden,)
    if not config.tied:
        shapes["lm_head.weight"] = (config.vocab_size, hidden)
    return shapes


def norm_names(config, layer):
    if layer < config.post_layers:
        return "post_attention_layernorm", "post_feedforward_layernorm"
    return "input_layernorm", "post_attention_layernorm"


def rms_norm(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def rotate(x, theta):
    """Half-rotation RoPE; x [heads, length, head_dim], positions from 0."""
    heads, length, dim = x.shape
    frequency = theta ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    low, high = x.chunk(2, dim=-1)
    return torch.cat([low * cos - high * sin, high * cos + low * sin], dim=-1)


def attention(x, parameters, prefix, config):
    length = x.shape[0]

    def heads_of(name, count):
        return (x @ parameters[f"{prefix}.{name}_proj.weight"].T).view(length, count, config.head_dim).transpose(0, 1)

    group = config.heads // config.kv_heads
    query = rotate(heads_of("q", config.heads), config.rope_theta)
    key = rotate(heads_of("k", config.kv_heads), config.rope_theta).repeat_interleave(group, dim=0)
    value = heads_of("v", config.kv_heads).repeat_interleave(group, dim=0)
    scores = query @ key.transpose(1, 2) / math.sqrt(config.head_dim)
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    mixed = scores.masked_fill(future, -math.inf).softmax(-1) @ value
    return mixed.transpose(0, 1).reshape(length, -1) @ parameters[f"{prefix}.o_proj.weight"].T


def mlp(x, parameters, prefix):
    gate = x @ parameters[f"{prefix}.gate_proj.weight"].T
    up = x @ parameters[f"{prefix}.up_proj.weight"].T
    return (torch.nn.functional.silu(gate) * up) @ parameters[f"{prefix}.down_proj.weight"].T


def forward(tokens, parameters, config):
    """tokens [length] → logits [length, vocab] and the residual stream after the embedding and after each layer."""
    x = parameters["model.embed_tokens.weight"][tokens]
    stream = [x]
    for layer in range(config.layers):
        prefix = f"model.layers.{layer}"
        first, second = (parameters[f"{prefix}.{name}.weight"] for name in norm_names(config, layer))
        attend = lambda h: attention(h, parameters, f"{prefix}.self_attn", config)
        feed = lambda h: mlp(h, parameters, f"{prefix}.mlp")
        norm = lambda h, weight: rms_norm(h, weight, config.eps)
        if layer < config.post_layers:
            x = norm(x + attend(x), first)
            x = norm(x + feed(x), second)
        else:
            x = x + attend(norm(x, first))
            x = x + feed(norm(x, second))
        stream.append(x)
    head = parameters["model.embed_tokens.weight" if config.tied else "lm_head.weight"]
    return rms_norm(x, parameters["model.norm.weight"], config.eps) @ head.T, stream


def token_log_probs(tokens, parameters, config):
    """log p(tokens[i] | tokens[:i]) for i = 1 … length − 1."""
    logits, _ = forward(tokens[:-1], parameters, config)
    return logits.log_softmax(-1).gather(1, tokens[1:, None])[:, 0]
