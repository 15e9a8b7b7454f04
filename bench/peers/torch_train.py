"""Training speed of transformers' Llama in PyTorch: one JSON line for bench/compare-train.mjs.

    python bench/peers/torch_train.py --precision bf16 --steps 8

The model is the preset 71m (Pre-LN, untied head, random weights) with SDPA attention; a step is forward, cross-entropy,
backward, clipping by global norm and fused AdamW, eager. `bf16` is autocast over float32 weights. The first step is not
counted; speeds are those of the fastest step.
"""

import argparse
import json
import resource
import sys
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

LAYERS, HIDDEN, INTERMEDIATE, VOCABULARY = 12, 512, 1368, 32000


def model_of_71m(length):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        max_position_embeddings=max(2048, length),
        rms_norm_eps=1e-6,
        tie_word_embeddings=False,
        attn_implementation="sdpa",
        use_cache=False,
    )
    return LlamaForCausalLM(config).train()


def flops_per_token(length):
    """6 per matrix parameter (the head, but not the input embedding) and 12 · layers · hidden · length for attention."""
    matrices = LAYERS * (4 * HIDDEN**2 + 3 * HIDDEN * INTERMEDIATE) + VOCABULARY * HIDDEN
    return 6 * matrices + 12 * LAYERS * HIDDEN * length


def gemm_gflops(dtype, size=2048, rounds=5):
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    a @ b
    return 2 * size**3 / min(seconds_of(lambda: a @ b) for _ in range(rounds)) / 1e9


def seconds_of(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def peak_rss_bytes():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--steps", type=int, default=8, help="timed steps")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    model = model_of_71m(arguments.length)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(VOCABULARY, (arguments.batch, arguments.length))

    def step():
        optimiser.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=arguments.precision == "bf16"):
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    step()
    seconds = min(seconds_of(step) for _ in range(arguments.steps))
    peak = peak_rss_bytes()
    rate = tokens.numel() / seconds
    print(
        json.dumps(
            {
                "tokensPerSecond": rate,
                "gflops": rate * flops_per_token(arguments.length) / 1e9,
                "gemmGflops": gemm_gflops(torch.bfloat16 if arguments.precision == "bf16" else torch.float32),
                "peakRssBytes": peak,
                "threads": arguments.threads,
                "precision": arguments.precision,
                "torch": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
