"""The README's picture and numbers, from one run.

    python -m benchmarks.picture RUN README.md docs/page.png

Needs chromium on the path for the picture.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from paramscope.result.profile import Profile

BEGIN, END = "<!-- demo: made by `make example`, from the run of `make demo` -->", "<!-- /demo -->"


def numbers(profile: Profile, picture: str) -> str:
    """The README's block about a run, in Markdown."""
    bands, density = profile.bands, profile.density()
    heads = " | ".join(f"{name} ({rows[0]}-{rows[-1]})" if len(rows) > 1 else name for name, rows in bands.items())
    lines = [
        f"![The page of the demo's run: findings and density by layer]({picture})",
        "",
        f"{profile.manifest.model.name}, {profile.layers} layers, {int(profile.parameters.sum()):,} weights measured; "
        f"{len(profile.samples)} texts, {sum(d.tokens for d in profile.manifest.domains):,} tokens; "
        f"largest "
        f"relative error against autograd {profile.manifest.self_check.largest_relative_error:.0e}. "
        f"Density at {profile.threshold:.2e} ({profile.manifest.thresholds.rule}):",
        "",
        f"| domain | {heads} |",
        "|---|" + "---|" * len(bands),
    ]
    for domain in profile.domains:
        cells = " | ".join(f"{100 * density.loc[rows, domain].mean():.1f} %" for rows in bands.values())
        lines.append(f"| {domain} | {cells} |")
    for centred in (False, True):
        similarity = profile.similarity(centred=centred)
        for label, frame in (("within domains", similarity.within.value), ("across domains", similarity.across.value)):
            cells = " | ".join(f"{frame.loc[rows].mean().mean():.2f}" for rows in bands.values())
            lines.append(f"| LLMDcos{', centred' if centred else ''}, {label} | {cells} |")
    return "\n".join(lines)


def photograph(page: Path, picture: Path) -> None:
    """Take a picture of the top of a page."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("chromium is not installed; apt-get install chromium")
    with tempfile.TemporaryDirectory() as data:
        options = (
            "--headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-background-networking"
        )
        command = [browser, *options.split(), f"--user-data-dir={data}", "--window-size=1200,1700"]
        subprocess.run([*command, f"--screenshot={picture}", page.resolve().as_uri()], check=True, capture_output=True)


def main() -> None:
    """Make the picture and put the numbers into the README."""
    run, readme, picture = (Path(argument) for argument in sys.argv[1:4])
    photograph(run / "report.html", picture.resolve())
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    block = numbers(Profile.load(run), str(picture))
    readme.write_text(f"{before}{BEGIN}\n\n{block}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
