"""lm-evaluation-harness's own task files, with made-up local rows in place of their data."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.evaluation.rows import DEV, ROWS, write_rows

_FILES = {
    "boolq": "super_glue/boolq/default.yaml",
    "piqa": "piqa/piqa.yaml",
    "siqa": "siqa/siqa.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
}

_REPLACED = r"^(tag|training_split|dataset_path|dataset_name|task):.*\n(- .*\n|  - .*\n)*"
"""What a local task has otherwise."""


def write_local_tasks(folder: Path) -> dict[str, Path]:
    """Write a task ``local_NAME`` for each of the five; templates, preprocessing and metrics are the library's.

    Args:
        folder: to write to; rows go into ``folder/rows``.

    Returns:
        The file of rows of each.
    """
    import lm_eval.tasks

    own = Path(lm_eval.tasks.__file__).parent
    rows: dict[str, Path] = {}
    for name, place in _FILES.items():
        rows[name] = write_rows(folder / "rows" / name / "validation.jsonl", ROWS[name])
        text = (own / place).read_text(encoding="utf-8")
        text = re.sub(
            r"^(tag|training_split|dataset_path|dataset_name|task):.*\n(- .*\n|  - .*\n)*", "", text, flags=re.M
        )
        data = _data(folder, {"validation": rows[name]})
        (folder / name).mkdir()
        (folder / name / f"{name}.yaml").write_text(f"task: local_{name}\n{data}{text}", encoding="utf-8")
        if (own / place).with_name("utils.py").is_file():
            shutil.copy((own / place).with_name("utils.py"), folder / name / "utils.py")
    rows["mmlu"] = write_rows(folder / "rows" / "mmlu" / "test.jsonl", ROWS["mmlu"])
    dev = write_rows(folder / "rows" / "mmlu" / "dev.jsonl", DEV)
    text = (own / "mmlu/default/_default_template_yaml").read_text(encoding="utf-8")
    text = text.replace("dataset_path: cais/mmlu\n", "")
    described = "The following are multiple choice questions (with answers) about cold rivers.\\n\\n"
    (folder / "mmlu").mkdir()
    data = _data(folder, {"test": rows["mmlu"], "dev": dev})
    (folder / "mmlu" / "mmlu.yaml").write_text(
        f'task: local_mmlu\ndescription: "{described}"\n{data}{text}', encoding="utf-8"
    )
    return rows


def _data(folder: Path, files: dict[str, Path]) -> str:
    lines = "".join(f"    {split}: {path}\n" for split, path in files.items())
    return f"dataset_path: json\ndataset_kwargs:\n  cache_dir: {folder / 'cache'}\n  data_files:\n{lines}"
