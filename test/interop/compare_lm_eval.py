"""Compares task files with the tasks of lm-eval that they follow, row by row, on the same model and rows. By hand:

    pip install lm-eval==0.4.13 transformers torch
    npm run build
    python test/interop/compare_lm_eval.py MODEL ROWS [CASE ...]

ROWS is a folder of NAME.jsonl in the columns of the hub, NAME being lm-eval's: arc_easy, arc_challenge, openbookqa, boolq, piqa,
hellaswag, winogrande, mmlu_anatomy (and mmlu_anatomy_dev), blimp_adjunct_island, lambada_openai, wikitext; what is missing is
left out. Both measure in float32. Compared are each row's log p (to 1e-4 of its size or 1e-3 nats) and whether it is right, and
each metric with its standard error (to 1e-4). The exit status is 1 where one differs.

A MODEL whose tokenizer puts a token before each text shows whether both score it. lm-eval's rolling log-likelihood puts that
token there twice, and scores the second one, unless it is told `add_bos_token=False`: so perplexities are compared.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

root = Path(__file__).parents[2]
model, folder, wanted = sys.argv[1], Path(sys.argv[2]).resolve(), set(sys.argv[3:])
same_rows = "fewShot: { count: 3 }"
names = {"accuracyBySum": "acc", "accuracy": "acc_norm", "greedyMatch": "acc", "answerPerplexity": "perplexity",
         "wordPerplexity": "word_perplexity", "bytePerplexity": "byte_perplexity", "bitsPerByte": "bits_per_byte"}

# Name: our task file, lm-eval's task, few-shot of both.
cases = {
    "arc-easy": ("arc-easy", "arc_easy", "", {}),
    "arc-easy-shots": ("arc-easy", "arc_easy", same_rows, {"num_fewshot": 3, "fewshot_split": "test"}),
    "arc-challenge": ("arc-challenge", "arc_challenge", "", {}),
    "openbookqa": ("openbookqa", "openbookqa", "", {}),
    "boolq": ("boolq", "boolq", "", {}),
    "piqa": ("piqa", "piqa", "", {}),
    "piqa-bytes": ("piqa", "piqa", "bytes", {}),
    "hellaswag": ("hellaswag", "hellaswag", "", {}),
    "winogrande": ("winogrande", "winogrande", "", {}),
    "winogrande-shots": ("winogrande", "winogrande", same_rows, {"num_fewshot": 3, "fewshot_split": "test"}),
    "mmlu": ("mmlu", "mmlu_anatomy", 'preamble: "The following are multiple choice questions (with answers) about anatomy.\\n\\n"', {}),
    "mmlu-shots": (
        "mmlu", "mmlu_anatomy",
        'preamble: "The following are multiple choice questions (with answers) about anatomy.\\n\\n"\n'
        f"fewShot: {{ count: 5, sampler: first, examples: {folder / 'mmlu_anatomy_dev.jsonl'} }}",
        {"num_fewshot": 5},
    ),
    "blimp": ("blimp", "blimp_adjunct_island", "", {}),
    "lambada": ("lambada", "lambada_openai", "", {}),
    "wikitext": ("wikitext", "wikitext", "", {}),
}


def ours(task: str, more: str, rows: Path) -> tuple[dict, list[dict]]:
    with tempfile.TemporaryDirectory() as scratch:
        file, items = Path(scratch) / f"{task}.yaml", Path(scratch) / "items.jsonl"
        text = (root / "tasks" / f"{task}.yaml").read_text()
        if more == "bytes":
            text = text.replace("[accuracy, accuracyBySum]", "[accuracyByBytes, accuracy, accuracyBySum]")
        else:
            text += more + "\n"
        file.write_text(text)
        command = ["node", root / "dist/cli/main.js", "evaluate", model, "--tasks", f"{file}:{rows}", "--precision", "f32"]
        command += ["--rows", "1000000", "--items", items, "--json"]
        if task == "wikitext":
            command += ["--window", str(context)]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return json.loads(found), [json.loads(line) for line in items.read_text().splitlines()]


def theirs(task: str, shots: dict, rows: Path, bytes_too: bool) -> dict:
    files = {"test": str(rows)}
    dev = rows.with_name("mmlu_anatomy_dev.jsonl")
    if "mmlu" in task and dev.exists():
        files["dev"] = str(dev)
    described = load_yaml(TaskManager().task_index[task].yaml_path, resolve_func=True)
    config = {**described, "task": task, "dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files},
              "test_split": "test", "validation_split": None, "training_split": None, **shots}
    if bytes_too:
        config["metric_list"] = [{"metric": metric} for metric in ("acc", "acc_norm", "acc_bytes")]
    rolling = task == "wikitext"
    return lm_eval.simple_evaluate(model=plain() if rolling else reference, tasks=[config], task_manager=TaskManager(),
                                   log_samples=True, num_fewshot=shots.get("num_fewshot"), bootstrap_iters=0)


def load(**options) -> HFLM:
    return HFLM(pretrained=model, dtype="float32", trust_remote_code=True, device="cpu", batch_size=8, **options)


def plain() -> HFLM:
    return load(add_bos_token=False)


reference = load()
context = reference.max_length
differences = 0


def compare(what: str, a: float, b: float, tolerance: float) -> None:
    global differences
    if abs(a - b) > tolerance:
        differences += 1
        print(f"  DIFFERENT {what}: ours {a}, lm-eval {b}")


for case, (task, name, more, shots) in cases.items():
    rows = folder / f"{name}.jsonl"
    if not rows.exists() or (wanted and case not in wanted):
        continue
    found, items = ours(task, more, rows)
    result = theirs(name, dict(shots), rows, more == "bytes")
    samples = sorted(result["samples"][name], key=lambda sample: sample["doc_id"])
    assert len(samples) == len(items), (case, len(samples), len(items))
    largest = 0.0
    for sample, item in zip(samples, items):
        responses = sample["filtered_resps"]
        if "perplexity" in sample:
            expected, right = responses[0][0], sample["acc"]
        elif "word_perplexity" in sample:
            expected, right = responses[0] if not isinstance(responses[0], (list, tuple)) else responses[0][0], None
        else:
            first = {"accuracy": "acc_norm", "accuracyBySum": "acc", "accuracyByBytes": "acc_bytes"}[item["metric"].split("/")[1]]
            right = sample[first]
            target = sample["target"]
            if not isinstance(target, int):
                target = int(target) if str(target).isdigit() else int(sample["doc"]["answer"]) - 1
            expected = responses[target][0]
        where = f"row {item['item'] + 1}"
        largest = max(largest, abs(item["logProb"] - expected))
        compare(f"log p of {where}", item["logProb"], expected, max(1e-3, 1e-4 * abs(expected)))
        if right is not None:
            compare(f"answer of {where}", float(item["correct"]), float(right), 0)
    metrics = result["results"][name]
    for ours_name, their_name in {**names, "accuracyByBytes": "acc_bytes"}.items():
        if ours_name in found and f"{their_name},none" in metrics:
            compare(ours_name, found[ours_name], metrics[f"{their_name},none"], 1e-4 * max(1, abs(metrics[f"{their_name},none"])))
            error = metrics.get(f"{their_name}_stderr,none")
            if ours_name in found["stderr"] and isinstance(error, float):
                compare(f"{ours_name} stderr", found["stderr"][ours_name], error, 1e-4)
    shown = {key: round(value, 4) for key, value in found.items() if isinstance(value, (int, float))}
    print(f"{case}: {len(items)} rows, log p within {largest:.1e}: {shown}")
print(f"{differences} differences")
sys.exit(differences > 0)
