r"""Which layers to tune, tried on the embedded model: the best on some domains, held against controls on others.

    paramscope profile MODEL -o RUN --samples 16 --held-out 32 --max-tokens 96 --domain piqa=piqa@DIR/piqa.jsonl ...
    python -m benchmarks.tuning --run RUN --work DIR [--write]

Every rule of ``paramscope tune`` and a few that are not in it train LoRA adapters of equal size for the domains
``--select``: the same texts, steps and learning rates to choose from. The best of them other than ``uniform`` is then
held against ``uniform``, ``last`` and ``random`` on the domains ``--confirm``, which nothing was chosen by, with more
seeds. Texts are those of the run's own sources that it did not take. ``damage`` takes part where the run has causal
checks; the texts that those have seen (``--skip``) are not tested on. Each training is kept in DIR and not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.document import DOCUMENT, made_by, write
from benchmarks.tuning.contenders import UNIFORM
from benchmarks.tuning.study import Study, Tried, best_but_uniform
from benchmarks.tuning.tables import confirmation_table, selection_table, verdicts
from paramscope.cli.talk import silence_libraries

CONTROLS = (UNIFORM, "last", "random")


def main() -> None:
    """Train what is not there yet, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="with all domains below, of the embedded model")
    parser.add_argument("--work", type=Path, required=True, help="folder for trainings on the way")
    parser.add_argument("--select", nargs="+", default=["piqa", "mmlu"])
    parser.add_argument("--confirm", nargs="+", default=["gsm8k", "humaneval", "siqa"])
    parser.add_argument("--trainable", default="1%")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rates", type=float, nargs="+", default=[2e-3, 6e-3])
    parser.add_argument("--confirm-rates", type=float, nargs="+", default=[6e-3, 1.5e-2])
    parser.add_argument("--select-seeds", type=int, default=1)
    parser.add_argument("--confirm-seeds", type=int, default=3)
    parser.add_argument("--validation", type=int, default=12)
    parser.add_argument("--skip", type=int, default=8, help="held-out texts of a domain that are not tested on")
    parser.add_argument("--tests", type=int, default=24, help="held-out texts of the domain that is tuned for")
    parser.add_argument("--other-tests", type=int, default=6)
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT}")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    silence_libraries()
    study = Study(options)
    selected = study.select()
    best = best_but_uniform(selected)
    confirmed = study.confirm((best, *CONTROLS))
    won = zip(confirmed, verdicts(confirmed, best), strict=True)
    told = ", ".join(f"{status} on {name}" for name, status in won)
    rates, later = (" and ".join(f"{rate:g}" for rate in given) for given in (options.rates, options.confirm_rates))
    text = "\n".join(
        [
            "## Partial fine-tuning",
            "",
            f"{made_by('tuning')} SmolLM2-135M-Instruct (Q4_1, as float32). LoRA in all linear weights of the chosen "
            f"layers, {options.trainable} of the layers' parameters, a fifth of the layers where nothing else is said; "
            f"{options.steps} steps of 4 texts cut to {options.tokens} tokens, learning rates {rates} (then {later}) "
            f"to choose from by {options.validation} texts kept apart. Changes of the held-out loss ({options.tests} "
            "texts), nats per token, negative is better; in brackets 95 % intervals of the difference, paired by text. "
            "Short trainings on few texts, of one small model.",
            "",
            f"### Chosen on {' and '.join(options.select)} ({options.select_seeds} seed)",
            "",
            *selection_table(selected),
            f"### Held against controls on {', '.join(options.confirm)} ({options.confirm_seeds} seeds)",
            "",
            "Other domains: mean change of their held-out loss, what was forgotten.",
            "",
            *confirmation_table(confirmed, best),
            f"Against uniform, *{best}* is {told} (mean difference {_difference(confirmed, best):+.3f}).",
        ]
    )
    print(text)
    if options.write:
        write("tuning", text)


def _difference(confirmed: Mapping[str, Tried], best: str) -> float:
    return float(np.mean([each.change(best, name) - each.change(UNIFORM, name) for name, each in confirmed.items()]))


if __name__ == "__main__":
    main()
