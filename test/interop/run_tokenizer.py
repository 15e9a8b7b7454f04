"""What AutoTokenizer makes of directories: run_tokenizer.py TEXTS_JSON MESSAGES_JSON DIRECTORY... → a JSON list."""

import json
import sys

from transformers import AutoTokenizer

texts, messages = json.loads(sys.argv[1]), json.loads(sys.argv[2])


def describe(directory):
    tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=True)
    return {
        "ids": [tokenizer(text)["input_ids"] for text in texts],
        "decoded": [tokenizer.decode(tokenizer(text)["input_ids"]) for text in texts],
        "eos": tokenizer.eos_token_id,
        "pad": tokenizer.pad_token_id,
        "chat": tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True),
    }


print(json.dumps([describe(directory) for directory in sys.argv[3:]]))
