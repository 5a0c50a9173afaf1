"""All that a GPU is needed for, in nine minutes: figures, tests, a profile and a short run, in one gpu.json.

    python scripts/gpu.py [--out gpu] [--minutes 9] [--parts training views]
    python scripts/gpu.py --device cpu --smoke      # tries everything at a tiny size, without a GPU

It runs from the checkout, needs PyTorch with CUDA and no network, and installs nothing. Packages that the machine lacks
are taken from wheels in the folder wheels/ (`make gpu-wheels` fills it); what needs one that is not there is left out.
Each part is a program of its own with its own share of the time: one that crashes or hangs costs the others nothing.
gpu.json is written anew after each part. DATA=PATH names a store or a folder of pictures for the short run.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
MARGIN, GRACE = 8.0, 6.0
"""Seconds before its limit at which a part begins nothing new, and after it until it is killed."""


class Part(NamedTuple):
    """A program, the seconds that it may take of nine minutes, and packages that it cannot do without."""

    name: str
    script: Path
    share: float
    needs: tuple[str, ...] = ()


def _part(name: str, share: float, *needs: str) -> Part:
    return Part(name, ROOT / "benchmarks" / f"gpu_{name}.py", share, needs)


PARTS = (
    _part("facts", 30),
    _part("training", 100),
    _part("sampling", 55),
    _part("views", 50, "nerfacc"),
    _part("profile", 45),
    _part("tests", 85, "pytest", "hypothesis"),
    _part("compiled", 75),
    _part("kernels", 50, "nerfacc"),
    _part("run", 540, "tomli-w"),  # what the others leave
)
COMPILES = "kernels"
"""The part that may compile CUDA code; the others do not see the compiler, so that none of them waits for it."""

# Figure: the cell that counts, whether more of it is better, and what is hoped for on one H100.
FIGURES = {
    "P2": ("images/s", True, "training, 64 px, 145 M parameters, batch 128: 1,000 images/s in 30 GB"),
    "P3": ("s for 50,000", False, "50,000 one-step samples at 64 px: 10 s"),
    "P6": ("s", False, "251 views of 128 x 128 x 64 by an MLP of 6 x 256: 1 s"),
}


# ------------------------------------------------------------------------------------------ what the machine lacks


def bounds() -> dict[str, str]:
    """Each package that inrkit needs, and its least version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = (re.match(r"([\w-]+)>=([\d.]+)", text) for text in project["dependencies"])
    return {match[1]: match[2] for match in found if match}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])


def installed(name: str, least: str = "0") -> bool:
    """Whether this Python has the package, new enough."""
    try:
        return numbers(importlib.metadata.version(name)) >= numbers(least)
    except importlib.metadata.PackageNotFoundError:
        return False


def fits(wheel: Path) -> bool:
    """Whether a wheel can be used by this Python as it lies there, by the tags of its name."""
    *_, python, _, system = wheel.stem.split("-")
    if system == "any":
        return python.startswith("py")
    version = f"cp3{sys.version_info.minor}"
    return version in python and "linux" in system and sys.platform == "linux" and platform.machine() in system


def unpack(wheels: Path, site: Path) -> list[str]:
    """Puts into ``site`` the wheels of what is missing or too old here; their names. A damaged one is left out."""
    least, taken = bounds(), list[str]()
    for wheel in sorted(wheels.glob("*.whl")):
        name = wheel.name.partition("-")[0].replace("_", "-")
        if not installed(name, least.get(name, "0")) and fits(wheel):
            with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
                taken.append(wheel.name)
    return taken


def announce(site: Path) -> None:
    """Says to Python what an installation would: inrkit's version and its plugins, which lie in the checkout."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    folder = site / f"{project['name']}-{project['version']}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        f"[{group}]" + "".join(f"\n{name} = {home}" for name, home in points.items())
        for group, points in project["entry-points"].items()
    ]
    (folder / "entry_points.txt").write_text("\n\n".join(lines) + "\n")


def environment(work: Path, site: Path) -> dict[str, str]:
    """Of the parts: they import from the checkout and from ``site``, and keep what they compile to themselves."""
    places = [ROOT, ROOT / "plugins", ROOT / "benchmarks", site]
    path = os.pathsep.join([*map(str, places), *filter(None, [os.environ.get("PYTHONPATH")])])
    caches = {
        name: str(work / name.lower())
        for name in ("TORCH_EXTENSIONS_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "XDG_CACHE_HOME")
    }
    return {**os.environ, **caches, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def without_compiler(variables: Mapping[str, str]) -> dict[str, str]:
    """The same for programs that are to find no nvcc."""
    folders = variables.get("PATH", "").split(os.pathsep)
    return {**variables, "PATH": os.pathsep.join(f for f in folders if not shutil.which("nvcc", path=f))}


# ------------------------------------------------------------------------------------------ parts


class Report:
    """What goes into gpu.json."""

    def __init__(self, out: Path, **facts: Any) -> None:
        self.path, self.began = out / "gpu.json", time.monotonic()
        self.facts, self.parts = {"version": 1, "state": "running", **facts}, dict[str, dict[str, Any]]()

    @property
    def seconds(self) -> float:
        return round(time.monotonic() - self.began, 1)

    def figures(self) -> dict[str, Any]:
        """The best row of each figure, beside what is hoped for."""
        rows = [row for part in self.parts.values() for row in part.get("rows", ())]
        found = dict[str, Any]()
        for name, (cell, more, goal) in FIGURES.items():
            tried = [row for row in rows if row.get("figure") == name and cell in row]
            if tried:
                best = max(tried, key=lambda row: row[cell] if more else -row[cell])
                found[name] = {"goal": goal, cell: best[cell], "by": best["what"]}
        return found

    def write(self, state: str = "running") -> None:
        """Replaces the file by a whole new one."""
        whole = {**self.facts, "state": state, "seconds": self.seconds, "figures": self.figures(), "parts": self.parts}
        draft = self.path.with_name(".gpu.json")
        draft.write_text(json.dumps(whole, indent=1) + "\n")
        os.replace(draft, self.path)

    def failures(self) -> list[str]:
        """Parts in which something went wrong."""
        return [name for name, part in self.parts.items() if part["state"] in ("failed", "cut") or part.get("errors")]


def perform(
    part: Part, arguments: Sequence[str], limit: float, variables: Mapping[str, str], work: Path, stopped: list[int]
) -> int | None:
    """Runs a part until it ends; to its limit, or until we are stopped, for which None is returned."""
    command = [sys.executable, str(part.script), "--json", "--seconds", f"{max(1.0, limit - MARGIN):.0f}", *arguments]
    until = time.monotonic() + limit
    with (work / f"{part.name}.rows").open("wb") as out, (work / f"{part.name}.log").open("wb") as log:
        child = subprocess.Popen(command, stdout=out, stderr=log, env=variables, cwd=ROOT, start_new_session=True)
        while (code := child.poll()) is None and time.monotonic() < until and not stopped:
            time.sleep(0.05)
        end(child)
    return code


def outcome(part: Part, code: int | None, work: Path) -> dict[str, Any]:
    """The rows that a part wrote, and what it said where something went wrong."""
    rows = list(read(work / f"{part.name}.rows"))
    errors = sum("error" in row for row in rows)
    state = "cut" if code is None else "failed" if code else "done"
    found = {"state": state, "exit": code, "errors": errors, "rows": rows}
    if state != "done" or errors:
        found["log"] = (work / f"{part.name}.log").read_text(errors="replace")[-6000:]
    return found


def end(child: "subprocess.Popen[bytes]") -> None:
    """Asks a program and all that it started to end, and makes them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE)


def read(rows: Path) -> Iterator[dict[str, Any]]:
    """The lines that are JSON objects; one that was cut off is not."""
    for line in rows.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict):
                yield row


# ------------------------------------------------------------------------------------------ all of it


def main(arguments: list[str] | None = None, parts: Sequence[Part] = PARTS) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu"), help="folder of gpu.json and pictures [%(default)s]")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu to try it [%(default)s]")
    parser.add_argument("--minutes", type=float, default=9.0, help="for all parts together [%(default)s]")
    parser.add_argument("--parts", nargs="+", choices=[part.name for part in parts], metavar="PART", help="%(choices)s")
    parser.add_argument("--smoke", action="store_true", help="everything at a tiny size: figures mean nothing")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        work, site = Path(folder), Path(folder) / "site"
        site.mkdir()
        taken = unpack(ROOT / "wheels", site)
        if not installed("inrkit"):
            announce(site)
        variables = environment(work, site)
        if reason := refused(chosen.device, variables):
            print(f"gpu.py: {reason}; --device cpu --smoke tries everything without a GPU", file=sys.stderr)
            return 2
        chosen.out.mkdir(parents=True, exist_ok=True)
        sys.path.append(str(site))
        lacking = [
            name for name, least in {**bounds(), "pytest": "0", "hypothesis": "0"}.items() if not installed(name, least)
        ]
        report = Report(chosen.out, device=chosen.device, smoke=chosen.smoke, wheels=taken, lacking=lacking)
        wanted = [part for part in parts if not chosen.parts or part.name in chosen.parts]
        return all_of(wanted, report, chosen, variables, work)


def refused(device: str, variables: Mapping[str, str]) -> str | None:
    """Why nothing can be measured here, in one line."""
    if device == "cpu":
        return None
    script = (
        "import sys, torch; name = sys.argv[1]; kind = name.partition(':')[0]\n"
        "sys.exit(None if kind != 'cuda' or torch.cuda.is_available() else "
        "f'expected a CUDA device, found none with PyTorch {torch.__version__}')\n"
    )
    command = [sys.executable, "-c", script, device]
    tried = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else (tried.stderr.strip().splitlines() or ["PyTorch cannot be imported"])[-1]


def all_of(
    parts: Sequence[Part], report: Report, chosen: argparse.Namespace, variables: Mapping[str, str], work: Path
) -> int:
    """Each part in turn, as long as there is time; the exit code."""
    arguments = ["--device", chosen.device, "--pictures", str(chosen.out.resolve()), *["--smoke"][: chosen.smoke]]
    whole, lacking = chosen.minutes * 60, set(report.facts["lacking"])
    with signals() as stopped:
        for part in parts:
            began = report.seconds
            limit, absent = min(part.share * chosen.minutes / 9, whole - began), lacking & {*part.needs}
            found: dict[str, Any]
            if absent:
                found = {"state": "left out", "reason": f"needs {', '.join(sorted(absent))}"}
            elif stopped or limit < MARGIN:
                found = {"state": "skipped", "reason": "stopped" if stopped else "no time was left"}
            else:
                seen = variables if part.name == COMPILES else without_compiler(variables)
                code = perform(part, arguments, limit, seen, work, stopped)
                found = {**outcome(part, code, work), "seconds": round(report.seconds - began, 1)}
            report.parts[part.name] = found
            report.write()
            print(line(part.name, found), flush=True)
        report.write("stopped" if stopped else "finished")
    for name, figure in report.figures().items():
        print(f"{name}: {json.dumps(figure)}")
    print(
        f"{report.path}: {report.seconds:.0f} s{', at a tiny size: its figures mean nothing' if chosen.smoke else ''}"
    )
    return 128 + stopped[0] if stopped else 1 if report.failures() else 0


@contextlib.contextmanager
def signals() -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM are noted; they end the part that runs, and what follows is only written down."""
    noted = list[int]()
    before = {
        number: signal.signal(number, lambda number, frame: noted.append(number))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def line(name: str, part: Mapping[str, Any]) -> str:
    """What became of a part."""
    said = part.get("reason") or f"{part['seconds']:.0f} s, {len(part['rows'])} rows, {part['errors']} errors"
    return f"{name:9} {part['state']}: {said}"


if __name__ == "__main__":
    sys.exit(main())
