"""Systems beside each other: runs as they are, and configs that are trained first, at equal compute."""

import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import attrs

from inrkit.comparison.measure import needed_in, refuse_other_kinds, refuse_unlike, run_figures, run_pictures, spaces_of
from inrkit.comparison.operations import of_training
from inrkit.comparison.scoreboard import write_scoreboard
from inrkit.comparison.system import check_system
from inrkit.config.resolve import Resolved, resolve
from inrkit.config.run import RunConfig
from inrkit.config.toml import to_toml, unstructure
from inrkit.core.modality import Display
from inrkit.drawing.layout import USUAL, Layout
from inrkit.errors import UsageError
from inrkit.evaluation.generation import Reference
from inrkit.inference.model import Model
from inrkit.inference.signalset import SignalSet
from inrkit.progress import Progress, quiet
from inrkit.storage import atomic, fileerror
from inrkit.storage.rundir import changed_keys, read_config

Say = Callable[[str], object]


@final
@attrs.frozen
class ComparedRun:
    """One run of the comparison, as it is or to be trained first; ``numbered`` by its seed beside others of a system.

    Runs that differ by nothing but their seeds are of one system.
    """

    system: str
    path: Path
    config: RunConfig
    train: bool = False
    numbered: bool = False

    @property
    def name(self) -> str:
        """What tables and sheets call it."""
        return f"{self.system} #{self.config.seed}" if self.numbered else self.system


def compare(
    given: Sequence[Path | str],
    out: Path | str,
    *,
    n: int = 1000,
    seeds: Sequence[int] = (0,),
    equal: bool = True,
    sets: Sequence[str] = (),
    at: Sequence[Mapping[str, str]] = (),
    seed: int = 0,
    device: str = "auto",
    layout: Layout = USUAL,
    progress: Progress = quiet,
    say: Say | None = None,
) -> dict[str, Any]:
    """Measures all alike; writes `compare.json`, `compare.md`, `compare.html` and sheets into ``out``.

    Args:
        given: Run directories, TOML files, and presets as "MODALITY:PRESET". The first decides what data all are held
            to, and how much compute the others get. Runs that differ by their seeds alone are one system.
        n: Signals in each set, at most.
        seeds: Each config is trained with each of them, in a process of its own, in ``out``/runs.
        equal: Give each config as many training FLOPs as the first thing named has, by its steps.
        sets: "key=value" texts for all configs.
        at: Where else to time rendering, such as {"size": "128x128"}.
        seed: Of what is generated: all start from the same noise.
        layout: Of the sheets; its further file is one for each, such as figure-1-step.pdf.
        say: Called with a line about each run that is trained.
    """
    out, say = Path(out), say or (lambda text: None)
    if len(given) < 2 and len(seeds) < 2:
        raise UsageError("expected at least two things to compare; name runs, TOML files or MODALITY:PRESET")
    with fileerror.disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    runs = compared_runs(given, out, seeds=seeds, equal=equal, sets=sets)
    failed = {run.name: reason for run in runs if run.train and (reason := _train(run, say))}
    good = [run for run in runs if run.name not in failed]
    if not good:
        raise UsageError(f"nothing to compare: {'; '.join(failed.values())}")
    load = functools.partial(Model.load, device=device, precision="auto")
    reference = Reference(SignalSet.choose(load(good[0].path), "test", n, seed), seed, progress)
    for run in good[1:]:
        refuse_unlike(reference.signals.model, load(run.path))
    figures, shown = {}, {}
    for run in good:
        model = load(run.path)
        say(f"measuring {run.name}")
        figures[run.name], shown[run.name] = run_figures(model, reference, at), run_pictures(model, seed)
    rows = [
        {"system": run.system, "name": run.name, "run": str(run.path), "seed": run.config.seed}
        | (figures.get(run.name) or {"failed": failed[run.name]})
        for run in runs
    ]
    result = {"n": len(reference.signals), "seed": seed, "spaces": spaces_of(reference), "needed": needed_in(reference)}
    result |= {"rows": rows, "systems": _systems(rows)}
    atomic.write_text(out / "compare.json", json.dumps(result, indent=2, allow_nan=False) + "\n")
    for path in write_scoreboard(result, shown, out, layout):
        if path.parent != out:
            say(str(path))
    return result


def _systems(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each system, of all its runs."""
    names = dict.fromkeys(row["system"] for row in rows)
    return [summary([row for row in rows if row["system"] == name]) for name in names]


def compared_runs(
    given: Sequence[Path | str], out: Path, *, seeds: Sequence[int], equal: bool, sets: Sequence[str]
) -> list[ComparedRun]:
    """What was named, in order; each config once for each seed, with the steps that the first one's compute pays."""
    found: list[ComparedRun] = []
    read = [(Path(one), *_read(one, sets)) for one in given]
    # INRs of two stages may show signals of the other ones' kind: that is known when they are there.
    one_stage = [found for _, found, _ in read if type(found.modality.display).unwrap is Display.unwrap]
    refuse_other_kinds({found.config.modality for found in one_stage})
    budget = of_training(read[0][1]) if equal else 0.0
    for path, resolved, name in read:
        config = resolved.config
        if path.is_dir():
            found.append(_there(path, config, found))
            continue
        if equal and found:
            config = attrs.evolve(config, steps=max(1, round(budget / (of_training(resolved) / config.steps))))
        system, many = _free(name, found), len(seeds) > 1
        for seed in seeds:
            folder = out / "runs" / (f"{system}-{seed}" if many else system)
            found.append(ComparedRun(system, folder, attrs.evolve(config, seed=seed), train=True, numbered=many))
    return found


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One system over its seeds: the mean of every figure, and the standard deviation of those that vary by luck."""
    good = [row for row in rows if "failed" not in row]
    result: dict[str, Any] = {"name": rows[0]["system"], "runs": len(rows), "failed": len(rows) - len(good)}
    if not good:
        return {**result, "reason": rows[0]["failed"]}
    for key in ("parameters", "sample_flops", "step_flops", "training_flops", "step", "steps"):
        result[key] = statistics.fmean(row[key] for row in good)
    for key in ("training_seconds", "training_memory", "sample_seconds", "reconstruction"):
        result[key] = _mean_and_spread([row[key] for row in good])
    for table in ("frechet", "frechet_ratio", "rate"):
        result[table] = {name: _mean_and_spread([row[table][name] for row in good]) for name in good[0][table]}
    if len(good) == 1:
        for name, error in good[0]["frechet_ratio_error"].items():
            result["frechet_ratio"][name]["error"] = error
    return result


def _mean_and_spread(values: Sequence[float | None]) -> dict[str, float]:
    known = [value for value in values if value is not None]
    spread = {"std": statistics.stdev(known)} if len(known) > 1 else {}
    return {"mean": statistics.fmean(known), **spread} if known else {}


def _read(one: Path | str, sets: Sequence[str]) -> tuple[Resolved, str]:
    """The config that something given stands for, and its name."""
    check_system(one)
    path, text = Path(one), str(one)
    if path.is_dir():
        return Resolved.of(read_config(path)), path.name
    if path.suffix == ".toml":
        return resolve(file=path, overrides=sets), path.stem
    modality, _, preset = text.partition(":")
    return resolve(modality, preset, overrides=sets), preset


def _there(path: Path, config: RunConfig, found: Sequence[ComparedRun]) -> ComparedRun:
    """A run as it is, of the system of a run before it from which it differs by its seed alone."""
    for other in found:
        if not other.train and changed_keys(other.config, config) == ["seed"]:
            return ComparedRun(other.system, path, config, numbered=True)
    return ComparedRun(_free(path.name.removesuffix(f"-{config.seed}") or path.name, found), path, config)


def _free(name: str, found: Sequence[ComparedRun]) -> str:
    """The name, with a number if another system has it."""
    taken = {run.system for run in found}
    return next(text for i in itertools.count(1) if (text := name if i == 1 else f"{name} ({i})") not in taken)


def _train(run: ComparedRun, say: Say) -> str:
    """Trains what is not trained yet, in a process of its own, so that its memory and its failure are its own.

    Returns why it could not be, or nothing.
    """
    run.path.mkdir(parents=True, exist_ok=True)
    if (run.path / "config.toml").is_file() and (changed := changed_keys(read_config(run.path), run.config)):
        raise UsageError(
            f"{run.path}: the run there has another config: {', '.join(changed)} changed; choose another directory"
        )
    say(f"training {run.name}: {run.config.steps:,} steps")
    path = run.path / "wanted.toml"
    atomic.write_text(path, to_toml(unstructure(run.config)))
    command = [sys.executable, "-m", "inrkit", "train", "--config", str(path), "--out", str(run.path)]
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, env=os.environ)
    if ended.returncode > 128 or ended.returncode < 0:
        raise KeyboardInterrupt
    path.unlink()
    return f"training ended with exit code {ended.returncode}" if ended.returncode else ""
