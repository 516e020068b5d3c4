"""From the tables of the checks to verdicts on what a profile claims; needs neither the model nor torch.

Every number is an estimate with a 95 % interval. A verdict compares the interval with a threshold: all of it on the
claim's side is ``supported``, all of it on the other side ``not supported``, else ``undecided``, with about how many
texts (or weights, or parts) would do.
"""

from paramscope.causal.verdicts.breaking import BREAKS, breaking, told_breaking
from paramscope.causal.verdicts.parts import part_correlations, part_verdicts
from paramscope.causal.verdicts.sets import SPECIFIC_CRITERIA, SetDamages, set_verdicts
from paramscope.causal.verdicts.singles import Fidelity, fidelity, fidelity_verdicts
from paramscope.causal.verdicts.told import PART_KINDS, Told, told_claim, told_part, told_place, told_verdict
from paramscope.causal.verdicts.verdict import LEAST_COUNT, Verdict

__all__ = [
    "BREAKS",
    "LEAST_COUNT",
    "PART_KINDS",
    "SPECIFIC_CRITERIA",
    "Fidelity",
    "SetDamages",
    "Told",
    "Verdict",
    "breaking",
    "fidelity",
    "fidelity_verdicts",
    "part_correlations",
    "part_verdicts",
    "set_verdicts",
    "told_breaking",
    "told_claim",
    "told_part",
    "told_place",
    "told_verdict",
]
