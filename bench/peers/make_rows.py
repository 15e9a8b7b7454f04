"""Makes what the alignment programs are measured on: pairs.jsonl and prompts.jsonl of random words.

    python bench/peers/make_rows.py bench/peers/models

SmolLM2 has a token for each of the words, so lengths in words are lengths in tokens: pairs of at most 512 tokens with
the chat template, prompts of 32 to 64 tokens.
"""

import json
import random
import sys
from pathlib import Path

WORDS = (
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work government number night point home water room mother "
    "area money story fact month lot right study book eye job word business issue side kind head house service friend"
).split()


def main():
    folder = Path(sys.argv[1])
    draw = random.Random(1)

    def text(least, most):
        return " ".join(draw.choice(WORDS) for _ in range(draw.randint(least, most)))

    pairs = [{"prompt": text(40, 80), "chosen": text(200, 380), "rejected": text(200, 380)} for _ in range(12)]
    prompts = [{"prompt": text(32, 64)} for _ in range(64)]
    for name, rows in {"pairs.jsonl": pairs, "prompts.jsonl": prompts}.items():
        folder.joinpath(name).write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()
