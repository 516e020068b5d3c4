"""Profiles of made-up activations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from paramscope.result.profile import Profile
from tests.reference import made_up_layers, make_profile

SIZES = {"support": 9, "code": 5, "法律 [red]": 1}


@pytest.fixture(scope="session")
def profile() -> Profile:
    """Four layers and three domains, one of a single sample. No test may change it."""
    return make_profile(made_up_layers(4, SIZES), SIZES, warnings=["a warning"])


@pytest.fixture
def saved(profile: Profile, tmp_path: Path) -> Path:
    """The profile as a run folder."""
    profile.save(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def content() -> Callable[[Path], dict[str, bytes]]:
    """All files below a folder."""

    def read(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    return read
