"""Raw scores that transformers gives texts: run_reward.py read|write TEXTS_JSON DIRECTORY... → a JSON list."""

import json
import logging
import sys
import warnings

import torch
import transformers
from transformers import AutoModelForSequenceClassification

complaints = []


class Collect(logging.Handler):
    def emit(self, record):
        complaints.append(record.getMessage())


def describe(directory, texts):
    complaints.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model, report = AutoModelForSequenceClassification.from_pretrained(
            directory, trust_remote_code=True, dtype=torch.float32, output_loading_info=True
        )
        model.eval()
        pad = model.config.pad_token_id
        longest = max(map(len, texts))
        ids = torch.tensor([text + [pad] * (longest - len(text)) for text in texts])
        mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
        with torch.no_grad():
            scores = model(ids, attention_mask=mask).logits
    return {
        "transformers": transformers.__version__,
        "class": type(model).__name__,
        "report": {key: sorted(map(str, value)) for key, value in report.items() if value},
        "warnings": complaints + [str(warning.message) for warning in caught],
        "scores": scores[:, 0].tolist(),
    }


def write(directory, texts):
    """A reward model of transformers' own making, and the scores that it gives."""
    torch.manual_seed(1)
    config = transformers.LlamaConfig(
        vocab_size=300, hidden_size=48, intermediate_size=72, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=2, num_labels=1, pad_token_id=1, initializer_range=0.2,
    )  # fmt: skip
    transformers.LlamaForSequenceClassification(config).save_pretrained(directory)
    return describe(directory, texts)


transformers.logging.set_verbosity_warning()
transformers.utils.logging.disable_progress_bar()
logging.getLogger("transformers").addHandler(Collect())
texts = json.loads(sys.argv[2])
act = {"read": describe, "write": write}[sys.argv[1]]
print(json.dumps([act(directory, texts) for directory in sys.argv[3:]]))
