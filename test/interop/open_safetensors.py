"""Which files of a folder Hugging Face's safetensors opens: open_safetensors.py FOLDER → JSON, name to refusal or null."""

import json
import sys
from pathlib import Path

from safetensors import safe_open


def refusal(path):
    try:
        with safe_open(path, "np"):
            return None
    except Exception as error:
        return str(error)


print(json.dumps({path.name: refusal(path) for path in sorted(Path(sys.argv[1]).iterdir())}))
