"""Pictures of a run's page, and the README's numbers.

    python -m benchmarks.picture RUN PAGE README.md FOLDER

Takes the top of the page in both languages, on a wide screen and on a phone. Needs chromium on the path.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from paramscope.result.profile import Profile

BEGIN, END = "<!-- example: made by `make example` -->", "<!-- /example -->"


def numbers(profile: Profile, picture: str) -> str:
    """The README's block about a run, in Markdown."""
    bands, density = profile.bands, profile.density()
    heads = " | ".join(f"{name} ({rows[0]}-{rows[-1]})" if len(rows) > 1 else name for name, rows in bands.items())
    lines = [
        f"[![The example page: what was found in one minute]({picture})](docs/example/report.html)",
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


PICTURES = {
    "page-en": ("en", 1280, 1750),
    "page-ja": ("ja", 1280, 1750),
    "phone-en": ("en", 390, 1750),
    "phone-ja": ("ja", 390, 1750),
}
"""By name: language, width and height in pixels."""


def photograph(page: Path, folder: Path) -> None:
    """Take the pictures of a page that has both languages."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("chromium is not installed; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        for name, (language, width, height) in PICTURES.items():
            context = browser.new_context(locale=language, viewport={"width": width, "height": height})
            sheet = context.new_page()
            sheet.goto(page.resolve().as_uri())
            sheet.screenshot(path=folder / f"{name}.png")
            context.close()
        browser.close()


def main() -> None:
    """Make the pictures and put the numbers into the README."""
    run, page, readme, folder = (Path(argument) for argument in sys.argv[1:5])
    photograph(page, folder)
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    block = numbers(Profile.load(run), str(folder / "page-en.png"))
    readme.write_text(f"{before}{BEGIN}\n\n{block}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
