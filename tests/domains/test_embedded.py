"""The embedded domains are what their card says."""

from __future__ import annotations

import itertools

import pytest

from paramscope.domains import EMBEDDED
from paramscope.domains.embedded import read_embedded
from paramscope.errors import UsageError
from paramscope.models.embedded import embedded_model

TEXTS = {name: [str(row.fields["text"]) for row in read_embedded(name)] for name in EMBEDDED}


def test_six_domains_of_at_least_48_texts() -> None:
    assert len(TEXTS) == 6
    assert min(len(texts) for texts in TEXTS.values()) >= 48


def test_no_two_texts_begin_alike() -> None:
    beginnings = [" ".join(text.split()[:5]).lower() for text in itertools.chain(*TEXTS.values())]
    assert len(set(beginnings)) == len(beginnings)


def test_texts_have_20_to_120_tokens() -> None:
    try:
        file = embedded_model()
    except UsageError as error:
        pytest.skip(f"the embedded model's tokenizer is not there: {error}")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    lengths = [len(tokenizer(text)["input_ids"]) for text in itertools.chain(*TEXTS.values())]
    assert min(lengths) >= 20
    assert max(lengths) <= 120
