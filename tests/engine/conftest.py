"""One thread a process, for the models are tiny and several processes share the cores; and a steady use of memory."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def steady_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans find the same memory in use; the test process itself may give some back between them, or take more."""
    monkeypatch.setattr("paramscope.planning.memory_in_use", lambda: 512 << 20)
