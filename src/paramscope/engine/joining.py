"""Join the team of processes that torchrun has started, and leave it."""

from __future__ import annotations

import contextlib
import datetime
import signal
from collections.abc import Iterator

import torch
import torch.distributed as dist

from paramscope.engine.distributed import Team
from paramscope.errors import PeerError, UsageError
from paramscope.launch import Launch, launch

TIMEOUT = datetime.timedelta(hours=1)
"""Longest wait for the others. A process that dies is noticed at once; this is for a machine that falls silent, and it
must exceed the time that opening the model or one block of all samples takes."""


class _Ended(KeyboardInterrupt):
    """The launcher ends this process."""


@contextlib.contextmanager
def launched(device: str) -> Iterator[Team]:
    """The team that torchrun has started, or this process by itself.

    On an error, all others hear of it at their next step and end too.

    Args:
        device: as the user gave it.

    Yields:
        The team.

    Raises:
        UsageError: there is no device for each process.
        PeerError: another process ended, or the launcher ends this one.
    """
    place = launch()
    if place.size == 1:
        yield Team()
        return
    before = signal.signal(signal.SIGTERM, _end)
    team = Team(place.rank, place.size)
    try:
        _join(place, team, device)
        yield team
    except BaseException as error:
        team.part(error)
        if isinstance(error, _Ended):
            raise PeerError(
                f"the launcher ended this process, number {place.rank} of {place.size}: another one died, or the whole "
                "run was stopped"
            ) from error
        raise
    dist.destroy_process_group()
    signal.signal(signal.SIGTERM, before)


def _join(place: Launch, team: Team, device: str) -> None:
    """Open the process group, then choose the device, so that all hear of it where there is none."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() and device != "cpu" else 0
    backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
    with team.wire():
        dist.init_process_group(backend, rank=place.rank, world_size=place.size, timeout=TIMEOUT)
    if gpus:
        team.attempt(lambda: _check_device(device, place, gpus))
        torch.cuda.set_device(place.local)
        team.device = torch.device("cuda", place.local)


def _check_device(device: str, place: Launch, gpus: int) -> None:
    """Refuse a device that not every process can have for itself.

    Raises:
        UsageError: it cannot.
    """
    if device.startswith("cuda:"):
        raise UsageError(
            f"--device {device} is one device for {place.size} processes; give cuda, and each takes its own"
        )
    if place.local >= gpus:
        raise UsageError(f"there are {gpus} GPUs and more processes; start one a GPU, or give --device cpu")


def _end(*_: object) -> None:
    raise _Ended
