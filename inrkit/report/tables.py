"""`evaluation.json` as tables for people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from inrkit.drawing.page import Block, Charts, Picture, Table
from inrkit.evaluation import diagnose, search

_COLUMNS = {
    "frechet": "Fréchet ↓",
    "frechet_ratio": "/ floor",
    "kid": "KID ↓",
    "precision": "precision ↑",
    "recall": "recall ↑",
    "f1": "F1 ↑",
    "density": "density ↑",
    "coverage": "coverage ↑",
    "diversity": "diversity",
    "sliced_wasserstein": "sliced W. ↓",
    "sliced_wasserstein_ratio": "/ floor",
}
_SPACES = {
    "values": "The values themselves.",
    "random-conv": "Features of a random convolutional network: local structure and coarse layout.",
    "whitened-pca": "Whitened principal components of the values: how the set varies.",
}
_ROWS = {"real": "training signals (floor)", "noise": "Gaussian noise"}


def evaluation_blocks(evaluation: Mapping[str, Any], run_dir: Path) -> list[Block]:
    """Tables of what was measured, and the sheet of nearest neighbours."""
    blocks: list[Block] = [*_signal_table(evaluation)]
    sets = evaluation.get("sets", {})
    for space, rows in sets.get("spaces", {}).items():
        blocks.append(_set_table(space, rows, int(sets.get("count", 0))))
    if drawn := {**search.charts(evaluation), **diagnose.charts(evaluation)}:
        blocks.append(Charts(drawn))
    blocks += _memorisation(evaluation.get("memorisation"))
    sheet = run_dir / "nearest.png"
    if "memorisation" in evaluation and sheet.is_file():
        with Image.open(sheet) as opened:
            caption = "The samples that are closest to a training signal, each above that signal."
            blocks.append(Picture(opened.convert("RGB"), caption))
    return blocks


def evaluation_lead(evaluation: Mapping[str, Any]) -> str:
    """Which checkpoint and which seed the figures are of."""
    return f"At step {evaluation['step']:,}, seed {evaluation['seed']}." if "step" in evaluation else ""


def _signal_table(evaluation: Mapping[str, Any]) -> list[Block]:
    encode, resolution = evaluation.get("encode", {}), evaluation.get("resolution", {})
    names = {
        "psnr": "reconstruction PSNR, dB",
        "ssim": "reconstruction SSIM",
        "constant": "PSNR of the mean training signal, dB",
    }
    own = {name: f"reconstruction {name}" for name in encode if name not in (*names, "count")}  # the modality's
    found = {text: encode.get(name) for name, text in (names | own).items()}
    found |= {f"PSNR of the {name} render, averaged down, dB": spread for name, spread in resolution.items()}
    rows = [
        (name, *(_text(spread[key]) for key in ("mean", "std", "p5", "median", "p95")))
        for name, spread in found.items()
        if spread and "mean" in spread
    ]
    head = ("over held-out signals", "mean", "std", "5 %", "median", "95 %")
    note = f"{encode['count']:,} signals." if "count" in encode else ""
    return [Table(head, rows, note)] if rows else []


def _set_table(space: str, rows: Mapping[str, Mapping[str, float]], count: int) -> Block:
    used = [name for name in _COLUMNS if any(name in row for row in rows.values())]
    head = (space, *(_COLUMNS[name] for name in used))
    cells = [
        (_ROWS.get(label, label), *(_text(row[name]) if name in row else "" for name in used))
        for label, row in rows.items()
    ]
    return Table(head, cells, f"{_SPACES.get(space, '')} {count:,} signals in each set.".strip())


def _memorisation(found: Mapping[str, Any] | None) -> list[Block]:
    if not found:
        return []
    rows = [
        (name, _text(found[key]["median"]), _text(found[key]["least"]))
        for name, key in (("samples", "samples"), ("held-out signals", "held_out"))
    ]
    note = (
        f"Distances are root mean squares over values on [-1, 1], to {found['training']:,} training signals. "
        f"{found['suspicious']:.1%} of the samples are closer to one than 99 % of the held-out signals are; "
        "1 % is expected where nothing is memorised."
    )
    return [Table(("distance to the nearest training signal", "median", "smallest"), rows, note)]


def _text(value: float) -> str:
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"
