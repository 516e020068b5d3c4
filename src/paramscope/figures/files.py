"""The figures' files: SVG and PNG with no trace of when they were made, and the captions."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

from paramscope.errors import UsageError
from paramscope.figures.album import Album
from paramscope.figures.style import styled
from paramscope.figures.subject import Drawn, marked
from paramscope.report.text import shorten

CAPTIONS = "captions.md"
_HEAD = "# Captions of figures drawn by paramscope\n"
_NOT_ON_PAPER = (
    'The paper is Wang et al., "Exploring Activation Patterns of Parameters in Language Models" (AAAI 2025, arXiv '
    "2405.17799); files `figure-N-...` are drawn after its Figure N, all others go beyond it. Layers count from 0 at "
    "the input. Sentence pairs (STS-B, SICK) are in the paper's Table 3 and in none of its figures."
)


def check_folder(folder: Path) -> None:
    """Find out before any drawing whether the folder can take the figures.

    Args:
        folder: where they shall go.

    Raises:
        UsageError: it is no folder, or holds captions of another hand.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--figures {folder} is no folder; give a folder, which is made where it is missing")
    captions = folder / CAPTIONS
    try:
        foreign = captions.exists() and not captions.read_text(encoding="utf-8", errors="replace").startswith(_HEAD)
    except OSError as error:
        raise UsageError(f"--figures {folder} cannot be read ({error.strerror}); give another folder") from error
    if foreign:
        raise UsageError(f"{captions} is there and not of paramscope, so it is not replaced; give another folder")


def write_album(album: Album, folder: Path, tell: Callable[[str], None] | None = None) -> list[Path]:
    """Write all figures, then the captions; each file is in its place whole or not at all.

    Args:
        album: the figures.
        folder: made where it is missing.
        tell: called with one line for what a reader might miss.

    Returns:
        The files, captions last.

    Raises:
        UsageError: the folder cannot be written to.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in _contents(album):
            path = folder / name
            part = path.with_name(name + ".part")
            part.write_bytes(content)
            part.replace(path)
            written.append(path)
    except OSError as error:
        raise UsageError(f"--figures {folder} cannot be written to ({error.strerror}); give another folder") from error
    if tell:
        for line in _missed(album):
            tell(line)
    return written


def rendered(drawn: Drawn, album: Album, form: str) -> bytes:
    """One figure as a file's content: the same bytes for the same numbers.

    Args:
        drawn: the figure.
        album: that it is of.
        form: ``svg`` or ``png``.

    Returns:
        The content.
    """
    metadata = {"Date": None, "Creator": None, "Title": drawn.title} if form == "svg" else {"Software": None}
    buffer = io.BytesIO()
    with styled(album.subject.letters.families):
        drawn.figure.savefig(buffer, format=form, metadata=metadata)
    return buffer.getvalue()


def captions(album: Album) -> str:
    """A paragraph for each figure, then what is left out and why.

    Args:
        album: the figures.

    Returns:
        Markdown.
    """
    lines = [_HEAD, _NOT_ON_PAPER, ""]
    for drawn in album.drawn:
        lines += [
            f"## {drawn.name}",
            "",
            f"**{drawn.title}.** " + " ".join(_sentence(each) for each in drawn.caption),
            "",
        ]
    if album.left_out:
        lines += ["## Left out", "", "A file of such a name in this folder is of an earlier run.", ""]
        lines += [f"- {left.name}: {left.why}." for left in album.left_out] + [""]
    lines += ["## Domains", "", "| in the figures | domain | texts |", "|---|---|---|"]
    for name, domain in zip(album.subject.names, album.subject.profile.manifest.domains, strict=True):
        cells = [marked(name), marked(domain.name), str(domain.samples)]
        lines.append("| " + " | ".join(shorten(cell, 300) for cell in cells) + " |")
    return "\n".join([*lines, ""])


def _contents(album: Album) -> Iterator[tuple[str, bytes]]:
    for drawn in album.drawn:
        for form in ("svg", "png"):
            yield f"{drawn.name}.{form}", rendered(drawn, album, form)
    yield CAPTIONS, captions(album).encode("utf-8")


def _missed(album: Album) -> Iterator[str]:
    for left in album.left_out:
        yield f"figure {left.name} is left out: {left.why}"
    for stands, name in album.subject.letters.replaced.items():
        yield f"no installed font can show {shorten(name, 60)!r}, so the figures say {stands}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
