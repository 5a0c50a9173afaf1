"""soak.json: what has been done, so that it is not repeated, and what came of it."""

import json
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import attrs

from inrkit.storage import atomic

ROOT = Path(__file__).parents[1]


@final
@attrs.define
class Results:
    """Of one stage.

    Args:
        version: The commit, with "+" where files differ from it.
        done: Cases that are finished: all below this number.
        seconds: That they took.
        outcomes: What came of them, and how often.
        failures: By case, which promise did not hold.
    """

    version: str
    seed: int
    done: int = 0
    seconds: float = 0.0
    outcomes: dict[str, int] = attrs.field(factory=dict)
    failures: dict[str, str] = attrs.field(factory=dict)


@final
class Record:
    """The results of all stages, in one JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stages: dict[str, Results] = {}
        if path.exists():
            held: Mapping[str, Any] = json.loads(path.read_text())
            self.stages = {name: Results(**values) for name, values in held["stages"].items()}

    def results(self, name: str, seed: int) -> Results:
        """Those of a stage to go on with; new ones where they are another program's or of another seed."""
        found, now = self.stages.get(name), version()
        if found is None or (found.version, found.seed) != (now, seed):
            self.stages[name] = Results(now, seed)
        return self.stages[name]

    def write(self) -> None:
        """Whole or not at all."""
        stages = {name: attrs.asdict(results) for name, results in self.stages.items()}
        text = json.dumps({"machine": machine(), "stages": stages}, indent=1)
        atomic.write_text(self.path, text + "\n")


def version() -> str:
    """The commit that is tried."""

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "inrkit", "plugins", "soak")
    return (git("rev-parse", "--short=10", "HEAD") or "unknown") + ("+" if changed else "")


def machine() -> dict[str, str]:
    """The processor, the system and the versions that results belong to."""
    import torch

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
