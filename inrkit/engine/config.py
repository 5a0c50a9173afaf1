"""What can be set for a run. Every field is a config key; what a modality, an objective or a read-out can be told
stands in tables of their own and is checked by their own classes."""

import math
from collections.abc import Callable
from typing import Any, Literal, final

import attrs

from inrkit.errors import UsageError


def _field(help: str, default: Any = attrs.NOTHING, *, check: Any = None) -> Any:
    return attrs.field(default=default, metadata={"help": help}, validator=[] if check is None else check)


def _bounded(what: str, holds: Callable[[float], bool]) -> Any:
    def check(instance: Any, attribute: Any, value: float) -> None:
        if not math.isfinite(value) or not holds(value):
            raise UsageError(f"'{attribute.name}' must be {what} (got {value})")

    return check


_POSITIVE = _bounded("> 0", lambda value: value > 0)
_AT_LEAST_0 = _bounded(">= 0", lambda value: value >= 0)
_AT_LEAST_1 = _bounded("at least 1", lambda value: value >= 1)
_SHARE = _bounded("from 0 to 1", lambda value: 0 <= value <= 1)
_BELOW_1 = _bounded("from 0 to less than 1", lambda value: 0 <= value < 1)


@final
@attrs.frozen
class Phase:
    """A part of a run: its objective, its share of the steps, and which weights train."""

    objective: str = _field("what is minimised")
    share: float = _field("share of the run's steps", check=_SHARE)
    trains: Literal["all", "function", "denoiser", "decoder"] = _field(
        "whose weights train; decoder: all but the encoder, which is skipped", "all"
    )
    options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the objective"})


@final
@attrs.frozen(kw_only=True)
class RunConfig:
    """All that decides what a run computes; a run directory holds it, fully resolved, as `config.toml`."""

    modality: str = _field("kind of signal")
    preset: str | None = _field("preset that the other values started from", None)
    data: str | None = _field("store of signals; none for the embedded ones", None)
    init: str | None = _field("run directory or checkpoint to take the first weights from", None)

    objective: str = _field("what is minimised: inrct, ect, ict, ct, cm-func, cd, diffusion, reconstruction", "inrct")
    readout: str = _field("how the INR is read: direct, two-headed, literal", "direct")
    steps: int = _field("training steps", 1000, check=_AT_LEAST_1)
    batch_size: int = _field("signals in a step, over all processes", 64, check=_AT_LEAST_1)
    accumulate: int = _field("parts that a batch is computed in, one after the other", 1, check=_AT_LEAST_1)
    warmup_share: float = _field(
        "share of the steps with reconstruction only, first (inrct, cm-func)", 0.1, check=_BELOW_1
    )

    lr: float = _field("learning rate at its highest", 1e-3, check=_POSITIVE)
    schedule: Literal["cosine", "constant", "linear"] = _field("how the rate falls", "cosine")
    warmup: int = _field("steps in which the rate rises from 0", 100, check=_AT_LEAST_0)
    optimizer: Literal["radam", "adamw", "muon"] = _field("how the weights follow the gradient", "radam")
    weight_decay: float = _field("decoupled weight decay", 0.0, check=_AT_LEAST_0)
    clip: float = _field("longest gradient; 0 for any", 1.0, check=_AT_LEAST_0)
    ema: float = _field(
        "share of the run that the averaged weights span",
        0.05,
        check=_bounded("from .001 to .28", lambda value: 0.001 <= value <= 0.28),
    )
    teacher_ema: float = _field("decay of the teacher's weights; 0: as the objective says", 0.0, check=_BELOW_1)
    label_dropout: float = _field(
        "share of the signals whose class is not told; more than 0 allows guidance", 0.0, check=_SHARE
    )

    seed: int = _field("decides weights, order and noise", 0, check=_AT_LEAST_0)
    precision: Literal["auto", "fp32", "bf16"] = _field("of matrix products; auto: bf16 where it is fast", "auto")
    device: str = _field("auto, cpu, cuda or cuda:N", "auto")
    workers: int = _field("processes that read data; 0: none besides the trainer", 0, check=_AT_LEAST_0)
    nan: Literal["stop", "skip"] = _field("what to do when a loss or gradient is not finite", "stop")

    early_stop: int = _field(
        "stop when so many evaluations in a row (every 'sample_every' steps) find worse samples, with at least a tenth "
        "lost from the best, and go back to the best checkpoint; 2 is sensible; 0: never",
        0,
        check=_AT_LEAST_0,
    )

    save_every: int = _field("steps between checkpoints", 500, check=_AT_LEAST_1)
    sample_every: int = _field("steps between sample sheets and held-out evaluations", 500, check=_AT_LEAST_1)
    log_every: int = _field("steps between lines of metrics", 10, check=_AT_LEAST_1)
    keep: int = _field("checkpoints that are kept", 2, check=_bounded("at least 2", lambda value: value >= 2))
    tensorboard: bool = _field("also write TensorBoard events (needs the extra 'tensorboard')", False)

    phases: tuple[Phase, ...] = _field("explicit list of phases; by default they follow from 'objective'", ())
    options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the modality"})
    objective_options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the objective"})
    readout_options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the read-out"})


MACHINE = frozenset({"device", "workers", "accumulate", "tensorboard", "keep", "early_stop"})
"""Keys that do not change what a run computes: a resumed run may have others."""
