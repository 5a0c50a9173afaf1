"""Says once when a network learns from one loss, or from one span of noise levels, almost alone.

Clipping, Adam and Muon keep only the direction of a gradient: what has nearly all of its norm decides alone, and what
the other losses and levels ask for is not learned. Shares are those of `inrkit.core.gradient`.
"""

from collections.abc import Mapping
from typing import final

import attrs

from inrkit.config.phases import ScheduledPhase
from inrkit.core.gradient import gradient_shares

ALONE = 0.95
"""A share of the gradient above which the rest hardly counts."""
LONG = 5
"""Measurements in a row that are long."""


@final
@attrs.define
class ShareWatch:
    """Counts for how long one loss or one span of noise levels has had nearly all of the gradient."""

    phase: int = -1
    times: dict[str, int] = attrs.field(factory=dict)
    """Measurements in a row, by what had nearly all of the gradient in them."""

    def see(self, phase: ScheduledPhase, norms: Mapping[str, float]) -> str:
        """What to say, if anything, of the norms of the gradient's parts by "LOSS/LEVELS"."""
        if phase.number != self.phase:
            self.phase, self.times = phase.number, {}
        shares = gradient_shares(norms)
        found: dict[str, float] = {}
        for sums, kind in ((_sums(shares, 0), "the loss '{}'"), (_sums(shares, 2), "noise levels {}")):
            if len(sums) > 1:
                found |= {kind.format(name): share for name, share in sums.items() if share > ALONE}
        # What was said stays counted, so that it is not said again.
        self.times = {n: count for n, count in self.times.items() if count > LONG or n in found}
        for name, share in found.items():
            self.times[name] = self.times.get(name, 0) + 1
            if self.times[name] == LONG:
                self.times[name] += 1
                return (
                    f"{share:.1%} of the gradient comes from {name}, and so it was in {LONG} measurements in a row: "
                    f"the network learns little else; {_advice(phase, name)}"
                )
        return ""


def _sums(shares: Mapping[str, float], part: int) -> dict[str, float]:
    """Shares of losses, or of spans of noise levels."""
    sums: dict[str, float] = {}
    for name, share in shares.items():
        key = name.partition("/")[part]
        sums[key] = sums.get(key, 0.0) + share
    return sums


def _advice(phase: ScheduledPhase, name: str) -> str:
    """The settings of this objective that move shares from one loss, or one noise level, to others."""
    start = ("lambda_",) if name.startswith("the loss") else ("weight", "p_mean")
    settings = [field.name for field in attrs.fields(type(phase.objective)) if field.name.startswith(start)]
    known = [f"'{setting}' (now {getattr(phase.objective, setting)})" for setting in settings]
    return f"change {' or '.join(known)} of the objective" if known else "another objective may weigh it otherwise"
