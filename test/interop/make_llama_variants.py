"""Saves tiny Llamas in many spellings and shapes, and their logits: make_llama_variants.py FOLDER TOKENS_JSON → JSON.

The result maps a name to the logits that transformers computes, in float32 and without remote code, of the directory
FOLDER/name as it then stands; or to null where transformers does not load it. Configs are changed by hand after saving, so
that files are as others write them. Weights are wide, so that every term shows in the logits.
"""

import json
import sys
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

folder, tokens = Path(sys.argv[1]), torch.tensor([json.loads(sys.argv[2])])
size = dict(vocab_size=300, hidden_size=48, intermediate_size=72, num_hidden_layers=3, num_attention_heads=6)
theta = 500000.0
full, sliding = "full_attention", "sliding_attention"
llama3 = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8)

# Name: (options of the config, keys set in config.json after saving; None deletes a key, and "null" stands for null).
bare = dict(rope_parameters=None, rope_scaling=None, rope_theta=None)
variants = {
    # Shapes.
    "untied": ({}, {}),
    "tied": (dict(tie_word_embeddings=True), {}),
    "grouped": (dict(num_key_value_heads=2), {}),
    "one-kv-head": (dict(num_key_value_heads=1), {}),
    "wide-heads": (dict(head_dim=16), {}),
    "eps": (dict(rms_norm_eps=1e-3), {}),
    "wide-mlp": (dict(intermediate_size=200), {}),
    "one-layer": (dict(num_hidden_layers=1), {}),
    "swish": (dict(hidden_act="swish"), {}),
    # Files.
    "sharded": ({}, {}),
    "tied-sharded": (dict(tie_word_embeddings=True), {}),
    "bf16": ({}, {}),
    "f16": ({}, {}),
    "head-twice": (dict(tie_word_embeddings=True), {}),
    # Where theta stands.
    "theta-inside": ({}, bare | dict(rope_parameters=dict(rope_type="default", rope_theta=theta))),
    "theta-on-top": ({}, bare | dict(rope_theta=theta)),
    "theta-everywhere": ({}, dict(rope_theta=theta, rope_parameters=dict(rope_type="default", rope_theta=theta))),
    "theta-in-scaling": ({}, bare | dict(rope_scaling=dict(rope_type="default", rope_theta=theta))),
    "theta-in-old-scaling": ({}, bare | dict(rope_scaling=dict(type="default", rope_theta=theta))),
    "theta-in-scaling-alone": ({}, bare | dict(rope_scaling=dict(rope_theta=theta))),
    "theta-on-top-of-scaling": ({}, bare | dict(rope_theta=theta, rope_scaling=dict(rope_type="default"))),
    "theta-int": ({}, bare | dict(rope_theta=500000)),
    "theta-nowhere": ({}, bare),
    "theta-contradicts": ({}, bare | dict(rope_theta=theta, rope_parameters=dict(rope_type="default", rope_theta=1e4))),
    "scaling-contradicts": ({}, bare | dict(rope_theta=theta, rope_scaling=dict(rope_type="default", rope_theta=1e4))),
    "scaling-null": ({}, dict(rope_scaling="null")),
    "scaling-empty": ({}, dict(rope_scaling={})),
    "scaling-without-type": ({}, bare | dict(rope_scaling=dict(factor=4.0))),
    "types-contradict": ({}, bare | dict(rope_scaling=dict(rope_type="default", type="linear", factor=4.0))),
    "types-contradict-2": ({}, bare | dict(rope_parameters=dict(rope_type="linear", type="default", factor=4.0))),
    "rope-by-layer-type": ({}, bare | dict(rope_parameters={full: dict(rope_type="default", rope_theta=theta)})),
    "rope-by-layer-type-2": (
        {}, bare | dict(layer_types=[full] * 3, rope_parameters={full: dict(rope_type="default", rope_theta=theta)}),
    ),
    "partial-inside": ({}, bare | dict(rope_parameters=dict(rope_type="default", rope_theta=1e4, partial_rotary_factor=0.5))),
    "partial-on-top": ({}, dict(partial_rotary_factor=0.5)),
    "rope-linear": ({}, bare | dict(rope_scaling=dict(type="linear", factor=4.0))),
    "rope-linear-5": ({}, bare | dict(rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=1e4))),
    "rope-dynamic": ({}, bare | dict(rope_scaling=dict(rope_type="dynamic", factor=4.0))),
    "rope-yarn": ({}, bare | dict(rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=8))),
    "rope-llama3": ({}, bare | dict(rope_theta=theta, rope_scaling=dict(rope_type="llama3", **llama3))),
    "rope-llama3-5": ({}, bare | dict(rope_parameters=dict(rope_type="llama3", rope_theta=theta, **llama3))),
    "rope-longrope": (
        {}, bare | dict(rope_scaling=dict(rope_type="longrope", short_factor=[1.0] * 4, long_factor=[2.0] * 4, factor=2.0)),
    ),
    "rope-unknown": ({}, bare | dict(rope_scaling=dict(rope_type="mrope", mrope_section=[1, 1, 2]))),
    # Keys that are read.
    "not-causal": ({}, dict(is_causal=False)),
    "causal-null": ({}, dict(is_causal="null")),
    "causal": ({}, dict(is_causal=True)),
    "attention-bias": (dict(attention_bias=True), {}),
    "mlp-bias": (dict(mlp_bias=True), {}),
    "gelu": (dict(hidden_act="gelu"), {}),
    "relu": (dict(hidden_act="relu"), {}),
    "window": ({}, dict(sliding_window=4)),
    "window-null": ({}, dict(sliding_window="null")),
    "chunks": ({}, dict(attention_chunk_size=4)),
    "layer-types": ({}, dict(layer_types=[full] * 3)),
    "layer-types-sliding": ({}, dict(layer_types=[sliding] * 3, sliding_window=4)),
    "per-layer": ({}, dict(per_layer_config={"0": dict(rms_norm_eps=0.1)})),
    "shared-keys": ({}, dict(kv_sharing_modes=["store", "reuse", "reuse"])),
    "pruned-heads": ({}, dict(pruned_heads={"0": [1]})),
    "other-weights": ({}, dict(transformers_weights="other.safetensors")),
    "text-config": ({}, dict(text_config=dict(model_type="llama"))),
    "quantised": ({}, dict(quantization_config=dict(quant_method="bitsandbytes", load_in_8bit=True))),
    "encoder-decoder": ({}, dict(is_encoder_decoder=True)),
    "dropout": ({}, dict(attention_dropout=0.5)),
    "pretraining-tp": ({}, dict(pretraining_tp=2)),
    "sizes-left-out": (
        {}, bare | dict(rms_norm_eps=None, hidden_act=None, num_key_value_heads=None, max_position_embeddings=None, head_dim=None),
    ),
    "nulls": ({}, dict(head_dim="null", num_key_value_heads="null", rope_scaling="null")),
    # Keys of relatives, which no Llama reads.
    "granite": ({}, dict(embedding_multiplier=12.0, residual_multiplier=0.2, attention_multiplier=0.1, logits_scaling=8.0)),
    "gemma": ({}, dict(attn_logit_softcapping=5.0, final_logit_softcapping=3.0, query_pre_attn_scalar=64, hidden_activation="gelu")),
    "olmo": ({}, dict(clip_qkv=0.01, norm_after=True)),
    "cohere": ({}, dict(logit_scale=0.06, use_qk_norm=True, layer_norm_eps=0.1)),
    "smollm3": ({}, dict(no_rope_layers=[1, 0, 1], no_rope_layer_interval=2)),
    "own-code": ({}, dict(auto_map=dict(AutoModelForCausalLM="modeling_x.X"), architectures=["X"])),
    "older": ({}, dict(torchscript=True, use_cache=False, output_attentions=False, tie_encoder_decoder=False)),
}  # fmt: skip

# Families that are a Llama but for their name: their own logits, and the directory with the name changed.
relatives = {
    "mistral": dict(model_type="mistral", num_key_value_heads=2, sliding_window=None),
    "granite-of-ones": dict(model_type="granite", attention_multiplier=8**-0.5),
}

transformers.utils.logging.disable_progress_bar()
transformers.logging.set_verbosity(transformers.logging.CRITICAL)


def save(name, options, keys):
    torch.manual_seed(7)
    config = AutoConfig.for_model(**(dict(model_type="llama") | size | options))
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.12 * torch.randn_like(parameter)
    model.to({"bf16": torch.bfloat16, "f16": torch.float16}.get(name, torch.float32))
    directory = folder / name
    model.save_pretrained(directory, **(dict(max_shard_size="60KB") if "sharded" in name else {}))
    if name == "head-twice":
        weights = load_file(directory / "model.safetensors")
        head = {"lm_head.weight": weights["model.embed_tokens.weight"].clone()}
        weights = {key: value.clone() for key, value in weights.items()}
        save_file(weights | head, directory / "model.safetensors", metadata={"format": "pt"})
    if name == "other-weights":
        weights = {key: value * 1.5 for key, value in load_file(directory / "model.safetensors").items()}
        save_file(weights, directory / "other.safetensors", metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text())
    for key, value in keys.items():
        config.pop(key, None)
        if value is not None:
            config[key] = None if value == "null" else value
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def logits(directory):
    try:
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
        with torch.no_grad():
            return model(tokens).logits[0].tolist()
    except Exception:
        return None


results = {name: logits(save(name, *variant)) for name, variant in variants.items()}
for name, options in relatives.items():
    directory = save(name, options, {})
    results[name] = logits(directory)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | dict(model_type="llama")))
print(json.dumps(results))
