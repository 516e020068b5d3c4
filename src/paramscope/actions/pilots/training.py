"""One training of some adapters with transformers' trainer; the model is given back as it was."""

from __future__ import annotations

import contextlib
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from paramscope.actions.pilots.lora import adapters_of, inject, lora_config
from paramscope.errors import RunError, UsageError
from paramscope.models.running import evaluation_mode

Tokens = Sequence[int]

_IGNORED = -100
"""Label of a position that has no target."""


@contextmanager
def kept(model: nn.Module) -> Iterator[None]:
    """Within it a model may be changed; afterwards its modules, flags, gradients and configuration are as before.

    The weights themselves are not copied: whoever trains must train others, such as adapters.

    Args:
        model: any model.

    Yields:
        Nothing.
    """
    states = [(vars(module), dict(vars(module)), dict(module._modules)) for module in model.modules()]
    parameters = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    config = getattr(model, "config", None)
    settings = dict(vars(config)) if config is not None else {}
    for parameter, _, _ in parameters:
        parameter.grad = None
    try:
        yield
    finally:
        for state, former, children in states:
            state.clear()
            state.update(former)
            state["_modules"].clear()
            state["_modules"].update(children)
        for parameter, wanting, gradient in parameters:
            parameter.requires_grad_(wanting)
            parameter.grad = gradient
        if config is not None:
            vars(config).clear()
            vars(config).update(settings)


@contextmanager
def adapted(model: nn.Module, ranks: Mapping[str, int], seed: int) -> Iterator[None]:
    """Within it a model has adapters, and they alone are trained; afterwards it is as before, bit for bit.

    Args:
        model: a causal language model.
        ranks: by full name of the module.
        seed: of the adapters' first values, and of all chance within.

    Yields:
        Nothing.

    Raises:
        RunError: PEFT adapts other modules, or with other ranks.
    """
    with kept(model), seeded(seed, next(model.parameters()).device):
        inject(model, lora_config(ranks, model))
        check_adapted({name: rank for name, (rank, _, _) in adapters_of(model).items()}, ranks)
        let_train(model)
        yield


def check_adapted(found: Mapping[str, int], wanted: Mapping[str, int]) -> None:
    """Refuse to train other adapters than those that are wanted.

    Raises:
        RunError: PEFT adapts other modules, or with other ranks.
    """
    if dict(found) != dict(wanted):
        raise RunError(f"PEFT adapts {len(found)} modules of {len(wanted)}, or with other ranks")


def let_train(model: nn.Module) -> None:
    """Say that a model has adapters, as transformers' own ``add_adapter`` does.

    Else the trainer refuses models whose files were quantised (GGUF), although their weights are plain by now.
    """
    vars(model)["_hf_peft_config_loaded"] = True


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within it chance follows a seed; afterwards all generators go on where they were."""
    states = random.getstate(), np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def train(
    model: nn.Module,
    texts: Sequence[Tokens],
    *,
    batch: int,
    rate: float,
    seed: int,
    before_step: Callable[[int], object] = lambda _: None,
    progress: Callable[[int], object] = lambda _: None,
) -> tuple[float, float]:
    """Train whatever of a model wants gradients, once over some texts in their order.

    AdamW without weight decay, a rate that rises over a tenth of the steps and then falls to zero, gradients clipped at
    a norm of 1. The loss is the mean over a batch's tokens, each text's first left out.

    Args:
        model: within ``adapted``.
        texts: token ids; a multiple of the batch.
        batch: texts a step.
        rate: the largest learning rate.
        seed: of the trainer.
        before_step: told the number of each step before it is made, from 0.
        progress: told how many steps more are done.

    Returns:
        The mean loss over the steps (nats per token; NaN where it diverged), and the seconds that training took.
    """
    device = next(model.parameters()).device
    steps = len(texts) // batch
    with tempfile.TemporaryDirectory(prefix="paramscope-tune-") as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=batch,
            learning_rate=rate,
            lr_scheduler_type="linear",
            warmup_steps=steps // 10,
            weight_decay=0.0,
            max_grad_norm=1.0,
            optim="adamw_torch",
            seed=seed,
            train_sampling_strategy="sequential",
            remove_unused_columns=False,
            logging_strategy="no",
            logging_nan_inf_filter=False,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=device.type == "cpu",
            dataloader_pin_memory=False,
        )
        if device.type == "cuda":
            arguments._n_gpu = 1  # of several GPUs, the trainer would put a copy of the model on each
        trainer = _Trainer(
            model=model,
            args=arguments,
            train_dataset=_Texts(texts),
            data_collator=lambda rows: padded(rows, torch.device("cpu")),
            callbacks=[_Steps(before_step, progress)],
        )
        trainer.remove_callback(PrinterCallback)  # which prints on stdout
        started = time.perf_counter()
        result = trainer.train()
        seconds = time.perf_counter() - started
    loss = float(result.training_loss)
    return (loss if np.isfinite(loss) else float("nan")), seconds


def check_first_gpu(device: torch.device) -> None:
    """Refuse a model on a GPU that the trainer would not take.

    Raises:
        UsageError: it is on another GPU than the first.
    """
    if device.type == "cuda" and device.index:
        raise UsageError(
            f"--device {device}: the trainer takes the first GPU; set CUDA_VISIBLE_DEVICES={device.index} and leave "
            "--device out"
        )


class _Texts(torch.utils.data.Dataset[Tokens]):
    """Texts in the order in which they are trained on."""

    def __init__(self, texts: Sequence[Tokens]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, place: int) -> Tokens:
        return self._texts[place]


class _Steps(TrainerCallback):
    """Tells how far the training is."""

    def __init__(self, before_step: Callable[[int], object], progress: Callable[[int], object]) -> None:
        self._before_step, self._progress = before_step, progress

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._before_step(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress(1)


class _Trainer(Trainer):
    """Transformers' trainer with the loss that the tests measure, the same for every architecture."""

    loss_is_scaled_for_ga = False

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Mean negative log-likelihood of a batch's tokens, without what a model adds to it (routers' balance)."""
        logits = model(input_ids=inputs["input_ids"]).logits
        losses, labels = token_losses(logits, inputs["labels"])
        return losses.sum() / (labels != _IGNORED).sum()


def text_losses(model: nn.Module, texts: Sequence[Tokens], *, batch: int) -> NDArray[np.float64]:
    """The negative log-likelihood of each text.

    Args:
        model: a causal language model.
        texts: token ids, two or more each.
        batch: texts that go through the model together.

    Returns:
        ``[N]``, mean over a text's tokens after the first, in nats.
    """
    device = next(model.parameters()).device
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    found = np.empty(len(texts))
    with torch.no_grad(), evaluation_mode(model):
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            inputs = padded([texts[i] for i in chosen], device)
            losses, labels = token_losses(model(input_ids=inputs["input_ids"]).logits, inputs["labels"])
            means = losses.double().sum(1) / (labels != _IGNORED).sum(1)
            found[chosen] = means.cpu().numpy()
    return found


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``[B, T - 1]`` losses of the tokens after the first, in float32 (float64 stays), and their labels."""
    logits, labels = logits[:, :-1], labels[:, 1:].to(logits.device)
    wide = logits if logits.dtype == torch.float64 else logits.float()
    return functional.cross_entropy(wide.transpose(1, 2), labels, reduction="none", ignore_index=_IGNORED), labels


def padded(rows: Sequence[Tokens], device: torch.device) -> dict[str, torch.Tensor]:
    """Texts side by side, padded behind: a causal model's real positions never see that, so no mask is needed."""
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full_like(ids, _IGNORED)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = labels[place, : len(row)] = torch.tensor(row)
    return {"input_ids": ids.to(device), "labels": labels.to(device)}


class PeakMemory:
    """The most memory that was in use since it was made: of the GPU, or of the process."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        # Linux sets the peak to what is in use now; elsewhere it is the peak since the process began.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

    def read(self) -> int:
        """In bytes."""
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        try:
            status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
        except (OSError, StopIteration):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return peak if sys.platform == "darwin" else peak << 10
