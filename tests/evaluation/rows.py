"""Rows made up here, with the fields of the real sets; both paramscope and lm-evaluation-harness read them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_WORDS = [
    "ice",
    "water",
    "lamp",
    "stone",
    "river",
    "green",
    "cold",
    "bread",
    "night",
    "window",
    "paper",
    "seven",
    "quick",
    "bird",
    "chair",
    "open",
    "close",
    "under",
    "over",
    "salt",
    "table",
    "music",
    "garden",
    "train",
    "letter",
    "small",
    "warm",
    "early",
    "winter",
    "naïve",
    "été",
    "日本",
    "Übung",
]


def _text(random_: random.Random, low: int, high: int) -> str:
    return " ".join(random_.choice(_WORDS) for _ in range(random_.randint(low, high)))


def _made(count: int, seed: int = 7) -> dict[str, list[dict[str, Any]]]:
    rng = random.Random(seed)
    rows: dict[str, list[dict[str, Any]]] = {"boolq": [], "piqa": [], "siqa": [], "hellaswag": [], "mmlu": []}
    for number in range(count):
        answer = rng.random() < 0.6
        rows["boolq"].append(
            {
                "question": _text(rng, 3, 6),
                "passage": f"{_text(rng, 8, 20)}.\n{_text(rng, 2, 5)}.",
                "answer": answer,
                "label": int(answer),
            }
        )
        rows["piqa"].append(
            {
                "goal": _text(rng, 2, 5),
                "sol1": _text(rng, 2, 12) + (" " if number % 4 == 0 else ""),
                "sol2": ("  " if number % 5 == 0 else "") + _text(rng, 2, 12),
                "label": rng.randrange(2),
            }
        )
        rows["siqa"].append(
            {
                "context": _text(rng, 4, 9) + ".",
                "question": _text(rng, 3, 5) + "?",
                "answerA": _text(rng, 1, 3),
                "answerB": _text(rng, 1, 6),
                "answerC": _text(rng, 1, 9),
                "label": str(rng.randrange(3) + 1),
            }
        )
        ctx_a, ctx_b = _text(rng, 3, 7) + ".", _text(rng, 2, 4).title() if number % 3 else ""
        rows["hellaswag"].append(
            {
                "activity_label": _text(rng, 1, 2).title(),
                "ctx_a": f"[header] {ctx_a} [title] {_text(rng, 2, 4)}." if number % 4 == 0 else ctx_a,
                "ctx_b": ctx_b,
                "ctx": f"{ctx_a} {ctx_b}",
                "endings": [
                    ("[substeps] " if number % 5 == place else "") + _text(rng, 2, 3 + 3 * place) for place in range(4)
                ],
                "label": str(rng.randrange(4)),
            }
        )
        rows["mmlu"].append(
            {
                "question": (" " if number % 6 == 0 else "") + _text(rng, 4, 8) + "?",
                "subject": "cold_rivers",
                "choices": [_text(rng, 1, 3) for _ in range(4)],
                "answer": rng.randrange(4),
            }
        )
    return rows


ROWS = _made(14)
"""By task."""

DEV = _made(5, seed=11)["mmlu"]
"""Examples for ``mmlu``."""


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
