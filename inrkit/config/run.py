"""What can be set for a run. Every field is a config key; what a modality, an objective or a read-out can be told
stands in tables of their own and is checked by their own classes."""

from typing import Any, Literal, final

import attrs

from inrkit.core.option import AT_LEAST_0, AT_LEAST_1, BELOW_1, POSITIVE, SHARE, bounded, option


@final
@attrs.frozen
class Phase:
    """A part of a run: its objective, its share of the steps, and which weights train."""

    objective: str = option(attrs.NOTHING, "what is minimised")
    share: float = option(attrs.NOTHING, "share of the run's steps", SHARE)
    trains: Literal["all", "function", "denoiser", "decoder"] = option(
        "all", "whose weights train; decoder: all but the encoder, which is skipped"
    )
    options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the objective"})


@final
@attrs.frozen(kw_only=True)
class RunConfig:
    """All that decides what a run computes; a run directory holds it, fully resolved, as `config.toml`."""

    modality: str = option(attrs.NOTHING, "kind of signal")
    preset: str | None = option(None, "preset that the other values started from")
    data: str | None = option(None, "store of signals; none for the embedded ones")
    init: str | None = option(None, "run directory or checkpoint to take the first weights from")

    objective: str = option("inrct", "what is minimised: inrct, ect, ict, ct, cm-func, cd, diffusion, reconstruction")
    readout: str = option("direct", "how the INR is read: direct, two-headed, literal")
    steps: int = option(1000, "training steps", AT_LEAST_1)
    batch_size: int = option(64, "signals in a step, over all processes", AT_LEAST_1)
    accumulate: int = option(1, "parts that a batch is computed in, one after the other", AT_LEAST_1)
    warmup_share: float = option(0.1, "share of the steps with reconstruction only, first (inrct, cm-func)", BELOW_1)

    lr: float = option(1e-3, "learning rate at its highest", POSITIVE)
    schedule: Literal["cosine", "constant", "linear"] = option("cosine", "how the rate falls")
    warmup: int = option(100, "steps in which the rate rises from 0", AT_LEAST_0)
    optimizer: Literal["radam", "adamw", "muon"] = option("radam", "how the weights follow the gradient")
    weight_decay: float = option(0.0, "decoupled weight decay", AT_LEAST_0)
    clip: float = option(1.0, "longest gradient; 0 for any", AT_LEAST_0)
    ema: float = option(
        0.05,
        "share of the run that the averaged weights span",
        bounded("from .001 to .28", lambda value: 0.001 <= value <= 0.28),
    )
    teacher_ema: float = option(0.0, "decay of the teacher's weights; 0: as the objective says", BELOW_1)
    label_dropout: float = option(
        0.0, "share of the signals whose class is not told; more than 0 allows guidance", SHARE
    )

    seed: int = option(0, "decides weights, order and noise", AT_LEAST_0)
    precision: Literal["auto", "fp32", "bf16"] = option("auto", "of matrix products; auto: bf16 where it is fast")
    device: str = option("auto", "auto, cpu, cuda or cuda:N")
    workers: int = option(0, "processes that read data; 0: none besides the trainer", AT_LEAST_0)
    nan: Literal["stop", "skip"] = option("stop", "what to do when a loss or gradient is not finite")

    early_stop: int = option(
        0,
        "stop when so many evaluations in a row (every 'sample_every' steps) find worse samples, with at least a tenth "
        "lost from the best, and go back to the best checkpoint; 2 is sensible; 0: never",
        AT_LEAST_0,
    )

    save_every: int = option(500, "steps between checkpoints", AT_LEAST_1)
    sample_every: int = option(500, "steps between sample sheets and held-out evaluations", AT_LEAST_1)
    log_every: int = option(10, "steps between lines of metrics", AT_LEAST_1)
    keep: int = option(2, "checkpoints that are kept", bounded("at least 2", lambda value: value >= 2))
    tensorboard: bool = option(False, "also write TensorBoard events (needs the extra 'tensorboard')")

    phases: tuple[Phase, ...] = option((), "explicit list of phases; by default they follow from 'objective'")
    options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the modality"})
    objective_options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the objective"})
    readout_options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the read-out"})


MACHINE = frozenset({"device", "workers", "accumulate", "tensorboard", "keep", "early_stop"})
"""Keys that do not change what a run computes: a resumed run may have others."""
