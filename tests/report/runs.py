"""A made-up run with all that its folder can hold: checks, a tuning pilot, a sharing pilot, a plan."""

from __future__ import annotations

from pathlib import Path

from paramscope.result.documents import write_document
from paramscope.result.profile import Profile
from paramscope.result.shared import DOCUMENT as SHARED
from paramscope.result.tuned import DOCUMENT as TUNED
from paramscope.result.verification import DOCUMENT, TABLES, run_digest
from paramscope.sharing import share
from tests.actions.test_proposals import shared as shared_with_pilot
from tests.actions.test_proposals import tuned, tuning
from tests.reference import made_up_layers, make_profile
from tests.report.checks import EVERY, made_up_checks

NAMES = ["support", "code", "contracts"]
LAYERS = 9


def made_up_run(names: list[str], layers: int, samples: int) -> Profile:
    """A profile of its own for each call."""
    sizes = dict.fromkeys(names, samples)
    return make_profile(made_up_layers(layers, sizes, rows=8, columns=6), sizes, threshold=4e-4)


def full_run(run: Path, names: list[str] | None = None, *, layers: int = LAYERS, samples: int = 4) -> Path:
    """Make the folder.

    Args:
        run: the folder to make.
        names: of the domains.
        layers: of the model.
        samples: of each domain.

    Returns:
        The folder.
    """
    names = NAMES if names is None else names
    made_up_run(names, layers, samples).save(run)
    checks = made_up_checks(names, layers, criteria=EVERY)
    result = checks.result.model_copy(update={"run_sha256": run_digest(run)})
    for name in TABLES:
        getattr(checks, name).to_parquet(run / f"verify-{name}.parquet")
    (run / DOCUMENT).write_text(result.model_dump_json(), encoding="utf-8")
    done = tuned(names[0], {"plan": -0.4, "uniform": -0.3, "last": -0.2}, {"uniform": "better", "last": "better"})
    assert done.pilot
    # A sentence that no pilot would say cannot be said in another language.
    done = done.model_copy(update={"pilot": done.pilot.model_copy(update={"sentence": ""})})
    write_document(run, TUNED, tuning(done).model_copy(update={"run_sha256": run_digest(run)}))
    shared = share(run, rank=1, value=0.01)
    pilot = shared_with_pilot({"adapters": -0.4, "shared": -0.3, "all-adapters": -0.5}, {"shared": "better"}).pilot
    assert pilot
    pilot = pilot.model_copy(update={"sentence": ""})
    write_document(run, SHARED, shared.model_copy(update={"pilot": pilot}))
    return run
