"""Saves random tiny Llamas as transformers saves them: make_llama.py FOLDER TOKENS_JSON → JSON, name to logits."""

import json
import sys

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

folder, tokens = sys.argv[1], torch.tensor([json.loads(sys.argv[2])])
size = dict(vocab_size=300, hidden_size=48, intermediate_size=72, num_hidden_layers=3, num_attention_heads=6)
variants = {
    "plain": (dict(), dict()),
    "grouped": (dict(num_key_value_heads=2, rms_norm_eps=1e-5, max_position_embeddings=99), dict()),
    "tied": (dict(tie_word_embeddings=True, bos_token_id=1, eos_token_id=[2, 3]), dict()),
    "wide-heads": (dict(head_dim=16, num_key_value_heads=3), dict()),
    "sharded": (dict(), dict(max_shard_size="60KB")),
    "bf16": (dict(), dict()),
}
theta = {"rope_parameters": {"rope_type": "default", "rope_theta": 5000.0}}
if transformers.__version__.startswith("4."):
    theta = {"rope_theta": 5000.0}

transformers.utils.logging.disable_progress_bar()
logits = {}
for name, (options, saving) in variants.items():
    torch.manual_seed(7)
    model = LlamaForCausalLM(LlamaConfig(**size, **theta, **options)).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    if name == "bf16":
        model.to(torch.bfloat16)
    model.save_pretrained(f"{folder}/{name}", **saving)
    reloaded = LlamaForCausalLM.from_pretrained(f"{folder}/{name}", dtype=torch.float32).eval()
    with torch.no_grad():
        logits[name] = reloaded(tokens).logits[0].tolist()
print(json.dumps(logits))
