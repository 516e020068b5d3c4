r"""What ways to share brought, from the pilot in a run's folder.

paramscope share RUN --pilot --steps 16
python -m benchmarks.sharing --run RUN [--write]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.document import DOCUMENT, made_by, write
from paramscope.actions.pilots.judging import told_interval
from paramscope.actions.tuning.layers import told_layers
from paramscope.measures.ranks import Interval
from paramscope.result.manifest import read_manifest
from paramscope.result.place import MANIFEST
from paramscope.result.share_pilot import SharePilot, read_share_pilot
from paramscope.result.verification import IntervalRecord

ADAPTER_BYTES = 2
"""Of a parameter of an adapter, in 16 bits."""


def table(pilot: SharePilot) -> list[str]:
    """A row a way: what it keeps, what it changes, and the plan against it.

    Args:
        pilot: of a run.

    Returns:
        Lines of Markdown.
    """
    names = pilot.domains
    against = {each.control: each for each in pilot.outcome.comparisons}
    lines = [
        f"| trained | kept in adapters, MB | all domains | {' | '.join(names)} | plan less that |",
        "|---" * (4 + len(names)) + "|",
    ]
    for way in pilot.outcome.ways:
        each = [f"{way.domains[name].value:+.3f}" for name in names]
        comparison = against.get(way.name)
        told = f"{_told(comparison)}, {comparison.status}" if comparison else ""
        kept = f"{way.parameters * ADAPTER_BYTES / 1e6:.2f}"
        lines.append(f"| {way.name} | {kept} | {_told(way.change)} | {' | '.join(each)} | {told} |")
    return [*lines, ""]


def _told(found: IntervalRecord) -> str:
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return told_interval(Interval(found.value, found.low, found.high))


def main() -> None:
    """Print, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT}")
    options = parser.parse_args()
    pilot = read_share_pilot(options.run)
    if pilot is None:
        parser.error(f"{options.run} has no pilot; 'paramscope share {options.run} --pilot' makes one")
    sizes, manifest = pilot.sizes, read_manifest(options.run / MANIFEST)
    rates = ", ".join(f"{rate:g}" for rate in sizes.rates)
    text = "\n".join(
        [
            "## Sharing",
            "",
            f"{made_by('sharing')} Of `paramscope share RUN --pilot`: {manifest.model.name}, {len(pilot.domains)} "
            f"domains; LoRA of rank {pilot.rank}, own layers of the plan {told_layers(pilot.own_layers)}; "
            f"{sizes.steps} steps a domain of {sizes.batch} texts cut to {sizes.tokens} tokens, {sizes.seeds} "
            f"seeds, learning rates {rates} to choose from. Change of the held-out loss ({sizes.test} texts a domain), "
            "nats per token, negative is better; 95 % intervals, paired by text.",
            "",
            *table(pilot),
            pilot.outcome.sentence,
        ]
    )
    print(text)
    if options.write:
        write("sharing", text)


if __name__ == "__main__":
    main()
