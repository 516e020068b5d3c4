"""What it takes to serve K domains: one model for all, a base with parts of each domain's own, or a model each.

Training T tokens takes 2 P T operations forward (P parameters, a multiplication and an addition each), 2 P T backward
to the inputs of what lies between the output and the first trained layer, and 2 P T for the gradients of the weights
that are trained: 6 P T in all where everything is (Kaplan et al. 2020, section 2.1). Serving takes the first of these.
All of a model's parameters are counted, also of experts that a token does not reach, so operations are upper bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paramscope.actions.sharing.figures import figure
from paramscope.actions.sharing.prices import Prices
from paramscope.actions.sharing.shape import Shape
from paramscope.language import _, again, mark
from paramscope.result.shared import Figure, LayerRecord, OptionRecord, Shared

UNTUNED, SHARED, ADAPTERS, EVERYWHERE, LAYERS, COPIES = OPTIONS = (
    mark("untuned"),
    mark("shared"),
    mark("adapters"),
    mark("all-adapters"),
    mark("layers"),
    mark("copies"),
)
"""Names of the options; the first is what the others are compared with."""


_TEXTS: Mapping[str, str] = {
    UNTUNED: mark("the model as it is, for all"),
    SHARED: mark("one model for all, tuned once on all domains' texts (one adapter of rank %(rank)s, merged)"),
    ADAPTERS: mark(
        "one model, its other layers tuned once on all domains' texts (adapter of rank %(rank)s, merged), and "
        "%(domains)s adapters of rank %(rank)s on %(own)s of %(layers)s layers"
    ),
    EVERYWHERE: mark("one base and %(domains)s adapters of rank %(rank)s on all layers"),
    LAYERS: mark("one base and %(domains)s copies of %(own)s of %(layers)s layers"),
    COPIES: mark("%(domains)s whole models"),
}


def told_option(option: OptionRecord, shared: Shared) -> str:
    """What an option of a document is, in the language that is spoken.

    Args:
        option: the option.
        shared: the document.

    Returns:
        The words; those of the document where it is of another version.
    """
    rank, domains, layers = shared.arguments.get("rank"), len(shared.domains), len(shared.layers)
    message = _TEXTS.get(option.name)
    return again(
        option.text,
        lambda: [_(message, rank=rank, domains=domains, own=len(option.layers), layers=layers)] if message else [],
    )


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
    everywhere = sum(record.adapter_parameters for record in layers)
    adapters = sum(layers[layer].adapter_parameters for layer in own)
    weights = sum(layers[layer].parameters for layer in own)
    # From the first own layer to the output; what is outside the layers counts, since the head is in it.
    through = shape.parameters - sum(record.parameters for record in layers if record.layer < min(own))
    measured = {"bytes_per_parameter": shape.bytes_per_parameter}
    whole = {"parameters": shape.parameters} | (measured if shape.measured else prices.named(*measured))
    parts = {"domains": domains} | whole
    places = {"rank": rank, "domains": domains, "own": len(own), "layers": len(layers)}
    texts = {name: _(message, **places) for name, message in _TEXTS.items()}
    costs = _Costs(shape, domains, prices, texts)
    base = "parameters * bytes_per_parameter"
    storage = figure(mark("storage"), mark("bytes"), base, **whole)

    def adapter_storage(parameters: int) -> Figure:
        return figure(
            mark("storage"),
            mark("bytes"),
            f"{base} + domains * adapter_parameters * adapter_bytes_per_parameter",
            **parts,
            adapter_parameters=parameters,
            **prices.named("adapter_bytes_per_parameter"),
        )

    return [
        costs.option(UNTUNED, [], storage),
        costs.option(
            SHARED,
            [],
            storage,
            tuned=1,
            trained=everywhere,
            through=shape.parameters,
            added=everywhere,
            setup_days="setup_days_shared",
        ),
        costs.option(
            ADAPTERS,
            own,
            adapter_storage(adapters),
            tuned=domains,
            trained=everywhere,
            through=shape.parameters,
            added=everywhere,
            served=adapters,
            setup_days="setup_days_adapters",
        ),
        costs.option(
            EVERYWHERE,
            [record.layer for record in layers],
            adapter_storage(everywhere),
            tuned=domains,
            trained=everywhere,
            through=shape.parameters,
            added=everywhere,
            served=everywhere,
            setup_days="setup_days_adapters",
        ),
        costs.option(
            LAYERS,
            own,
            figure(
                mark("storage"),
                mark("bytes"),
                "(parameters + (domains - 1) * own_parameters) * bytes_per_parameter",
                **parts,
                own_parameters=weights,
            ),
            tuned=domains,
            trained=weights,
            through=through,
            setup_days="setup_days_layers",
        ),
        costs.option(
            COPIES,
            [record.layer for record in layers],
            figure(mark("storage"), mark("bytes"), f"domains * {base}", **parts),
            tuned=domains,
            trained=shape.parameters,
            through=shape.parameters,
            setup_days="setup_days_copies",
        ),
    ]


@dataclass(frozen=True)
class _Costs:
    """What all options are reckoned with."""

    shape: Shape
    domains: int
    prices: Prices
    texts: Mapping[str, str]

    def option(
        self,
        name: str,
        layers: list[int],
        storage: Figure,
        *,
        tuned: int = 0,
        trained: int = 0,
        through: int = 0,
        added: int = 0,
        served: int = 0,
        setup_days: str | None = None,
    ) -> OptionRecord:
        """All figures of an option.

        Args:
            name: of the option.
            layers: that are the domains' own.
            storage: of all its weights.
            tuned: parts that are tuned.
            trained: parameters that a text trains; 0 where nothing is trained.
            through: parameters that the gradient to the inputs passes.
            added: parameters that training adds to the model.
            served: parameters that serving adds to the model for a token.
            setup_days: the price that tells those of an engineer, once; None for none.

        Returns:
            The option.
        """
        prices = self.prices
        requests = self._requests()
        memory = figure(mark("serving memory"), mark("bytes"), "storage + requests", storage=storage, requests=requests)
        compute = self._training(trained, through, added)
        hours = figure(
            mark("training time"),
            mark("GPU hours"),
            "operations / (gpu_tflops * 1e12 * training_utilisation * 3600)",
            operations=compute,
            **prices.named("gpu_tflops", "training_utilisation"),
        )
        busy = figure(
            mark("GPUs kept busy"),
            mark("GPUs"),
            "requests_per_month * peak_factor * tokens_per_request * 2 * (parameters + adapter_parameters)"
            " / (gpu_tflops * 1e12 * serving_utilisation * 730 * 3600)",
            parameters=self.shape.parameters,
            adapter_parameters=served,
            **prices.named("requests_per_month", "peak_factor", "tokens_per_request"),
            **prices.named("gpu_tflops", "serving_utilisation"),
        )
        gpus = figure(
            mark("GPUs"),
            mark("GPUs"),
            "ceil(max(serving_memory / (gpu_memory_gb * 1e9 * gpu_memory_usable), busy))",
            serving_memory=memory,
            busy=busy,
            **prices.named("gpu_memory_gb", "gpu_memory_usable"),
        )
        once = figure(
            mark("money once"),
            prices.currency,
            "training_hours * gpu_hour + setup_days * engineer_day",
            training_hours=hours,
            setup_days=prices.named(setup_days)[setup_days] if setup_days else 0,
            **prices.named("gpu_hour", "engineer_day"),
        )
        month = figure(
            mark("money per month"),
            prices.currency,
            "gpus * 730 * gpu_hour + storage / 1e9 * storage_gb_month"
            " + tuned_parts * upkeep_days_per_part_month * engineer_day",
            gpus=gpus,
            storage=storage,
            tuned_parts=tuned,
            **prices.named("gpu_hour", "storage_gb_month", "upkeep_days_per_part_month", "engineer_day"),
        )
        load = figure(
            mark("load time"),
            mark("s"),
            "storage / (load_gb_per_second * 1e9)",
            storage=storage,
            **prices.named("load_gb_per_second"),
        )
        figures = [storage, load, requests, memory, compute, hours, busy, gpus, once, month]
        return OptionRecord(name=name, text=self.texts[name], layers=layers, figures=figures)

    def _requests(self) -> Figure:
        """Memory of the requests that are served at once: their keys and values, and one map's inputs and outputs."""
        return figure(
            mark("memory of requests"),
            mark("bytes"),
            "concurrent_requests * tokens_per_request * (cache_values + widest_map) * activation_bytes",
            cache_values=self.shape.cache_values or 0,
            widest_map=self.shape.widest,
            **self.prices.named("concurrent_requests", "tokens_per_request", "activation_bytes"),
        )

    def _training(self, trained: int, through: int, added: int) -> Figure:
        """Operations of training; none where nothing is trained."""
        if not trained:
            return figure(mark("training compute"), mark("operations"), "0")
        return figure(
            mark("training compute"),
            mark("operations"),
            "domains * training_tokens_per_domain"
            " * (2 * (parameters + adapter_parameters) + 2 * (passed + adapter_parameters) + 2 * trained)",
            domains=self.domains,
            parameters=self.shape.parameters,
            passed=through,
            trained=trained,
            adapter_parameters=added,
            **self.prices.named("training_tokens_per_domain"),
        )
