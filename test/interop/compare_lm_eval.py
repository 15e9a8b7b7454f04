"""Compares `mixtune evaluate --tasks choice:… --format plain` with lm-eval, question by question. By hand:

    pip install lm-eval==0.4.13 transformers torch
    npm run build
    python test/interop/compare_lm_eval.py MODEL QUESTIONS.jsonl

QUESTIONS.jsonl holds {question, choices: [...], answer}, the answer an index from 0. One run of mixtune for each question shows
which are right; the exit status is 1 where one of them is not lm-eval's. A MODEL whose tokenizer puts a token before each text
shows whether both score it.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import lm_eval
from lm_eval.tasks import TaskManager

model, questions = sys.argv[1], Path(sys.argv[2]).resolve()
rows = [json.loads(line) for line in questions.read_text().splitlines() if line]
command = ["node", str(Path(__file__).parents[2] / "dist/cli/main.js"), "evaluate", model]


def ours(row) -> tuple[float, float]:
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        options = ["--tasks", f"choice:{file.name}", "--format", "plain", "--precision", "f32", "--json"]
        found = json.loads(subprocess.run(command + options, check=True, capture_output=True).stdout)
    return found["accuracyBySum"], found["accuracy"]


with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "questions.yaml").write_text(
        f"""task: questions
dataset_path: json
dataset_kwargs: {{data_files: {{test: {questions}}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: choices
doc_to_target: answer
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""
    )
    theirs = lm_eval.simple_evaluate(
        model="hf",
        model_args=f"pretrained={model},dtype=float32,trust_remote_code=True",
        tasks=["questions"],
        task_manager=TaskManager(include_path=folder),
        log_samples=True,
        device="cpu",
    )

print({key: value for key, value in theirs["results"]["questions"].items() if key.startswith("acc")})
different = 0
for sample in theirs["samples"]["questions"]:
    row = rows[sample["doc_id"]]
    found = ours(row)
    if found != (sample["acc"], sample["acc_norm"]):
        different += 1
        print(f"question {sample['doc_id'] + 1}: ours {found}, lm-eval {(sample['acc'], sample['acc_norm'])}: {row['question']}")
print(f"{len(rows)} questions, {different} different")
sys.exit(different > 0)
