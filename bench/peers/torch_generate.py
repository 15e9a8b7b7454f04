"""Generation speed of transformers' `generate` in PyTorch: greedy, from random prompts, all to the last token.

    python bench/peers/torch_generate.py --model 71m --batch 16
    python bench/peers/torch_generate.py --model bench/peers/models/SmolLM2-135M --batch 1

The first run is not counted; the fastest of `--repeats` counts. `--compile` uses a static cache and a compiled forward.
"""

import argparse

import torch
from models import load
from worker import add_worker_arguments, answer, peak_rss_bytes, seconds_of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="71m", help="9m, 20m, 71m or a Hugging Face directory")
    parser.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--compile", action="store_true", help="static cache, torch.compile")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=2, help="timed runs of a measurement")
    add_worker_arguments(parser)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)

    model = load(options.model, torch.bfloat16 if options.precision == "bf16" else torch.float32).eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    cache = {}
    if options.compile:
        model.forward = torch.compile(model.forward)
        cache = {"cache_implementation": "static"}
    prompts = torch.randint(model.config.vocab_size, (options.batch, options.prompt_tokens))
    mask = torch.ones_like(prompts)

    def run(new_tokens):
        out = model.generate(
            prompts, attention_mask=mask, max_new_tokens=new_tokens, min_new_tokens=new_tokens, do_sample=False, **cache
        )
        assert out.shape[1] == options.prompt_tokens + new_tokens

    with torch.inference_mode():
        run(options.new_tokens)

    def measure():
        with torch.inference_mode():
            whole = min(seconds_of(lambda: run(options.new_tokens)) for _ in range(options.repeats))
            prefill = min(seconds_of(lambda: run(1)) for _ in range(options.repeats))
        return {
            "tokensPerSecond": options.batch * options.new_tokens / whole,
            "prefillTokensPerSecond": options.batch * options.prompt_tokens / prefill,
            "decodeTokensPerSecond": options.batch * (options.new_tokens - 1) / (whole - prefill),
            "peakRssBytes": peak_rss_bytes(),
            "version": torch.__version__,
        }

    answer(measure, options.serve)


if __name__ == "__main__":
    main()
