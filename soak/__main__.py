"""Tries what the program promises about files, faults, signals and hostile input: thousands of cases, in stages.

    python -m soak                            all of it: hours; the same command goes on where it was stopped
    python -m soak --scale .05                the first twentieth of the cases of each stage
    python -m soak --only damage --only kill  some stages
    python -m soak --only damage --case 137   one case once more, and what it leaves, in soak-137/

Results are in soak.json; cases that are finished there are not repeated, unless the program has changed. The exit code
is 1 if a promise did not hold.
"""

import argparse
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from soak.child import warm_up
from soak.prepared import Prepared
from soak.record import Record, Results
from soak.stage import BrokenPromise, Stage
from soak.stages import STAGES

_SAVED, _SAID = 5.0, 10.0  # seconds between two writings of soak.json, and between two lines


def attempt(stage: Stage, number: int, folder: Path) -> tuple[str, str]:
    """What came of a case, and why it failed; one of them is empty."""
    try:
        return stage.case(number, folder), ""
    except BrokenPromise as broken:
        return "", str(broken)


def run(stage: Stage, results: Results, record: Record, folder: Path, later: str) -> None:
    """The cases of a stage that are not done yet, with progress."""
    most = max(1, math.ceil(stage.count * stage.scale))
    saved = said = time.monotonic()
    while results.done < most:
        begin, place = time.monotonic(), folder / "case"
        place.mkdir()
        outcome, failure = attempt(stage, results.done, place)
        shutil.rmtree(place)
        if failure:
            results.failures[str(results.done)] = failure
            say(f"{stage.name}: case {results.done}: {failure}")
        else:
            results.outcomes[outcome] = results.outcomes.get(outcome, 0) + 1
        results.done, now = results.done + 1, time.monotonic()
        results.seconds += now - begin
        if now - saved > _SAVED or results.done == most:
            record.write()
            saved = now
        if now - said > _SAID or results.done == most:
            left = (most - results.done) * results.seconds / results.done
            failed = f", {len(results.failures)} failed" if results.failures else ""
            say(f"{stage.name}: {results.done:,} of {most:,}{failed}; {shown(left)} left{later}")
            said = now


def shown(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def summary(record: Record, names: Sequence[str]) -> str:
    """A line for each stage, one for each failure, and how to repeat one."""
    lines = []
    for name in names:
        if (results := record.stages.get(name)) is None:
            continue
        failed = len(results.failures)
        took = f"{shown(results.seconds)}, {results.version}"
        lines.append(f"{name:10} {results.done:6,} cases, {failed} failed ({took})")
        lines += [f"    {text:.<50} {count:,}" for text, count in sorted(results.outcomes.items())]
        for number, why in results.failures.items():
            lines += [f"    case {number}: {why}", f"        python -m soak --only {name} --case {number}"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "python -m soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    stages = "\n".join(f"{name}: {stage.summary}" for name, stage in STAGES.items())
    parser.epilog = f"stages:\n{stages}"
    parser.add_argument("--scale", type=float, default=1.0, help="share of the cases, from .01 to 1 [%(default)s]")
    parser.add_argument("--only", action="append", choices=list(STAGES), metavar="NAME", help="this stage; repeatable")
    parser.add_argument("--case", type=int, help="this case of the one stage that --only names, and nothing else")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random [%(default)s]")
    parser.add_argument("--json", type=Path, default=Path("soak.json"), help="where results are kept [%(default)s]")
    chosen = parser.parse_args(arguments)
    names = chosen.only or list(STAGES)
    if not 0 < chosen.scale <= 1 or (chosen.case is not None and len(names) != 1):
        parser.error("expected a scale above 0 and up to 1, and one stage for a case")
    place = Path(f"soak-{chosen.case}").absolute()
    if chosen.case is not None and place.exists():
        parser.error(f"{place} is there, of an earlier call; remove it first")
    say("importing the program, and making small runs of it")
    warm_up()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        os.environ["INRKIT_CACHE"] = str(folder / "cache")
        given = Prepared(folder / "given")
        if chosen.case is not None:
            place.mkdir()
            outcome, failure = attempt(STAGES[names[0]](given, chosen.scale, chosen.seed), chosen.case, place)
            print(f"{names[0]}: case {chosen.case}: {failure or outcome}; see {place}")
            return int(bool(failure))
        record = Record(chosen.json)
        for i, stage in enumerate(names):
            later = f", then {', '.join(names[i + 1 :])}" if names[i + 1 :] else ""
            made = STAGES[stage](given, chosen.scale, chosen.seed)
            run(made, record.results(stage, chosen.seed), record, folder, later)
    print(summary(record, names))
    return int(any(record.stages[name].failures for name in names))


if __name__ == "__main__":
    sys.exit(main())
