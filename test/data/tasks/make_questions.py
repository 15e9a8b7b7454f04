"""Writes questions.json: what lm-eval 0.4.13 asks of rows.json, whose rows are made up in the columns of the hub. By hand:

    pip install lm-eval==0.4.13
    python test/data/tasks/make_questions.py
"""

import json
import tempfile
from pathlib import Path

from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

here = Path(__file__).parent
index = TaskManager().task_index
asked = {}
for case, (name, more) in {
    "arc-easy": ("arc_easy", {}),
    "arc-easy, drawn": ("arc_easy", {"num_fewshot": 2, "fewshot_split": "test"}),
    "openbookqa": ("openbookqa", {}),
    "boolq": ("boolq", {}),
    "piqa": ("piqa", {}),
    "hellaswag": ("hellaswag", {}),
    "winogrande": ("winogrande", {}),
    "winogrande, drawn": ("winogrande", {"num_fewshot": 2, "fewshot_split": "test"}),
    "mmlu": ("mmlu_anatomy", {"num_fewshot": 0}),
    "mmlu, first": ("mmlu_anatomy", {"num_fewshot": 2, "fewshot_split": "test"}),
    "blimp": ("blimp_adjunct_island", {}),
    "lambada": ("lambada_openai", {}),
    "wikitext": ("wikitext", {}),
}.items():
    rows = json.loads((here / "rows.json").read_text())[case.split(",")[0]]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
        file.flush()
        config = {**load_yaml(index[name].yaml_path), "dataset_path": "json", "dataset_name": None, "test_split": "test",
                  "dataset_kwargs": {"data_files": {"test": file.name}}, "validation_split": None, "training_split": None, "fewshot_split": "test", **more}
        task = ConfigurableTask(config=config)
        task.set_fewshot_seed(1234)
        asked[case] = []
        for doc in task.eval_docs:
            context = task.fewshot_context(doc, more.get("num_fewshot", 0))
            requests = task.construct_requests(doc, context, metadata=(name, 0, 1))
            requests = requests if isinstance(requests, list) else [requests]
            asked[case].append([list(request.args) for request in requests])

(here / "questions.json").write_text(json.dumps(asked, indent=1, ensure_ascii=False) + "\n")
