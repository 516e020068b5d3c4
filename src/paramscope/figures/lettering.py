"""Names from outside as a figure can show them: cleaned, and only with characters that some font at hand has."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

from paramscope.figures.style import FONT
from paramscope.report.text import clean

_MOST_FONTS = 3


@dataclass(frozen=True)
class Lettering:
    """What stands in the figures for the names of a run.

    Attributes:
        domains: in the run's order.
        modules: by their names in the run.
        families: fonts that they need beside the usual one.
        replaced: what stands for a name that no font can show, and that name, cleaned.
    """

    domains: list[str]
    modules: dict[str, str]
    families: list[str]
    replaced: dict[str, str]


def letter(domains: Sequence[str], modules: Iterable[str]) -> Lettering:
    """Find what to write for each name.

    Args:
        domains: names.
        modules: names.

    Returns:
        The names as they are drawn. One with a character that no installed font has is drawn as ``domain 3``.
    """
    shown_domains = [clean(name) for name in domains]
    whole = list(dict.fromkeys(modules))
    shown_modules = dict(zip(whole, _last_parts([clean(name) for name in whole]), strict=True))
    every = {character for name in (*shown_domains, *shown_modules.values()) for character in name}
    missing = {character for character in every if ord(character) not in _characters(_path(FONT))}
    families, missing = _further(missing)
    replaced = {}
    for place, name in enumerate(shown_domains):
        if missing & set(name):
            shown_domains[place] = f"domain {place + 1}"
            replaced[shown_domains[place]] = name
    for place, module in enumerate(whole):
        if missing & set(shown_modules[module]):
            replaced[f"module {place + 1}"] = shown_modules[module]
            shown_modules[module] = f"module {place + 1}"
    return Lettering(shown_domains, shown_modules, families, replaced)


def _last_parts(names: list[str]) -> list[str]:
    """``q_proj`` of ``self_attn.q_proj``, where no two names end alike."""
    last = [name.rsplit(".", 1)[-1] for name in names]
    return last if len(set(last)) == len(names) else names


def _further(missing: set[str]) -> tuple[list[str], set[str]]:
    """Installed fonts that have most of the missing characters, and the characters that are still missing."""
    families: list[str] = []
    while missing and len(families) < _MOST_FONTS:
        best, found = "", 0
        for family in _families():
            count = sum(ord(character) in _characters(_path(family)) for character in missing)
            if count > found:
                best, found = family, count
        if not found:
            break
        families.append(best)
        missing = {character for character in missing if ord(character) not in _characters(_path(best))}
    return families, missing


@functools.cache
def _families() -> list[str]:
    """Upright fonts of normal weight, by name."""
    return sorted({entry.name for entry in font_manager.fontManager.ttflist if entry.style == "normal"})


def _path(family: str) -> str:
    return str(font_manager.findfont(font_manager.FontProperties(family=[family]), fallback_to_default=False))


@functools.cache
def _characters(path: str) -> frozenset[int]:
    """Characters of a font; none where it cannot be read or is made of pixels, which cannot be drawn."""
    try:
        font = FT2Font(path)
        return frozenset(font.get_charmap()) if font.scalable else frozenset()
    except (OSError, RuntimeError):
        return frozenset()
