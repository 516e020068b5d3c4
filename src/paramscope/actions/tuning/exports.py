"""A plan in the form that other tools read: PEFT, axolotl, a plain list. Each is read again and checked."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from paramscope.actions.pilots.lora import adapters_of, inject, lora_config, on_meta
from paramscope.actions.tuning.adapters import AdapterPlan
from paramscope.errors import RunError, UsageError
from paramscope.result.place import making
from paramscope.result.store import write_atomically
from paramscope.wording import listed, one_line

PEFT_FILE = "adapter_config.json"
AXOLOTL_FILE = "axolotl.yaml"
LIST_FILE = "modules.txt"
FILES = (PEFT_FILE, AXOLOTL_FILE, LIST_FILE)


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a place for exports before any work is done.

    Args:
        folder: to write to.
        overwrite: whether exports there may be replaced.

    Raises:
        UsageError: it is a file, cannot be made, or holds exports.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--export {folder} is a file, a folder is expected")
    there = [name for name in FILES if (folder / name).exists()]
    if there and not overwrite:
        raise UsageError(f"--export {folder} holds {listed(there)}; --overwrite replaces them, or give another folder")


def write_exports(plan: AdapterPlan, model: nn.Module, folder: Path) -> list[Path]:
    """Write a plan for PEFT and axolotl and as a list, and check that each says what the plan says.

    Args:
        plan: to write.
        model: that it is of, with weights or without.
        folder: where.

    Returns:
        The files.

    Raises:
        RunError: an export, read again, does not match exactly what the plan says.
    """
    with making(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / PEFT_FILE, peft_text(plan, model))
    write_atomically(folder / AXOLOTL_FILE, axolotl_text(plan))
    write_atomically(folder / LIST_FILE, list_text(plan))
    check_peft(plan, model, folder)
    check_axolotl(plan, model, folder / AXOLOTL_FILE)
    check_list(plan, folder / LIST_FILE)
    return [folder / name for name in FILES]


def peft_text(plan: AdapterPlan, model: nn.Module) -> str:
    """``adapter_config.json``, as PEFT itself would save it but in a fixed order."""
    document: dict[str, Any] = lora_config(plan.ranks, model).to_dict()
    document["target_modules"] = [adapter.module.name for adapter in plan.adapters]
    return json.dumps(_without_sets(document), indent=2, sort_keys=True) + "\n"


def _without_sets(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_sets(part) for key, part in value.items()}
    return sorted(value) if isinstance(value, set) else value


def axolotl_text(plan: AdapterPlan) -> str:
    """``unfrozen_parameters`` for axolotl's configuration.

    axolotl escapes the dots of a pattern itself, so one that is escaped already would match nothing; and it matches
    from the beginning of a name on, so the end must be marked.
    """
    head = (
        "# For axolotl's configuration: these weights are trained in full, everything else is frozen.\n"
        f"# That is {sum(a.module.inputs * a.module.outputs for a in plan.adapters):,} trainable parameters, where the "
        f"adapters of {PEFT_FILE} have {plan.parameters:,}.\n"
    )
    patterns = [f"^{adapter.module.name}.weight$" for adapter in plan.adapters]
    return head + yaml.safe_dump({"unfrozen_parameters": patterns}, width=1000)


def list_text(plan: AdapterPlan) -> str:
    """One line a module: name, rank, alpha."""
    lines = [f"{a.module.name}\t{a.rank}\t{a.alpha}\n" for a in plan.adapters]
    return "# module\trank\talpha\n" + "".join(lines)


def check_peft(plan: AdapterPlan, model: nn.Module, folder: Path) -> None:
    """Read PEFT's configuration with PEFT and put it into the model without weights.

    Args:
        plan: that the file is of.
        model: likewise.
        folder: that holds the file.

    Raises:
        RunError: PEFT refuses it, leaves a module out, takes another one, or gives one another rank or alpha.
    """
    from peft import LoraConfig

    trial = on_meta(model)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of patterns that match nothing: told below
            inject(trial, LoraConfig.from_pretrained(str(folder)), meta=True)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise RunError(f"{folder / PEFT_FILE}: PEFT does not take it ({one_line(error)})") from error
    wanted = {a.module.name: (a.rank, a.alpha, a.parameters) for a in plan.adapters}
    _refuse_difference(folder / PEFT_FILE, "PEFT adapts", adapters_of(trial), wanted)


def check_axolotl(plan: AdapterPlan, model: nn.Module, path: Path) -> None:
    """Read axolotl's patterns and match them as axolotl does.

    axolotl (``utils/freeze.py``) takes a dot in a pattern for a dot, and unfreezes every parameter that a pattern
    matches from the beginning on.

    Args:
        plan: that the file is of.
        model: likewise.
        path: of the file.

    Raises:
        RunError: other parameters match than the weights of the plan's modules.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    patterns = [re.compile(re.sub(r"\.(?!\+)", r"\\.", pattern)) for pattern in document["unfrozen_parameters"]]
    names = [name for name, _ in model.named_parameters()]
    found = {name: 1 for name in names if any(pattern.match(name) for pattern in patterns)}
    idle = [pattern.pattern for pattern in patterns if not any(pattern.match(name) for name in names)]
    if idle:
        raise RunError(f"{path}: {listed(idle, 3)} match no parameter of the model")
    _refuse_difference(path, "axolotl unfreezes", found, {f"{a.module.name}.weight": 1 for a in plan.adapters})


def check_list(plan: AdapterPlan, path: Path) -> None:
    """Read the list again.

    Args:
        plan: that it is of.
        path: of the file.

    Raises:
        RunError: it says something else.
    """
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    found = {name: (int(rank), int(alpha)) for name, rank, alpha in rows}
    _refuse_difference(path, "it lists", found, {a.module.name: (a.rank, a.alpha) for a in plan.adapters})


def _refuse_difference(path: Path, what: str, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Say in which names two tables differ.

    Raises:
        RunError: they do.
    """
    wrong: Sequence[str] = [name for name in {**wanted, **found} if found.get(name) != wanted.get(name)]
    if wrong:
        name = wrong[0]
        raise RunError(
            f"{path} does not say what the plan says: {what} {name} as {found.get(name, 'nothing')}, the plan has "
            f"{wanted.get(name, 'nothing')}" + (f", and {len(wrong) - 1} names more" if len(wrong) > 1 else "")
        )
