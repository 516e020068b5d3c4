r"""What pruning costs the embedded model, by allocation, score and calibration texts.

    python -m benchmarks.pruning --data DIR --work DIR             everything; hours on two cores
    python -m benchmarks.pruning --data DIR --work DIR --seeds 1 --samples 8 --blocks 8 --domains c4 boolq
    python -m benchmarks.pruning --data DIR --work DIR --write     into docs/results.md

Calibrated on C4, tested on WikiText-2: perplexity of the dense model; of half of all weights pruned by Wanda, with the
allocations uniform, paper, OWL and histogram; and of 2:4 by magnitude, Wanda and activation. Every seed draws other
calibration texts (and the profile that paper and histogram read is of these). Then what each domain's held-out texts
lose, by the domain that was calibrated on. Each result is kept in DIR/results.jsonl as soon as it is there, and is not
measured again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.document import DOCUMENT, made_by, write
from benchmarks.pruning.study import BASELINE, FILES, Record, Study
from benchmarks.pruning.tables import matrix_table, perplexity_table
from paramscope.cli.talk import silence_libraries
from paramscope.result.pruned import STATEMENT


def document(study: Study) -> str:
    """All that is written."""
    options, records = study.options, study.results.records
    sizes: Record = {
        **study.sizes,
        "context": options.context,
        "blocks": options.blocks,
        "held_out": options.held_out,
        "domains": list(options.domains),
        "profile": [options.profile_samples, options.profile_tokens],
    }
    scored = "all blocks" if options.blocks is None else f"{options.blocks} blocks, spread evenly"
    lines = [
        "## Pruning",
        "",
        f"{made_by('pruning')} "
        "SmolLM2-135M-Instruct (Q4_1, as float32); all linear weights of its layers. Calibrated on "
        f"{options.samples} texts of C4, at most {options.max_tokens} tokens each; every seed draws others. ± is half "
        "the width of a 95 % interval: over seeds, or over held-out texts. It says nothing of other models.",
        "",
        f"### WikiText-2 (test; blocks of {options.context} tokens, {scored})",
        "",
        *perplexity_table(records, sizes),
        f"### Calibrated on one domain, tested on all ({BASELINE}; {options.held_out} held-out texts each)",
        "",
        "More nats per token than the dense model, paired by text; one seed.",
        "",
        *matrix_table(records, sizes),
        STATEMENT,
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure what is not there yet, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, help=f"folder with wikitext2_test.txt, {', '.join(FILES.values())}"
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for results on the way")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--profile-samples", type=int, default=32)
    parser.add_argument("--profile-tokens", type=int, default=128)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--blocks", type=int, help="of WikiText-2; all if left out")
    parser.add_argument("--domains", nargs="*", choices=FILES, default=list(FILES))
    parser.add_argument("--held-out", type=int, default=32)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT}")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    silence_libraries()
    study = Study(options)
    study.perplexities()
    if options.domains:
        study.matrix()
    text = document(study)
    print(text)
    if options.write:
        write("pruning", text)


if __name__ == "__main__":
    main()
