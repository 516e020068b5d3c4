"""Domains: the texts of one kind of input, from a file, the hub, a known data set or Python, down to token ids.

``parse_domain`` and ``load_specs`` make a ``DomainSpec`` of what the user says, ``draw_domain`` makes a ``Domain`` of
it: its samples, and what was left out on the way.
"""

from paramscope.domains.builtin import BUILT_INS
from paramscope.domains.draw import draw_domain, order_by_draw
from paramscope.domains.embedded import EMBEDDED
from paramscope.domains.sample import Domain, Keep, Sample, Text, TextSet
from paramscope.domains.spec import DomainSpec, check_names, load_specs, parse_domain
from paramscope.domains.texts import read_texts

__all__ = [
    "BUILT_INS",
    "EMBEDDED",
    "Domain",
    "DomainSpec",
    "Keep",
    "Sample",
    "Text",
    "TextSet",
    "check_names",
    "draw_domain",
    "load_specs",
    "order_by_draw",
    "parse_domain",
    "read_texts",
]
