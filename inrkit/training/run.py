"""One run in its directory: begun, resumed or already finished, always by the same call."""

import contextlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from inrkit.config.resolve import Resolved, resolve
from inrkit.config.run import RunConfig
from inrkit.config.toml import unstructure
from inrkit.core.modality import Modality, Source
from inrkit.core.pipeline import Pipeline
from inrkit.core.resolution import shown_sizes
from inrkit.errors import DataError, InrkitError, ResourceError, UsageError, did_you_mean
from inrkit.evaluation.reconstruction import Score
from inrkit.inference.model import Model
from inrkit.machine.precision import choose_device, choose_precision, tf32
from inrkit.machine.processes import Ranks, joined
from inrkit.machine.randomness import preserve_random_state
from inrkit.plugins import load_plugins
from inrkit.report.sheets import write_report, write_samples
from inrkit.storage.checkpoint import Checkpoint, load_checkpoint, newest_checkpoint, prune
from inrkit.storage.named import find_run
from inrkit.storage.rundir import RunDirectory
from inrkit.storage.weights import find_checkpoint
from inrkit.training.budget import within
from inrkit.training.divergence import LossWatch
from inrkit.training.fits import check_memory
from inrkit.training.given import stored
from inrkit.training.learner import Learner
from inrkit.training.loader import read_ahead
from inrkit.training.log import RunLog
from inrkit.training.loop import Loop, OnSample
from inrkit.training.order import Order, Rows
from inrkit.training.progress import RunProgress
from inrkit.training.stopping import EarlyStopping, finish
from inrkit.training.tracker import Trackers

_ALSO_CALLED = {"sets": "overrides", "set": "overrides", "epochs": "steps", "learning_rate": "lr", "dataset": "data"}
"""What other programs, and our own command line, call a keyword."""


def train(
    config: Resolved | RunConfig | Path | str | None = None,
    out: Path | str | None = None,
    *,
    modality: str | type[Modality] | None = None,
    preset: str | None = None,
    minutes: float | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
    progress: bool | None = None,
    extend: bool = False,
    on_sample: OnSample | None = None,
    on_end: Callable[[Model, Path], object] | None = None,
    **values: Any,
) -> Model:
    """Trains, or goes on with, the run in the directory ``out`` and returns its model.

    ``inrkit.train(modality=M, steps=200, out="runs/first")``: the keys of `RunConfig` may be given by name. As
    ``data`` also a torch `Dataset`, an array or a list of signals, which are kept as ``OUT.data.h5`` beside the run.
    The process is left as it was: random states, signal handlers, precision of products; see `inrkit.process_setup`.

    Args:
        config: What `inrkit.resolve` gives, the config of a model, or a TOML file.
        out: The run directory; by default `runs/MODALITY-PRESET`.
        modality: Name or class.
        preset: One of the modality's.
        minutes: Train for about so long, in place of a number of steps: a few measured steps decide how many there
            are, and the config keeps their number.
        overrides: "key=value" texts, or values by key, as {"options.width": 128}.
        progress: False for none, None for a bar in a terminal and lines elsewhere.
        extend: Allow another number of steps than the run in ``out`` was begun with.
        on_sample, on_end: In place of writing sample sheets and the report.
    """
    values = _with_data(values, modality, out)
    resolved = resolve_run(config, modality, preset, overrides, values)
    keys = resolved.config
    run = Path(out) if out is not None else Path("runs") / "-".join(filter(None, (keys.modality, keys.preset)))
    with (
        machine_errors(keys),
        joined(keys.device) as ranks,
        contextlib.closing(RunProgress(keys.steps, keys.batch_size, progress if ranks.first else False)) as shown,
    ):
        _check_processes(keys, ranks)
        for name in keys.trackers:
            load_plugins().tracker(name).check()
        device = choose_device(keys.device, ranks.local_rank)
        check_memory(resolved, device, ranks.world)
        with preserve_random_state(device), tf32(device):
            if minutes is not None:
                shown.stage("measuring the speed of a step")
                resolved = within(minutes, resolved, run, ranks, device)
                shown.steps = resolved.config.steps
                shown.expect(60 * minutes)
            _train(resolved, run, ranks, device, shown, extend, on_sample or write_samples)
            model = Model.load(run, device=str(device), modality=type(resolved.modality))
            if ranks.first:
                if on_end is None:
                    shown.stage("writing the report")
                (on_end or write_report)(model, run)
            ranks.barrier()
    return model


def _check_keywords(values: Mapping[str, Any]) -> None:
    """`UsageError` for a keyword that neither `train` nor a config has."""
    known = [*inspect.signature(train).parameters, *attrs.fields_dict(RunConfig)]
    for name in values:
        if name not in known:
            hint = f" Did you mean '{_ALSO_CALLED[name]}'?" if name in _ALSO_CALLED else did_you_mean(name, known)
            raise UsageError(f"`train` has no keyword '{name}'; it takes its own and the keys of a config.{hint}")


def _with_data(values: dict[str, Any], modality: str | type[Modality] | None, out: Path | str | None) -> dict[str, Any]:
    """The values, with the path of a store for data that are no path."""
    data = values.get("data")
    if data is None or isinstance(data, str):
        return values
    if isinstance(data, Path):
        return {**values, "data": str(data)}
    if modality is None or out is None:
        raise UsageError("'data' in memory needs 'modality' and 'out': it is kept beside the run, as OUT.data.h5")
    cls = load_plugins().modality(modality) if isinstance(modality, str) else modality
    return {**values, "data": str(stored(data, cls, Path(f"{out}.data.h5")))}


def resolve_run(
    config: Resolved | RunConfig | Path | str | None,
    modality: str | type[Modality] | None,
    preset: str | None,
    overrides: Sequence[str] | Mapping[str, Any],
    values: Mapping[str, Any],
) -> Resolved:
    """What `train` was told, as one complete config."""
    _check_keywords(values)
    if not isinstance(config, Resolved | RunConfig):
        return resolve(modality, preset, config, overrides, values)
    if values or overrides or preset:
        raise UsageError("expected a resolved config or single values, found both; change the config instead")
    cls = modality if isinstance(modality, type) else None
    return config if isinstance(config, Resolved) else Resolved.of(config, cls)


def _train(
    resolved: Resolved,
    run: Path,
    ranks: Ranks,
    device: torch.device,
    progress: RunProgress,
    extend: bool,
    on_sample: OnSample,
) -> None:
    """Everything but the report; nothing where the run is finished."""
    config, source = resolved.config, resolved.source("train")
    resolved.source("test")  # too few signals to hold any out are refused before anything is written
    facts = json.loads(json.dumps(dict(source.facts)))
    with contextlib.ExitStack() as stack:
        # From now on the directory is ours.
        path, ended = ranks.broadcast(lambda: _enter(stack.enter_context(RunDirectory(run)), config, extend))
        checkpoint = None if path is None else load_checkpoint(Path(path), verified=True)  # by the first process
        if checkpoint is None:
            precision = ranks.broadcast(lambda: choose_precision(config.precision, device))
        else:  # what was measured when the run began
            precision = str(checkpoint.state["precision"])
        order = Order(len(source), config.batch_size, config.seed, resolved.seen)
        learner = Learner(resolved, ranks, device, precision, order)
        stack.callback(learner.release)
        early, watch = EarlyStopping(config.early_stop, trained=config.init is not None), LossWatch()
        if checkpoint is not None:
            _check_facts(checkpoint, facts)
            learner.load(checkpoint)
            watch.load(checkpoint.state["watch"])
            early.load(checkpoint.state.get("early_stopping", {}) if config.early_stop else {})
        elif config.init is not None:
            learner.start_from(find_checkpoint(find_run(config.init)[0]))
        if ended or (checkpoint is not None and learner.step >= config.steps and checkpoint.state["finished"]):
            return
        trackers = Trackers(config.trackers if ranks.first else (), run, unstructure(config), learner.step)
        stack.callback(trackers.finish)
        log = RunLog(run if ranks.first else None, device, trackers)
        log.resume(None if checkpoint is None else checkpoint.state["log"], learner.step)
        progress.begin(learner.step, summary(resolved, source, learner.pipeline, f"{device}, {precision}", run))
        steps, resident = range(learner.step, config.steps), config.device_data << 20
        signals = read_ahead(source, order, learner.rows_at, steps, config.workers, device, resident)
        with _still_there(run):
            Loop(run, learner, signals, log, progress, Score(resolved), early, watch, facts, on_sample).train()


def summary(resolved: Resolved, source: Source, pipeline: Pipeline, machine: str, run: Path) -> list[str]:
    """The first lines of a run: what is learned from what, by how large a network, where and how long."""
    config, facts = resolved.config, source.facts
    options, classes = resolved.modality.options, int(facts.get("classes") or 0)
    text = f"{_counted(source)} to learn from, {_counted(resolved.source('test'))} held out"
    if sizes := shown_sizes(facts, options):
        text += f"; {sizes}"
    if classes:
        used = getattr(options, "classes", None)
        text += f"; {classes} classes" + ("" if used else f", not used (options.classes={classes} conditions on them)")
    weights = sum(parameter.numel() for parameter in pipeline.parameters())
    name = "-".join(filter(None, (config.modality, config.preset)))
    return [
        f"signals   {config.data or facts.get('title') or 'synthetic'}: {text}",
        f"network   {name}, {weights:,} weights; objective {config.objective}",
        f"run       {run}: {config.steps:,} steps of {config.batch_size} signals on {machine}",
    ]


def _counted(source: Source) -> str:
    return str(source.facts.get("counted") or f"{len(source):,}")


def _check_processes(config: RunConfig, ranks: Ranks) -> None:
    """Before anything is written: the batch can be divided, and so can the weights."""
    for size in {config.batch_size, *(phase.batch_size or config.batch_size for phase in config.phases)}:
        Rows(size, ranks.rank, ranks.world, config.accumulate)
    if config.shard and ranks.world == 1:
        raise UsageError(
            "'shard' divides the weights over several processes, found one; start them with "
            "'torchrun --nproc-per-node 2 -m inrkit train', or leave it out"
        )


def _enter(directory: RunDirectory, config: RunConfig, extend: bool) -> tuple[str | None, bool]:
    """The newest intact checkpoint, and whether the run was stopped early."""
    directory.admit(config, extend=extend)
    ended = finish(directory.path, watched=config.early_stop > 0)
    found = newest_checkpoint(directory.checkpoints)
    if found is None:
        return None, ended
    best = found.state.get("early_stopping", {}).get("best_step")
    prune(directory.checkpoints, keep=config.keep, protect=() if best is None else (best,))
    return str(found.path), ended


def _check_facts(checkpoint: Checkpoint, facts: dict[str, Any]) -> None:
    before = checkpoint.state["facts"]
    for key in sorted(before.keys() | facts.keys()):
        if before.get(key) != facts.get(key):
            raise DataError(
                f"{checkpoint.path}: the run began with data whose '{key}' was {before.get(key)!r}, found "
                f"{facts.get(key)!r}; resume it with the same data, or begin another run"
            )


@contextlib.contextmanager
def _still_there(run: Path) -> Iterator[None]:
    """Whatever fails because the run directory was removed meanwhile, says so."""
    try:
        yield
    except (InrkitError, OSError) as error:
        if (run / "config.toml").exists():
            raise
        raise ResourceError(f"{run}: the run directory has gone, and the run with it; begin it again") from error


@contextlib.contextmanager
def machine_errors(config: RunConfig) -> Iterator[None]:
    """What the machine ran out of, in words that say what to do."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ResourceError(
            f"out of memory on '{config.device}': a larger 'accumulate' (gradient-accumulation steps, now "
            f"{config.accumulate}) computes the same batch in smaller parts "
            f"({str(error).splitlines()[0][:120] if str(error) else 'no details'})"
        ) from error
    except (RuntimeError, DataError) as error:  # torch raises wherever the trainer happens to be when a worker ends
        if type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise ResourceError(
                f"'compile' = true needs a C++ compiler, and Triton on a GPU: install them, or leave it off "
                f"({' '.join(str(error).split())[:120]})"
            ) from error
        if "DataLoader worker" not in str(error):
            raise
        raise ResourceError(
            f"a process that reads data was lost, perhaps for want of memory; try fewer 'workers' (now "
            f"{config.workers}), or 0 ({' '.join(str(error).split())[:120]})"
        ) from error
