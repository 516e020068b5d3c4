"""From a domain's source to its texts: rows are rendered, empty and repeated ones left out and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from paramscope.domains.builtin import is_running_text
from paramscope.domains.embedded import read_embedded
from paramscope.domains.hub import read_hub
from paramscope.domains.readers import Row, find_files, read_paragraphs, read_rows
from paramscope.domains.sample import Keep, Text, TextSet
from paramscope.domains.source import Source, parse_source
from paramscope.domains.spec import DomainSpec
from paramscope.domains.template import Template, default_template, field_template, parse_template
from paramscope.errors import UsageError
from paramscope.wording import quoted


def read_texts(spec: DomainSpec) -> TextSet:
    """Read all texts of a domain.

    Args:
        spec: the domain; its source is a SOURCE or a sequence of texts.

    Returns:
        Its texts in the order of the source, and how many rows were left out. The headings and blank lines of
        WikiText are no rows.

    Raises:
        UsageError: when the source does not exist, cannot be read or has no rows, or a setting does not fit it.
    """
    if not isinstance(spec.source, str):
        _refuse(spec, "texts given in Python", "field", "template", "lines")
        texts = _given_texts(spec)
        return _text_set(texts, spec.keep or "start", f"{len(texts)} texts given in Python", spec)
    source = parse_source(spec.source)
    render = _renderer(spec, source)
    label = spec.source
    texts = []
    if source.embedded:
        texts = [render(row) for row in read_embedded(source.embedded)]
    elif source.path is not None:
        files = find_files(source.path)
        if spec.lines and not any(_is_plain(file) for file in files):
            raise UsageError(f"{source.path}: lines is given, but holds for .txt files only; leave it out")
        for file in files:
            texts += _plain_texts(file, spec, source, render) if _is_plain(file) else map(render, read_rows(file))
    elif source.hub is not None:
        _refuse(spec, "a set with fields", "lines")
        repair = "use a local copy: a .jsonl, .csv or .parquet file, or hf:./FOLDER"
        if source.built_in is not None:
            repair = f"use a local file, such as {spec.source}@path/{spec.source}.jsonl"
        rows, read = read_hub(source.hub, repair)
        if read != source.hub.label:
            label = f"{spec.source}: {read}" if source.built_in else read
        texts = [render(row) for row in rows]
    if source.built_in is not None and source.built_in.wikitext:
        texts = [text for text in texts if is_running_text(text.text)]
    keep = spec.keep or (source.built_in.keep if source.built_in else "start")
    return _text_set(texts, keep, label, spec)


def _text_set(texts: Sequence[Text], keep: Keep, source: str, spec: DomainSpec) -> TextSet:
    if not texts:
        raise UsageError(f"domain {spec.name!r}: no rows in {source}; expected one text or more")
    kept: dict[tuple[str, str | None, str | None], Text] = {}
    empty = 0
    for text in texts:
        for part in (text.text, text.target or "", text.foil or ""):
            try:
                part.encode("utf-8")
            except UnicodeEncodeError as error:
                raise UsageError(
                    f"{text.origin}: half of a surrogate pair at character {error.start + 1}; expected Unicode text"
                ) from error
        if text.text.strip():
            kept.setdefault((text.text, text.target, text.foil), text)
        else:
            empty += 1
    return TextSet(tuple(kept.values()), keep, source, len(texts), empty, len(texts) - empty - len(kept))


def _renderer(spec: DomainSpec, source: Source) -> Callable[[Row], Text]:
    """Make the function that renders a row, target and foil included.

    Returns:
        The function.
    """
    if not source.own:
        _refuse(spec, "a data set with a template of its own", "field", "template", "lines")
    template = _own_template(spec)
    target = parse_template(spec.target, "target") if spec.target is not None else None
    foil = parse_template(spec.foil, "foil") if spec.foil is not None else None

    def render(row: Row) -> Text:
        nonlocal template
        if source.built_in is not None:
            text = source.built_in.text(row)
        else:
            # The first row decides which field is meant, for all rows alike.
            template = template or default_template(row)
            text = Text(template.render(row), origin=row.origin)
        return Text(
            text.text,
            text.target if target is None else target.render(row),
            text.foil if foil is None else foil.render(row),
            row.origin,
        )

    return render


def _own_template(spec: DomainSpec) -> Template | None:
    if spec.field is not None:
        return field_template(spec.field)
    if spec.template is None:
        return None
    template = parse_template(spec.template)
    if not template.fields:
        raise UsageError(
            f"template {quoted(spec.template)} has no field, so all texts would be the same; expected {{field}}"
        )
    return template


def _plain_texts(file: Path, spec: DomainSpec, source: Source, render: Callable[[Row], Text]) -> Iterator[Text]:
    _refuse(spec, f"{file}, a text file without fields", "field", "template")
    if source.built_in is not None and not source.built_in.plain:
        raise UsageError(
            f"{file}: a text file without fields; {source.label.partition('@')[0]} needs the fields "
            f"{', '.join(source.built_in.fields)}: give a .jsonl, .csv or .parquet file"
        )
    by_line = spec.lines or (source.built_in is not None and source.built_in.wikitext)
    for origin, paragraph in read_paragraphs(file, lines=by_line):
        if source.built_in is not None:
            yield render(Row(origin, {"text": paragraph}))
        else:
            yield Text(paragraph, _literal(spec.target, "target"), _literal(spec.foil, "foil"), origin)


def _literal(source: str | None, setting: str) -> str | None:
    if source is None:
        return None
    template = parse_template(source, setting)
    if template.fields:
        raise UsageError(
            f"{setting} {quoted(source)} uses the field {template.fields[0]!r}, but the texts have no fields; "
            "expected plain words, with {{ and }} for a brace"
        )
    return template.render(Row("", {}))


def _given_texts(spec: DomainSpec) -> list[Text]:
    target, foil = _literal(spec.target, "target"), _literal(spec.foil, "foil")
    texts = []
    for number, text in enumerate(spec.given, start=1):
        if isinstance(text, Text):
            if spec.target is not None or spec.foil is not None:
                raise UsageError(
                    f"domain {spec.name!r}: target or foil is given beside Text objects; put it into each Text"
                )
            texts.append(Text(text.text, text.target, text.foil, text.origin or f"text {number}"))
        elif isinstance(text, str):
            texts.append(Text(text, target, foil, f"text {number}"))
        else:
            raise UsageError(
                f"domain {spec.name!r}: text {number} is of type {type(text).__name__}; "
                "expected all texts, or all token ids"
            )
    return texts


def _refuse(spec: DomainSpec, what: str, *settings: str) -> None:
    for setting in settings:
        if getattr(spec, setting):
            raise UsageError(
                f"domain {spec.name!r}: {setting} is given, but the source is {what}; leave it out, or give "
                "each domain its own settings in a file (--domains)"
            )


def _is_plain(file: Path) -> bool:
    return file.suffix.lower() == ".txt"
