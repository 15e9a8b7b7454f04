"""Writes fixtures/ with Hugging Face's safetensors (pip install torch==2.13.0 safetensors==0.8.0 numpy)."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

folder = Path(__file__).parent / "fixtures"

integers = {"u8": torch.uint8, "i8": torch.int8, "i16": torch.int16, "u16": torch.uint16, "i32": torch.int32,
            "u32": torch.uint32, "i64": torch.int64, "u64": torch.uint64}  # fmt: skip
every_dtype = {name: torch.tensor([[1, 2, 3]], dtype=dtype) for name, dtype in integers.items()}
every_dtype |= {
    "bool": torch.tensor([True, False, True]),
    "f64": torch.tensor([0.1, -2.5], dtype=torch.float64),
    "f32": torch.tensor([[0.1, -2.5], [3.0, 1e-40]]),
    "f16": torch.tensor([0.1, -2.5, 65504.0, 6e-8], dtype=torch.float16),
    "bf16": torch.tensor([0.1, -2.5, 3e38], dtype=torch.bfloat16),
    "scalar": torch.tensor(7.25),
    "empty": torch.zeros(0, 4),
    "ünicode \"name\"": torch.tensor([1.0]),
}
save_file(every_dtype, folder / "every-dtype.safetensors", metadata={"format": "pt"})

# float32 values where rounding is hard: ties, neighbours of ties, subnormals, overflow, and random bit patterns.
halves = np.arange(0, 0x7C00, 37, dtype=np.uint16).view(np.float16).astype(np.float32)
between = (halves[:-1] + halves[1:]) / 2
random = np.random.default_rng(0).integers(0, 2**32, 1500, dtype=np.uint64).astype(np.uint32).view(np.float32)
hard = np.array([65504, 65519.996, 65520, 65536, 2**-24, 2**-25, 2**-25 * 1.0001, 2**-14, 2**-14 * (1 - 2**-12), 0.0, -0.0,
                 np.inf, -np.inf, np.nan, 1e-45, 3.4e38, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-9, 1 + 2**-11, 1 + 3 * 2**-11],
                dtype=np.float32)  # fmt: skip
source = np.concatenate([hard, between, np.nextafter(between, np.float32(0)), np.nextafter(between, np.float32(1e9)), random])
source = torch.from_numpy(np.concatenate([source, -source]))
save_file(
    {"source": source, "f16": source.half(), "bf16": source.bfloat16()}, folder / "rounding.safetensors", metadata={"format": "pt"}
)

patterns = torch.arange(65536, dtype=torch.int32).to(torch.uint16)
digest = lambda values: hashlib.sha256(torch.nan_to_num(values.float(), nan=0, posinf=1e38, neginf=-1e38).numpy().tobytes()).hexdigest()
expected = {
    "values": {name: tensor.double().reshape(-1).tolist() for name, tensor in every_dtype.items()},
    "shapes": {name: list(tensor.shape) for name, tensor in every_dtype.items()},
    "sha256OfEveryF16": digest(patterns.view(torch.float16)),
    "sha256OfEveryBF16": digest(patterns.view(torch.bfloat16)),
}
(folder / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")
