"""What transformers makes of model directories: run_model.py TOKENS_JSON DIRECTORY... → a JSON list, one entry each."""

import json
import logging
import sys
import warnings

import torch
import transformers
from transformers import AutoModelForCausalLM

complaints = []


class Collect(logging.Handler):
    def emit(self, record):
        complaints.append(record.getMessage())


def describe(directory, tokens):
    complaints.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model, report = AutoModelForCausalLM.from_pretrained(
            directory, trust_remote_code=True, dtype=torch.float32, output_loading_info=True
        )
        model.eval()
        ids = torch.tensor([tokens])
        with torch.no_grad():
            output = model(ids, output_hidden_states=True)
            generated = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    return {
        "transformers": transformers.__version__,
        "class": type(model).__name__,
        "report": {key: sorted(map(str, value)) for key, value in report.items() if value},
        "warnings": complaints + [str(warning.message) for warning in caught],
        "logits": output.logits[0].tolist(),
        "hiddenStates": len(output.hidden_states),
        "generated": generated[0, len(tokens) :].tolist(),
    }


transformers.logging.set_verbosity_warning()
transformers.utils.logging.disable_progress_bar()
logging.getLogger("transformers").addHandler(Collect())
print(json.dumps([describe(directory, json.loads(sys.argv[1])) for directory in sys.argv[2:]]))
