"""Speed of llama.cpp (through llama-cpp-python) at batch 1: prefill of a random prompt, then greedy decoding after it.

    python bench/peers/llama_cpp_speed.py --model bench/peers/models/SmolLM2-135M.bf16.gguf

The first run is not counted; the fastest of `--repeats` counts. Greedy choice is a numpy argmax over the logits.
"""

import argparse
import os

import llama_cpp
import numpy
from worker import add_worker_arguments, answer, peak_rss_bytes, seconds_of


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--prompt-tokens", type=int, default=128)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of a measurement")
    parser.add_argument("--flash-attention", action="store_true")
    add_worker_arguments(parser)
    options = parser.parse_args()
    threads = options.threads or len(os.sched_getaffinity(0))

    capacity = options.prompt_tokens + options.new_tokens
    model = llama_cpp.Llama(
        options.model,
        n_ctx=capacity,
        n_batch=max(512, options.prompt_tokens),
        n_ubatch=512,
        n_threads=threads,
        n_threads_batch=threads,
        flash_attn=options.flash_attention,
        verbose=False,
    )
    vocabulary = model.n_vocab()
    prompt = numpy.random.default_rng(1).integers(vocabulary, size=options.prompt_tokens).tolist()

    def prefill():
        model.reset()
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(model.ctx), True)
        model.eval(prompt)

    def decode():
        for _ in range(options.new_tokens - 1):
            logits = llama_cpp.llama_get_logits(model.ctx)
            model.eval([int(numpy.ctypeslib.as_array(logits, (vocabulary,)).argmax())])

    def timed():
        return seconds_of(prefill), seconds_of(decode)

    timed()

    def measure():
        runs = [timed() for _ in range(options.repeats)]
        prefill_seconds, decode_seconds = (min(times) for times in zip(*runs))
        return {
            "tokensPerSecond": options.new_tokens / (prefill_seconds + decode_seconds),
            "prefillTokensPerSecond": options.prompt_tokens / prefill_seconds,
            "decodeTokensPerSecond": (options.new_tokens - 1) / decode_seconds if options.new_tokens > 1 else None,
            "peakRssBytes": peak_rss_bytes(),
            "version": llama_cpp.__version__,
        }

    answer(measure, options.serve)


if __name__ == "__main__":
    main()
