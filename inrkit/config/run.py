"""What can be set for a run. Every field is a config key; what a modality, an objective or a read-out can be told
stands in tables of their own and is checked by their own classes."""

from typing import Any, Literal, final

import attrs
from attrs.validators import optional

from inrkit.core.option import (
    AT_LEAST_0,
    AT_LEAST_1,
    AT_LEAST_2,
    BELOW_1,
    POSITIVE,
    SHARE,
    bounded,
    check_device,
    option,
)

Optimizer = Literal["radam", "adamw", "muon"]


@final
@attrs.frozen
class Phase:
    """A part of a run: its objective, its share of the steps, and which weights train."""

    objective: str = attrs.field(metadata={"help": "name of the objective (loss)"})
    share: float = attrs.field(metadata={"help": "fraction of the run's training steps"}, validator=SHARE)
    trains: Literal["all", "function", "denoiser", "decoder"] = option(
        "all", "which weights are trained; decoder: everything except the encoder, which is skipped"
    )
    optimizer: Optimizer | None = option(None, "optimizer of this phase, which begins anew; none: the run's")
    lr: float | None = option(None, "peak learning rate of this phase; none: the run's", optional(POSITIVE))
    batch_size: int | None = option(None, "batch size of this phase; none: the run's", optional(AT_LEAST_1))
    ema: bool = option(True, "average the weights in this phase; false: the averages begin anew after it")
    teacher_ema: float | None = option(
        None, "decay of the teacher's moving average in this phase; 0: no average; none: the run's", optional(BELOW_1)
    )
    options: dict[str, Any] = attrs.field(
        factory=dict,
        metadata={"help": "options of the objective; if it is the run's, those left out are of 'objective_options'"},
    )


@final
@attrs.frozen(kw_only=True)
class RunConfig:
    """All that decides what a run computes; a run directory holds it, fully resolved, as `config.toml`."""

    modality: str = attrs.field(metadata={"help": "modality (kind of signal), by its registered name"})
    preset: str | None = option(None, "preset that the other values were taken from")
    network: str | None = option(
        None, "small, base, large or paper: the size of network that other values were taken from"
    )
    data: str | None = option(None, "data set to train on, as a store; none: the built-in synthetic signals")
    init: str | None = option(
        None, "run directory, checkpoint or named model (inrkit models list) whose weights initialise the model"
    )

    objective: str = option("inrct", "training objective: inrct, ect, ict, ct, cm-func, cd, diffusion, reconstruction")
    readout: str = option("direct", "read-out (how f is computed from the rendered INR): direct, two-headed, literal")
    steps: int = option(1000, "training steps", AT_LEAST_1)
    batch_size: int = option(64, "batch size (signals per step), summed over all processes", AT_LEAST_1)
    accumulate: int = option(1, "gradient-accumulation steps: the batch is computed in this many parts", AT_LEAST_1)
    warmup_share: float = option(
        0.1, "fraction of the steps that pre-train by reconstruction (inrct, cm-func)", BELOW_1
    )

    features: str | None = option(
        None, "feature network that 'distance' = \"features\" compares pictures by: alexnet, vgg16, resnet20, ..."
    )

    lr: float = option(1e-3, "peak learning rate", POSITIVE)
    schedule: Literal["cosine", "constant", "linear"] = option("cosine", "learning-rate schedule")
    warmup: int = option(100, "learning-rate warm-up steps", AT_LEAST_0)
    optimizer: Optimizer = option(
        "radam", "optimizer; muon: Muon for hidden matrices, such as those of attention, AdamW for all other weights"
    )
    weight_decay: float = option(0.0, "weight decay, decoupled as in AdamW", AT_LEAST_0)
    clip: float = option(1.0, "maximum gradient norm (0: no clipping)", AT_LEAST_0)
    ema: float = option(
        0.05,
        "length of the exponential moving average of the weights, as a share of training (EDM2)",
        bounded("from .001 to .28", lambda value: 0.001 <= value <= 0.28),
    )
    ema_decay: float = option(
        0.0, "constant decay of that average, such as .9999, in place of its length; 0: by 'ema'", BELOW_1
    )
    teacher_ema: float = option(0.0, "decay of the teacher's moving average; 0: as the objective defines it", BELOW_1)
    teacher_schedule: Literal["constant", "rising"] = option(
        "constant",
        "how that decay changes; rising: from 'teacher_ema' towards 1 by iterations, as in Consistency Models",
    )
    label_dropout: float = option(0.0, "probability of dropping the label (classifier-free guidance)", SHARE)

    seed: int = option(0, "random seed of the initial weights, the order of the data and the noise", AT_LEAST_0)
    precision: Literal["auto", "fp32", "bf16"] = option(
        "auto", "number format of matrix products; bf16 is mixed precision; auto: bf16 where it is fast"
    )
    device: str = option(
        "auto", "device to train on: auto, cpu, cuda, mps, xpu, or cuda:N", lambda _, __, value: check_device(value)
    )
    compile: bool = option(
        False,
        "compile the network's blocks with torch.compile: it costs a minute or more at the beginning, and pays in long "
        "runs on a GPU; needs a C++ compiler",
    )
    recompute: bool = option(
        False,
        "activation checkpointing: the activations of a block are computed again in the backward pass instead of being "
        "kept; the same losses with less memory, in about a fifth more time",
    )
    device_data: int = option(
        1024,
        "largest data set, in MiB, that stays in the memory of a GPU once it was read; 0: none does",
        AT_LEAST_0,
    )
    workers: int = option(0, "data-loading processes; 0: data are read by the training process", AT_LEAST_0)
    shard: bool = option(
        False,
        "several processes: each holds a share of the weights, gradients, averages and optimizer state (FSDP2) instead "
        "of all of them (DDP), for models that one device cannot hold",
    )
    nan: Literal["stop", "skip"] = option("stop", "on a NaN or infinite loss or gradient: stop, or skip the step")

    divergence: Literal["stop", "warn"] = option(
        "stop",
        "on a loss that stays above ten times what it was at the beginning of a stage of training: stop, or say so "
        "and go on",
    )
    early_stop: int = option(
        0,
        "early stopping: end after this many evaluations in a row (one every 'sample_every' steps) with a Fréchet "
        "distance at least a tenth above the best, and return to the best checkpoint; 2 is sensible; 0: never",
        AT_LEAST_0,
    )

    save_every: int = option(500, "steps between checkpoints", AT_LEAST_1)
    sample_every: int = option(500, "steps between held-out evaluations, each with a sheet of samples", AT_LEAST_1)
    log_every: int = option(10, "steps between logged metrics", AT_LEAST_1)
    gradient_every: int = option(
        100,
        "steps between measurements of the gradient by noise level and by loss, which the report shows as shares: what "
        "the network learns from; each costs about as much as a step or two; 0: never",
        AT_LEAST_0,
    )
    search_times: bool = option(
        True,
        "try a few intermediate noise levels of two-step sampling when training ends, and keep the best one with the "
        "checkpoint; takes about a twentieth of the run, and nothing in a very short one; false: 30",
    )
    keep: int = option(2, "most recent checkpoints that are kept", AT_LEAST_2)
    trackers: tuple[str, ...] = option((), "experiment trackers to log to, such as tensorboard or wandb")

    phases: tuple[Phase, ...] = option((), "phases of training in order; by default they follow from 'objective'")
    options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the modality"})
    objective_options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the objective"})
    readout_options: dict[str, Any] = attrs.field(factory=dict, metadata={"help": "options of the read-out"})
    features_options: dict[str, Any] = attrs.field(
        factory=dict, metadata={"help": "options of the feature network, such as the file of its 'weights'"}
    )


MACHINE = frozenset(
    {
        "device",
        "compile",
        "recompute",
        "device_data",
        "workers",
        "accumulate",
        "trackers",
        "keep",
        "divergence",
        "early_stop",
        "gradient_every",
        "search_times",
        "shard",
    }
)
"""Keys that do not change what a run computes: a resumed run may have others."""
