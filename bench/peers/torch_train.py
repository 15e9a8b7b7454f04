"""Training speed of transformers' Llama in PyTorch.

    python bench/peers/torch_train.py --model 71m --precision bf16 --compile
    python bench/peers/torch_train.py --model bench/peers/models/SmolLM2-135M --batch 4 --length 512

A step is forward, cross-entropy, backward, clipping by global norm and fused AdamW, with SDPA attention. `bf16` is
autocast over float32 weights. The first steps (and the compiler's work) are not counted; the fastest step counts.
"""

import argparse

import torch
from models import flops_per_token, load
from worker import add_worker_arguments, answer, gemm_gflops, peak_rss_bytes, seconds_of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="71m", help="9m, 20m, 71m or a Hugging Face directory")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--steps", type=int, default=5, help="timed steps of a measurement")
    add_worker_arguments(parser)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    model = load(options.model).train()
    model.config.use_cache = False
    forward = torch.compile(model) if options.compile else model
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    tokens = torch.randint(model.config.vocab_size, (options.batch, options.length))
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32

    def step():
        optimiser.zero_grad()
        with torch.autocast("cpu", dtype, enabled=options.precision == "bf16"):
            loss = forward(input_ids=tokens, labels=tokens).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    warm_up = seconds_of(step)
    step()

    def measure():
        rate = tokens.numel() / min(seconds_of(step) for _ in range(options.steps))
        return {
            "tokensPerSecond": rate,
            "gflops": rate * flops_per_token(model.config, options.length) / 1e9,
            "peakRssBytes": peak_rss_bytes(),
            "gemmGflops": gemm_gflops(dtype),
            "warmUpSeconds": warm_up,
            "version": torch.__version__,
        }

    answer(measure, options.serve)


if __name__ == "__main__":
    main()
