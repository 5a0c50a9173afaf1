"""Damage to every kind of file that the program reads: nothing wrong is believed in silence."""

from pathlib import Path
from typing import final

import attrs

from inrkit.errors import DataError, UsageError
from soak.child import Ended, inrkit
from soak.faults import damages
from soak.prepared import COMMANDS, IMAGE, Prepared
from soak.stage import Stage, contents, is_plain, is_small, require, timeless


@final
@attrs.frozen
class Target:
    """A file, and a command that reads it.

    Args:
        sealed: Whether every byte of it counts: what is not refused, or said, must leave what the whole file leaves.
    """

    file: str
    words: str
    sealed: bool = True


STEP = "run/checkpoints/step-00000006"
SAMPLE, RENDER, IMPORT, ENCODE = (
    " ".join(map(str, COMMANDS[name])) for name in ("sample", "render", "import", "encode")
)
MODEL = "sample model -n 1 --device cpu -o samples"
RESUME = " ".join([*IMAGE, "--out", "run"])
# Files that are guarded by a hash, and files of others or of people, which may say anything that they can say.
SEALED = [
    *(Target(f"{STEP}/{name}", SAMPLE) for name in ("manifest.json", "ema.safetensors", "state.json")),
    *(
        Target(f"{STEP}/{name}", RESUME)
        for name in ("model.safetensors", "optimizer.safetensors", "random.safetensors")
    ),
    Target("run/config.toml", SAMPLE),
    Target("a.inr", RENDER),
    Target("a.inr", "export a.inr glsl -o a.glsl"),
    Target("store.h5", "data verify store.h5"),
    Target("store.h5", "data info store.h5"),
    *(Target(f"model/{name}", MODEL) for name in ("config.toml", "model.safetensors", "manifest.json", "README.md")),
]
OPEN = [
    Target("run/metrics.jsonl", RESUME),
    Target("run/timing.jsonl", RESUME),
    Target("settings.toml", "train --print-config --config settings.toml"),
    Target("pictures/b.png", IMPORT),
    Target("pictures/a.png", ENCODE),
    Target("a.jpg", "encode run a.jpg --device cpu -o encoded"),
    Target("mask.png", "edit run pictures/a.png --task inpaint --mask mask.png --device cpu -o edited"),
    Target("arrays.npz", "data import npz arrays.npz -o new.h5"),
    Target("pictures.zip", "data import images pictures.zip -o new.h5"),
    Target("pictures.tar.gz", "data import images pictures.tar.gz -o new.h5"),
    Target("scene/transforms.json", "data import nerfstudio scene -o new.h5"),
    Target("scene/a.png", "data import nerfstudio scene -o new.h5"),
]
TARGETS = [*SEALED, *(attrs.evolve(target, sealed=False) for target in OPEN)]
REFUSED = (UsageError.exit_code, DataError.exit_code)


@final
class Damage(Stage):
    """A case is a file with one damage, and the command that reads it."""

    name = "damage"
    summary = "flipped bits, truncations, zeroed blocks and additions in every kind of file that is read"
    count = 15_000

    def __init__(self, given: Prepared, scale: float = 1.0, seed: int = 0) -> None:
        super().__init__(given, scale, seed)
        self._whole: dict[int, tuple[dict[str, str], str]] = {}

    def case(self, number: int, folder: Path) -> str:
        which = number % len(TARGETS)
        target = TARGETS[which]
        path = self.given.fill(folder) / target.file
        path.write_bytes(next(damages(path.read_bytes(), 1, f"{self.seed} {number}")))
        ended = inrkit(folder, *target.words.split())
        is_plain(ended, 0, *REFUSED)
        is_small(ended, self.given)
        kind = Path(target.file).suffix or target.file
        if ended.code:
            return f"{kind}: refused"
        if not target.sealed:
            return f"{kind}: read"
        expected, said = self._read_whole(which)
        found = _results(ended, folder)
        same = all(found.get(name) == value for name, value in expected.items() if name != target.file)
        require(same or ended.err != said, f"{target.file}: read without a word, with another result", ended)
        return f"{kind}: {'the same' if same else 'said so and went on'}"

    def _read_whole(self, which: int) -> tuple[dict[str, str], str]:
        """What the command leaves and prints when the file is whole, but for what holds the time; what it says."""
        if which not in self._whole:
            results = []
            for part in ("first", "second"):
                folder = self.given.fill(self.given.folder.parent / f"whole-{which}-{part}")
                ended = inrkit(folder, *TARGETS[which].words.split())
                is_plain(ended, 0)
                results.append(_results(ended, folder))
            same = {name: value for name, value in results[0].items() if results[1].get(name) == value}
            self._whole[which] = same, ended.err
        return self._whole[which]


def _results(ended: Ended, folder: Path) -> dict[str, str]:
    """The files, and what was printed."""
    return {**timeless(contents(folder)), "": ended.out}
