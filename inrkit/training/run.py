"""One run in its directory: begun, resumed or already finished, always by the same call."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from inrkit.config.resolve import Resolved, resolve
from inrkit.config.run import RunConfig
from inrkit.config.toml import unstructure
from inrkit.core.modality import Modality, Source
from inrkit.errors import DataError, ResourceError, UsageError
from inrkit.evaluation.reconstruction import Score
from inrkit.inference.model import Model
from inrkit.machine.memory import keep_freed_memory
from inrkit.machine.precision import allow_tf32, choose_device, choose_precision
from inrkit.machine.processes import Ranks, joined
from inrkit.machine.signals import StopRequest
from inrkit.report.sheets import write_report, write_samples
from inrkit.storage.checkpoint import Checkpoint, latest_checkpoint, load_checkpoint
from inrkit.storage.rundir import RunDirectory
from inrkit.storage.weights import find_checkpoint, put_average
from inrkit.training.learner import Learner
from inrkit.training.loader import Loader
from inrkit.training.log import RunLog
from inrkit.training.loop import Loop, OnSample
from inrkit.training.order import Order
from inrkit.training.progress import RunProgress
from inrkit.training.state import unpack
from inrkit.training.stopping import EarlyStopping, finish, forget
from inrkit.training.tracker import Trackers


def train(
    config: Resolved | RunConfig | Path | str | None = None,
    out: Path | str | None = None,
    *,
    modality: str | type[Modality] | None = None,
    preset: str | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    progress: bool | None = None,
    extend: bool = False,
    on_sample: OnSample | None = None,
    on_end: Callable[[Model, Path], object] | None = None,
    **values: Any,
) -> Model:
    """Trains, or goes on with, the run in the directory ``out`` and returns its model.

    ``inrkit.train(modality=M, steps=200, out="runs/first")``: the keys of `RunConfig` may be given by name.

    Args:
        config: What `inrkit.resolve` gives, the config of a model, or a TOML file.
        out: The run directory; by default `runs/MODALITY-PRESET`.
        modality: Name or class.
        preset: One of the modality's.
        overrides: "key=value" texts, or values by key, as {"options.width": 128}.
        progress: False for none, None for a bar in a terminal and lines elsewhere.
        extend: Allow another number of steps than the run in ``out`` was begun with.
        on_sample, on_end: In place of writing sample sheets and the report.
    """
    if not isinstance(config, Resolved | RunConfig):
        resolved = resolve(modality, preset, config, overrides, values)
    elif values or overrides or preset:
        raise UsageError("expected a resolved config or single values, found both; change the config instead")
    else:
        cls = modality if isinstance(modality, type) else None
        resolved = config if isinstance(config, Resolved) else Resolved.of(config, cls)
    keys = resolved.config
    keep_freed_memory()
    run = Path(out) if out is not None else Path("runs") / "-".join(filter(None, (keys.modality, keys.preset)))
    with _machine_errors(keys), joined(keys.device) as ranks:
        _train(resolved, run, ranks, progress, extend, on_sample or write_samples)
        device = str(choose_device(keys.device, ranks.local_rank))
        model = Model.load(run, device=device, modality=type(resolved.modality))
        if ranks.first:
            (on_end or write_report)(model, run)
        ranks.barrier()
        return model


def _train(
    resolved: Resolved,
    run: Path,
    ranks: Ranks,
    progress: bool | None,
    extend: bool,
    on_sample: OnSample,
) -> None:
    config, source = resolved.config, resolved.source("train")
    facts = json.loads(json.dumps(dict(source.facts)))
    with contextlib.ExitStack() as stack:
        directory = RunDirectory(run)

        def enter() -> tuple[str | None, list[str], bool]:
            """The newest intact checkpoint, why newer ones are passed over, and whether the run was stopped early.

            The directory is ours from now on.
            """
            stack.enter_context(directory).admit(config, extend=extend)
            ended = finish(run) if config.early_stop else forget(run)
            found, passed_over = latest_checkpoint(directory.checkpoints)
            return None if found is None else str(found.path), passed_over, ended

        path, passed_over, ended = ranks.broadcast(enter)
        checkpoint = None if path is None else load_checkpoint(Path(path))
        learner = _learner(resolved, ranks, checkpoint)
        stack.callback(learner.release)
        if checkpoint is not None:
            _check_facts(checkpoint, facts)
            unpack(learner, checkpoint)
        elif config.init is not None:
            put_average(learner.pipeline, find_checkpoint(Path(config.init)))
            learner.restart()
        if learner.step >= config.steps or ended:
            return
        trackers = Trackers(config.trackers if ranks.first else (), run, unstructure(config), learner.step)
        log = stack.enter_context(contextlib.closing(RunLog(run if ranks.first else None, learner.device, trackers)))
        log.resume(None if checkpoint is None else checkpoint.state["log"], learner.step)
        loop = Loop(
            run,
            learner,
            _signals(config, learner, source),
            log,
            stack.enter_context(
                RunProgress(config.steps, learner.step, config.batch_size, progress if ranks.first else False)
            ),
            stack.enter_context(StopRequest()),
            Score(resolved),
            _early_stopping(config, checkpoint),
            facts,
            on_sample,
        )
        for reason in passed_over:
            loop.progress.say(f"passed over a damaged checkpoint: {reason}")
        loop.train()


def _learner(resolved: Resolved, ranks: Ranks, checkpoint: Checkpoint | None) -> Learner:
    config = resolved.config
    device = choose_device(config.device, ranks.local_rank)
    allow_tf32(device)
    if checkpoint is None:
        precision = ranks.broadcast(lambda: choose_precision(config.precision, device))
    else:  # what was measured when the run began
        precision = str(checkpoint.state["precision"])
    return Learner(resolved, ranks, device, precision)


def _early_stopping(config: RunConfig, checkpoint: Checkpoint | None) -> EarlyStopping:
    early = EarlyStopping(config.early_stop, trained=config.init is not None)
    if checkpoint is not None and config.early_stop:
        early.load(checkpoint.state.get("early_stopping", {}))
    return early


def _signals(config: RunConfig, learner: Learner, source: Source) -> Iterator[Any]:
    order = Order(len(source), config.batch_size, config.seed)
    loader = Loader(source, order, learner.rows, config.workers, learner.device)
    return loader.batches(learner.step, config.steps)


def _check_facts(checkpoint: Checkpoint, facts: dict[str, Any]) -> None:
    before = checkpoint.state["facts"]
    changed = sorted(key for key in before.keys() | facts.keys() if before.get(key) != facts.get(key))
    if changed:
        key = changed[0]
        raise DataError(
            f"{checkpoint.path}: the run began with data whose '{key}' was {before.get(key)!r}, found "
            f"{facts.get(key)!r}; resume it with the same data, or begin another run"
        )


@contextlib.contextmanager
def _machine_errors(config: RunConfig) -> Iterator[None]:
    """What the machine ran out of, in words that say what to do."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ResourceError(
            f"out of memory on '{config.device}': a larger 'accumulate' (now {config.accumulate}) computes the same "
            f"batch in smaller parts ({str(error).splitlines()[0][:120] if str(error) else 'no details'})"
        ) from error
    except RuntimeError as error:
        # Raised by torch wherever the trainer happens to be when a worker ends.
        if "DataLoader worker" not in str(error):
            raise
        raise ResourceError(
            f"a process that reads data was lost, perhaps for want of memory; try fewer 'workers' (now "
            f"{config.workers}), or 0 ({' '.join(str(error).split())[:120]})"
        ) from error
