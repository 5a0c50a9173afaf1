"""Systems beside each other: runs as they are, and configs that are trained first, at equal compute."""

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

from inrkit.comparison.judge import Judge, load
from inrkit.comparison.operations import of_training
from inrkit.comparison.scoreboard import write_scoreboard
from inrkit.config.resolve import Resolved, resolve
from inrkit.config.run import RunConfig
from inrkit.config.toml import to_toml, unstructure
from inrkit.errors import UsageError
from inrkit.progress import Progress, quiet
from inrkit.storage import atomic
from inrkit.storage.rundir import changed_keys, read_config

Say = Callable[[str], object]


@final
@attrs.frozen
class Contender:
    """One run of the comparison; ``config`` is what to train it by, None for one that is there."""

    name: str
    run: Path
    config: RunConfig | None = None


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
    progress: Progress = quiet,
    say: Say | None = None,
) -> dict[str, Any]:
    """Measures all alike; writes `compare.json`, `compare.md`, `compare.html` and sheets into ``out``.

    Args:
        given: Run directories, TOML files, and presets as "MODALITY:PRESET". The first decides what data all are held
            to, and how much compute the others get. Runs that differ by their seeds alone are one system.
        n: Signals in each set, at most.
        seeds: Each config is trained with each of them, in a process of its own, in ``out``/runs.
        equal: Give each config as many training operations as the first contender has, by its steps.
        sets: "key=value" texts for all configs.
        at: Where else to time rendering, such as {"size": "128x128"}.
        seed: Of what is generated: all start from the same noise.
        progress: Shows how far it is.
        say: Called with a line about each run that is trained.
    """
    out, say = Path(out), say or (lambda text: None)
    if len(given) < 2 and len(seeds) < 2:
        raise UsageError("expected at least two things to compare; name runs, TOML files or MODALITY:PRESET")
    with atomic.disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    contenders = contenders_of(given, out, seeds=seeds, equal=equal, sets=sets)
    failed = {c.name: reason for c in contenders if (reason := _train(c, say))}
    rows, shown, judge = [], {}, None
    for contender in contenders:
        row: dict[str, Any] = {"name": contender.name, "run": str(contender.run)}
        if contender.name in failed:
            rows.append({**row, "failed": failed[contender.name]})
            continue
        model = load(contender.run, device)
        judge = judge or Judge(model, n, seed, progress)
        say(f"measuring {contender.name}")
        rows.append({**row, "seed": model.config.seed, **judge.figures(model, at)})
        shown[contender.name] = judge.shown(model)
    if judge is None:
        raise UsageError(f"nothing to compare: {'; '.join(failed.values())}")
    result = {
        "n": len(judge.real),
        "seed": seed,
        "spaces": list(judge.spaces),
        "rows": rows,
        "systems": [summary(group) for group in _by_system(rows).values()],
    }
    atomic.write_text(out / "compare.json", json.dumps(result, indent=2, allow_nan=False) + "\n")
    write_scoreboard(result, shown, out)
    return result


def contenders_of(
    given: Sequence[Path | str], out: Path, *, seeds: Sequence[int], equal: bool, sets: Sequence[str]
) -> list[Contender]:
    """What was named, in order; each config once for each seed, with the steps that the first one's compute pays."""
    found: list[Contender] = []
    budget: float | None = None
    for one in given:
        resolved, name = _read(one, sets)
        config = resolved.config
        if budget is None and equal:
            budget = of_training(resolved)
        if Path(one).is_dir():
            found.append(Contender(_name_of_run(config, Path(one), found), Path(one)))
            continue
        if equal and budget is not None and len({c.name for c in found}):
            own = of_training(resolved) / config.steps
            config = attrs.evolve(config, steps=max(1, round(budget / own)))
        name = _free(name, found)
        for number in seeds:
            label = name if len(seeds) == 1 else f"{name} #{number}"
            folder = out / "runs" / (name if len(seeds) == 1 else f"{name}-{number}")
            found.append(Contender(label, folder, attrs.evolve(config, seed=number)))
    return found


def _by_system(rows: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(_system(row["name"]), []).append(row)
    return groups


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One system over its seeds: the mean of every figure, and the standard deviation of those that vary by luck."""
    good = [row for row in rows if "failed" not in row]
    result: dict[str, Any] = {"name": _system(rows[0]["name"]), "runs": len(rows), "failed": len(rows) - len(good)}
    if not good:
        return {**result, "reason": rows[0]["failed"]}
    for key in ("parameters", "sample_operations", "step_operations", "training_operations", "step"):
        result[key] = statistics.fmean(row[key] for row in good)
    for key in ("training_seconds", "training_memory", "sample_seconds", "encode"):
        result[key] = _mean_and_spread([row[key] for row in good])
    for table in ("frechet", "rate"):
        result[table] = {name: _mean_and_spread([row[table][name] for row in good]) for name in good[0][table]}
    return result


def _mean_and_spread(values: Sequence[float | None]) -> dict[str, float]:
    known = [value for value in values if value is not None]
    spread = {"std": statistics.stdev(known)} if len(known) > 1 else {}
    return {"mean": statistics.fmean(known), **spread} if known else {}


def _system(name: str) -> str:
    return name.partition(" #")[0]


def _read(one: Path | str, sets: Sequence[str]) -> tuple[Resolved, str]:
    """The config that something given stands for, and its name."""
    path, text = Path(one), str(one)
    if path.is_dir():
        return Resolved.of(read_config(path)), path.name
    if path.suffix == ".toml":
        if not path.is_file():
            raise UsageError(f"{path}: expected a config, found none")
        return resolve(file=path, overrides=sets), path.stem
    modality, colon, preset = text.partition(":")
    if not colon:
        raise UsageError(f"{text}: expected a run directory, a .toml file or MODALITY:PRESET, found none of them")
    return resolve(modality, preset, overrides=sets), preset


def _name_of_run(config: RunConfig, run: Path, found: Sequence[Contender]) -> str:
    """Runs that differ by nothing but their seeds are one system."""
    for other in found:
        if other.config is None and changed_keys(read_config(other.run), config) == ["seed"]:
            return f"{_system(other.name)} #{config.seed}"
    return _free(run.name.removesuffix(f"-{config.seed}") or run.name, found)


def _free(name: str, found: Sequence[Contender]) -> str:
    """The name, with a number if another contender has it."""
    taken = {_system(contender.name) for contender in found}
    return next(text for i in itertools.count(1) if (text := name if i == 1 else f"{name} ({i})") not in taken)


def _train(contender: Contender, say: Say) -> str:
    """Trains what is not trained yet, in a process of its own, so that its memory and its failure are its own.

    Returns why it could not be, or nothing.
    """
    config, run = contender.config, contender.run
    if config is None:
        return ""
    run.mkdir(parents=True, exist_ok=True)
    if (run / "config.toml").is_file() and (changed := changed_keys(read_config(run), config)):
        raise UsageError(
            f"{run}: the run there has another config: {', '.join(changed)} changed; choose another directory"
        )
    say(f"training {contender.name}: {config.steps:,} steps")
    path = run / "wanted.toml"
    atomic.write_text(path, to_toml(unstructure(config)))
    command = [sys.executable, "-m", "inrkit", "train", "--config", str(path), "--out", str(run)]
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, env=os.environ)
    if ended.returncode > 128 or ended.returncode < 0:
        raise KeyboardInterrupt
    path.unlink()
    return f"training ended with exit code {ended.returncode}" if ended.returncode else ""
