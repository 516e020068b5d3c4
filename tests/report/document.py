"""Reading a page back: strict about nesting, and the SVG parts as XML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

from paramscope.report.charts.svg import SVG

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Document(HTMLParser):
    """All elements of a page; fails on tags that do not match."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.page = page
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({key for key, _ in attrs}) == len(attrs), f"an attribute of {tag} stands twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self._open, f"{tag} closes itself outside of SVG"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"{tag} was never opened"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def charts(self) -> list[ElementTree.Element]:
        return [ElementTree.fromstring(part) for part in re.findall(r"<svg .*?</svg>", self.page, re.DOTALL)]

    def chart(self, ident: str) -> ElementTree.Element:
        return next(chart for chart in self.charts() if chart.get("aria-labelledby") == f"{ident}-title")


def tips(chart: ElementTree.Element) -> list[str]:
    """Texts of all tool tips of a chart, its own title left out."""
    return [title.text or "" for title in chart.iter(f"{{{SVG}}}title") if title.get("id") is None]
