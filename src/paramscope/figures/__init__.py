"""Figures of a run for a paper, as SVG and PNG files: those of Wang et al., and some beyond. Words are English."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from paramscope.errors import UsageError
from paramscope.result.profile import Profile
from paramscope.result.shared import Shared, read_shared
from paramscope.result.verification import Checks, load_checks

__all__ = ["write_figures", "write_run_figures"]


def write_figures(
    profile: Profile,
    checks: Checks | None,
    shared: Shared | None,
    folder: Path,
    tell: Callable[[str], None] | None = None,
) -> list[Path]:
    """Draw a run and write ``NAME.svg`` and ``NAME.png`` for each figure, and ``captions.md``.

    Args:
        profile: the run.
        checks: of the run, where it was verified.
        shared: what its domains can share, where that was told.
        folder: to write into; made where it is missing. Files of other names stay as they are.
        tell: called with one line for each figure that is left out, and for each name that no font can show.

    Returns:
        The files, in the order of the figures.

    Raises:
        UsageError: matplotlib is not installed, or the folder cannot be written to.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("figures need matplotlib, which is not installed; install it: pip install 'paramscope[plots]'")
    from paramscope.figures.album import draw_figures
    from paramscope.figures.files import check_folder, write_album

    check_folder(folder)
    return write_album(draw_figures(profile, checks, shared), folder, tell)


def write_run_figures(run: Path, folder: Path, tell: Callable[[str], None] | None = None) -> list[Path]:
    """``write_figures`` of all that a run's folder holds.

    Args:
        run: its folder.
        folder: see ``write_figures``.
        tell: likewise.

    Returns:
        The files.

    Raises:
        UsageError: see ``write_figures``; or there is no run, or it is damaged.
    """
    return write_figures(Profile.load(run), load_checks(run), read_shared(run), folder, tell)
