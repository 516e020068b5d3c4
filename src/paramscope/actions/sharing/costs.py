"""What it takes to serve K domains: one model for all, a base with parts of each domain's own, or a model each.

Training T tokens takes 2 P T operations forward (P parameters, a multiplication and an addition each), 2 P T backward
to the inputs of what lies between the output and the first trained layer, and 2 P T for the gradients of the weights
that are trained: 6 P T in all where everything is (Kaplan et al. 2020, section 2.1). Serving takes the first of these.
All of a model's parameters are counted, also of experts that a token does not reach, so operations are upper bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

from paramscope.actions.sharing.figures import figure
from paramscope.actions.sharing.prices import Prices
from paramscope.actions.sharing.shape import Shape
from paramscope.result.shared import Figure, LayerRecord, OptionRecord

UNTUNED, SHARED, ADAPTERS, EVERYWHERE, LAYERS, COPIES = OPTIONS = (
    "untuned",
    "shared",
    "adapters",
    "all-adapters",
    "layers",
    "copies",
)
"""Names of the options; the first is what the others are compared with."""


def cost_options(
    shape: Shape, layers: list[LayerRecord], own: list[int], *, domains: int, rank: int, prices: Prices
) -> list[OptionRecord]:
    """What every option takes.

    Args:
        shape: of the model.
        layers: of the run.
        own: layers that are the domains' own where some are.
        domains: K.
        rank: of LoRA adapters.
        prices: and other assumptions.

    Returns:
        The options, in the order of ``OPTIONS``.
    """
    count, last = len(own), len(layers)
    everywhere = sum(record.adapter_parameters for record in layers)
    adapters = sum(layers[layer].adapter_parameters for layer in own)
    weights = sum(layers[layer].parameters for layer in own)
    # From the first own layer to the output; what is outside the layers counts, since the head is in it.
    through = shape.parameters - sum(record.parameters for record in layers if record.layer < min(own))
    whole = {"parameters": shape.parameters, "bytes_per_parameter": shape.bytes_per_parameter}
    parts = {"domains": domains} | whole
    told = f"{count} of {last} layers"
    costs = _Costs(shape, domains, prices)
    base = "parameters * bytes_per_parameter"
    storage = figure("storage", "bytes", base, **whole)

    def adapter_storage(parameters: int) -> Figure:
        return figure(
            "storage",
            "bytes",
            f"{base} + domains * adapter_parameters * adapter_bytes_per_parameter",
            **parts,
            adapter_parameters=parameters,
            adapter_bytes_per_parameter=prices.adapter_bytes_per_parameter,
        )

    return [
        costs.option(UNTUNED, "the model as it is, for all", [], storage),
        costs.option(
            SHARED,
            f"one model for all, tuned once on all domains' texts (one adapter of rank {rank}, merged)",
            [],
            storage,
            tuned=1,
            trained=everywhere,
            through=shape.parameters,
            added=everywhere,
            setup_days=prices.setup_days_shared,
        ),
        costs.option(
            ADAPTERS,
            f"one model, its other layers tuned once on all domains' texts (adapter of rank {rank}, merged), and "
            f"{domains} adapters of rank {rank} on {told}",
            own,
            adapter_storage(adapters),
            tuned=domains,
            trained=everywhere,
            through=shape.parameters,
            added=everywhere,
            served=adapters,
            setup_days=prices.setup_days_adapters,
        ),
        costs.option(
            EVERYWHERE,
            f"one base and {domains} adapters of rank {rank} on all layers",
            [record.layer for record in layers],
            adapter_storage(everywhere),
            tuned=domains,
            trained=everywhere,
            through=shape.parameters,
            added=everywhere,
            served=everywhere,
            setup_days=prices.setup_days_adapters,
        ),
        costs.option(
            LAYERS,
            f"one base and {domains} copies of {told}",
            own,
            figure(
                "storage",
                "bytes",
                "(parameters + (domains - 1) * own_parameters) * bytes_per_parameter",
                **parts,
                own_parameters=weights,
            ),
            tuned=domains,
            trained=weights,
            through=through,
            setup_days=prices.setup_days_layers,
        ),
        costs.option(
            COPIES,
            f"{domains} whole models",
            [record.layer for record in layers],
            figure("storage", "bytes", f"domains * {base}", **parts),
            tuned=domains,
            trained=shape.parameters,
            through=shape.parameters,
            setup_days=prices.setup_days_copies,
        ),
    ]


@dataclass(frozen=True)
class _Costs:
    """What all options are reckoned with."""

    shape: Shape
    domains: int
    prices: Prices

    def option(
        self,
        name: str,
        text: str,
        layers: list[int],
        storage: Figure,
        *,
        tuned: int = 0,
        trained: int = 0,
        through: int = 0,
        added: int = 0,
        served: int = 0,
        setup_days: float = 0.0,
    ) -> OptionRecord:
        """All figures of an option.

        Args:
            name: of the option.
            text: in words.
            layers: that are the domains' own.
            storage: of all its weights.
            tuned: parts that are tuned.
            trained: parameters that a text trains; 0 where nothing is trained.
            through: parameters that the gradient to the inputs passes.
            added: parameters that training adds to the model.
            served: parameters that serving adds to the model for a token.
            setup_days: of an engineer, once.

        Returns:
            The option.
        """
        prices = self.prices
        requests = self._requests()
        memory = figure("serving memory", "bytes", "storage + requests", storage=storage, requests=requests)
        compute = self._training(trained, through, added)
        hours = figure(
            "training time",
            "GPU hours",
            "operations / (gpu_tflops * 1e12 * training_utilisation * 3600)",
            operations=compute,
            gpu_tflops=prices.gpu_tflops,
            training_utilisation=prices.training_utilisation,
        )
        busy = figure(
            "GPUs kept busy",
            "GPUs",
            "requests_per_month * peak_factor * tokens_per_request * 2 * (parameters + adapter_parameters)"
            " / (gpu_tflops * 1e12 * serving_utilisation * 730 * 3600)",
            requests_per_month=prices.requests_per_month,
            peak_factor=prices.peak_factor,
            tokens_per_request=prices.tokens_per_request,
            parameters=self.shape.parameters,
            adapter_parameters=served,
            gpu_tflops=prices.gpu_tflops,
            serving_utilisation=prices.serving_utilisation,
        )
        gpus = figure(
            "GPUs",
            "GPUs",
            "ceil(max(serving_memory / (gpu_memory_gb * 1e9 * gpu_memory_usable), busy))",
            serving_memory=memory,
            gpu_memory_gb=prices.gpu_memory_gb,
            gpu_memory_usable=prices.gpu_memory_usable,
            busy=busy,
        )
        once = figure(
            "money once",
            prices.currency,
            "training_hours * gpu_hour + setup_days * engineer_day",
            training_hours=hours,
            gpu_hour=prices.gpu_hour,
            setup_days=setup_days,
            engineer_day=prices.engineer_day,
        )
        month = figure(
            "money per month",
            prices.currency,
            "gpus * 730 * gpu_hour + storage / 1e9 * storage_gb_month"
            " + tuned_parts * upkeep_days_per_part_month * engineer_day",
            gpus=gpus,
            gpu_hour=prices.gpu_hour,
            storage=storage,
            storage_gb_month=prices.storage_gb_month,
            tuned_parts=tuned,
            upkeep_days_per_part_month=prices.upkeep_days_per_part_month,
            engineer_day=prices.engineer_day,
        )
        load = figure(
            "load time",
            "s",
            "storage / (load_gb_per_second * 1e9)",
            storage=storage,
            load_gb_per_second=prices.load_gb_per_second,
        )
        figures = [storage, load, requests, memory, compute, hours, busy, gpus, once, month]
        return OptionRecord(name=name, text=text, layers=layers, figures=figures)

    def _requests(self) -> Figure:
        """Memory of the requests that are served at once: their keys and values, and one map's inputs and outputs."""
        return figure(
            "memory of requests",
            "bytes",
            "concurrent_requests * tokens_per_request * (cache_values + widest_map) * activation_bytes",
            concurrent_requests=self.prices.concurrent_requests,
            tokens_per_request=self.prices.tokens_per_request,
            cache_values=self.shape.cache_values or 0,
            widest_map=self.shape.widest,
            activation_bytes=self.prices.activation_bytes,
        )

    def _training(self, trained: int, through: int, added: int) -> Figure:
        """Operations of training; none where nothing is trained."""
        if not trained:
            return figure("training compute", "operations", "0")
        return figure(
            "training compute",
            "operations",
            "domains * training_tokens_per_domain"
            " * (2 * (parameters + adapter_parameters) + 2 * (passed + adapter_parameters) + 2 * trained)",
            domains=self.domains,
            training_tokens_per_domain=self.prices.training_tokens_per_domain,
            parameters=self.shape.parameters,
            passed=through,
            trained=trained,
            adapter_parameters=added,
        )
