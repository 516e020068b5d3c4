"""Which layers to tune, tried on the embedded model."""

import argparse
from pathlib import Path

from benchmarks.tuning.study import Study, best_but_uniform
from paramscope.cli.talk import silence_libraries


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--select", nargs="+", default=["piqa", "mmlu"])
    parser.add_argument("--confirm", nargs="+", default=["gsm8k", "humaneval", "siqa"])
    parser.add_argument("--trainable", default="1%")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rates", type=float, nargs="+", default=[2e-3, 6e-3])
    parser.add_argument("--select-seeds", type=int, default=1)
    parser.add_argument("--confirm-seeds", type=int, default=3)
    parser.add_argument("--validation", type=int, default=12)
    parser.add_argument("--skip", type=int, default=8)
    parser.add_argument("--tests", type=int, default=24)
    parser.add_argument("--other-tests", type=int, default=6)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    silence_libraries()
    study = Study(options)
    tried = study.select()
    names = list(next(iter(tried.values())).chosen)
    for name in names:
        print(name, {d: (round(t.change(name, d), 4), t.chosen[name][0].rate) for d, t in tried.items()})
    order = best_but_uniform(tried, names)
    print(order)


if __name__ == "__main__":
    main()
