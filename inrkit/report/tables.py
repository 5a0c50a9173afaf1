"""`evaluation.json` for people: what it says in words, one table, and what can be drawn.

A figure that needs more signals than there are is not shown; the note under the table says how many it needs, and why.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from PIL import Image

from inrkit.drawing.page import Block, Charts, Picture, Table
from inrkit.evaluation import consistency, search
from inrkit.evaluation.classes import SURE
from inrkit.evaluation.generation import COPIES, FEW
from inrkit.evaluation.names import ENOUGH, OF_SETS

_Lines: TypeAlias = dict[str, dict[str, str]]  # name of a figure -> column -> text

_HELD_OUT, _REAL, _NOISE = "held-out signals", "training signals (floor)", "noise"
_COLUMNS = {"real": _REAL, "noise": _NOISE, "held_out": _HELD_OUT}
_FIXED = {_HELD_OUT: 0, _REAL: 2, _NOISE: 3}  # places of columns; kinds of samples stand between
_KNOWN = {
    "psnr": "reconstruction PSNR, dB ↑",
    "ssim": "reconstruction SSIM ↑",
    "constant": "PSNR of the mean training signal, dB",
    "nearest": "PSNR of the nearest training signal, dB",
}
_NAMES = {
    "frechet": "Fréchet distance ↓",
    "kid": "KID ↓",
    "precision": "precision ↑",
    "recall": "recall ↑",
    "f1": "F1 of both ↑",
    "density": "density ↑",
    "coverage": "coverage ↑",
    "diversity": "diversity",
    "sliced_wasserstein": "sliced Wasserstein distance ↓",
}
_SPACES = {
    "random-filters": "convolutions with fixed random weights, which see local structure, contrast and coarse layout",
    "edge-filters": "the same, half of whose first filters answer to differences only: blur, blocks and grain",
    "principal-components": "where, and how, real signals vary most",
}
_CLASSES = {
    "sure": f"share of signals that it is surer of than {SURE:g} ↑",
    "confidence": "mean confidence ↑",
    "class_entropy": "entropy of the classes (1: as many of each)",
    "rarest": "rarest class",
    "commonest": "commonest class",
    "accuracy": "accuracy (of samples: the class asked for) ↑",
}
_EACH_CLASS = 10
"""Signals for each class from which on shares of classes are shown."""
_FLOOR = (
    "The floor is the same figure for as many training signals, which are real: "
    "no generator can be expected to beat it."
)


def evaluation_blocks(evaluation: Mapping[str, Any], run_dir: Path) -> list[Block]:
    """The table of what was measured, its curves, and the sheet of nearest neighbours."""
    table = evaluation_table(evaluation)
    blocks: list[Block] = [table] if table.rows else []
    if drawn := {**search.charts(evaluation), **consistency.charts(evaluation)}:
        blocks.append(Charts(drawn))
    sheet = run_dir / "nearest.png"
    if "memorisation" in evaluation and sheet.is_file():
        with Image.open(sheet) as opened:
            caption = "The samples that are closest to a training signal, each above that signal."
            blocks.append(Picture(opened.convert("RGB"), caption))
    return blocks


def evaluation_sentence(evaluation: Mapping[str, Any]) -> str:
    """In words: how well signals are encoded and generated, of how many, and by which checkpoint."""
    if "step" not in evaluation:
        return ""
    asked, there = int(evaluation.get("asked", 0)), int(evaluation.get("held_out", 0))
    count = int(evaluation.get("taken", 0))
    taken = f"{count:,} held-out signal{'s'[: count != 1]}"
    remarks = [f"{asked:,} were asked for"] if asked > there else []
    figures = evaluation.get("reconstruction", {})
    said = []
    if "mean" in figures.get("psnr", {}):
        constant = figures.get("constant", {}).get("mean")
        beside = [*remarks, *([] if constant is None else [f"constant answer {constant:.1f}"])]
        said.append(f"reconstruction {figures['psnr']['mean']:.1f} dB on {taken}{_in_brackets(beside)}")
    near, by = _nearness(evaluation)
    if "stand_in" in evaluation:
        by = [*by, f"the training signals of {evaluation['stand_in']} standing for the run's own"]
    first = "; ".join([*said, *near])
    first = f"{first[:1].upper()}{first[1:]}. " if first else ""
    origin = f"step {evaluation['step']:,}, seed {evaluation['seed']}"
    return (
        f"{first}Measured at {', '.join([origin, *([] if said else [f'over {taken}{_in_brackets(remarks)}']), *by])}."
    )


def _in_brackets(remarks: Sequence[str]) -> str:
    return f" ({'; '.join(remarks)})" if remarks else ""


def _nearness(evaluation: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """How far samples are from held-out signals, in the first space that can tell (the user's network before ours); and
    by which features, of how many signals."""
    sets = evaluation.get("sets", {})
    spaces = sorted(sets.get("spaces", {}).items(), key=lambda item: item[0] in _SPACES)
    for space, rows in spaces:
        name = next((name for name in rows if name not in _COLUMNS), "")
        if (ratio := rows.get(name, {}).get("frechet_ratio")) is not None:
            who = "one-step samples" if name == "1 step" else f"samples of {name}"
            by = f"by the Fréchet distance in {space.replace('-', ' ')}, {sets['count']:,} signals in each set"
            return [f"{who} {ratio:.1f} times as far from held-out signals as training signals are"], [by]
    return [], []


def evaluation_table(evaluation: Mapping[str, Any]) -> Table:
    """A row for each figure, a column for each kind of signals that it is of."""
    lines = _of_held_out(evaluation) | _of_sets(evaluation) | _of_training(evaluation) | _of_classes(evaluation)
    first = next((column for cells in lines.values() for column in cells if column not in _FIXED), "samples")
    lines |= _beside_training(evaluation, first)
    lines |= _of_every(evaluation)
    used = dict.fromkeys(column for cells in lines.values() for column in cells)
    columns = sorted(used, key=lambda column: _FIXED.get(column, 1))
    rows = [(name, *(cells.get(column, "") for column in columns)) for name, cells in lines.items()]
    return Table(("", *columns), rows, _note(evaluation, columns))


def _note(evaluation: Mapping[str, Any], columns: list[str]) -> str:
    parts = [_FLOOR] if _REAL in columns else []
    parts += _left_out(evaluation)
    sets = evaluation.get("sets", {})
    shown = [name for name in sets.get("spaces", {}) if name != "values" and _is_enough(sets, name)]
    if shown:
        parts.append(
            "".join(f"{name.replace('-', ' ')}: {_SPACES.get(name, 'a network of yours')}; " for name in shown)
            + "figures in these features are not to be compared with published FIDs, or with those in others."
        )
        if any("frechet_error" in row for name in shown for row in sets["spaces"][name].values()):
            parts.append(f"Fréchet distances of fewer than {FEW:,} signals: ± standard error from their choice.")
    if _of_training(evaluation):
        found = evaluation["training"]
        parts.append(
            f"Fréchet from training signals: of {found['samples']:,} samples from {found['signals']:,} training "
            "signals, as papers have it; held-out signals stand beside them where there are as many."
        )
    if networks := evaluation.get("classes"):
        parts.append(
            f"Classes are those that {' and '.join(networks)} names, the likeliest one of each signal; shares ± "
            f"standard error. Rarest, commonest and entropy are shown from {_EACH_CLASS} signals for each class on."
        )
    if (found := evaluation.get("memorisation")) and found["queries"] >= COPIES:
        parts.append(
            f"Distances to {found['training']:,} training signals are root mean squares over values on [-1, 1]. "
            "Closer than 99 % of the held-out signals: 1 % is expected where nothing is memorised."
        )
    return " ".join(parts)


def _of_held_out(evaluation: Mapping[str, Any]) -> _Lines:
    """Means over held-out signals, ± standard deviation."""
    figures = dict(evaluation.get("reconstruction", {}))
    named = {text: figures.get(name) for name, text in _KNOWN.items()}
    named |= {f"reconstruction, {name}": v for name, v in figures.items() if name not in (*_KNOWN, "count")}
    for key, text in (("larger", "against the truth"), ("resolution", "averaged down")):
        named |= {f"PSNR of the {name} render {text}, dB ↑": v for name, v in evaluation.get(key, {}).items()}
    known = {name: v for name, v in named.items() if v and "mean" in v}
    lines = {name: {_HELD_OUT: f"{_text(v['mean'])} ± {_text(v['std'])}"} for name, v in known.items()}
    for name, text in (("denoising", "denoising distance"), ("trajectory", "path of f over all noise levels")):
        found = evaluation.get(name, {})
        plain = {key: value for key, value in found.items() if key not in ("count", "curves")}
        lines |= {f"{text}, {key.replace('at ', 't = ')}": {_HELD_OUT: _text(v)} for key, v in plain.items()}
    return lines


def _of_sets(evaluation: Mapping[str, Any]) -> _Lines:
    """The Fréchet distance in every space of features; every figure in the first, and in networks of the user's."""
    lines: _Lines = {}
    sets = evaluation.get("sets", {})
    spaces = sets.get("spaces", {})
    whole = {*(name for name in spaces if name not in _SPACES), *list(_SPACES)[:1]}
    for space, rows in spaces.items():
        for figure in OF_SETS if space in whole else ("frechet",):
            cells = {_COLUMNS.get(k, k): _distance(row, figure) for k, row in rows.items() if figure in row}
            if cells and _is_enough(sets, space if figure == "frechet" else ""):
                lines[_in_space(_NAMES[figure], space)] = cells
    return lines


def _of_training(evaluation: Mapping[str, Any]) -> _Lines:
    """Fréchet distances from training signals."""
    spaces = evaluation.get("training", {}).get("spaces", {})
    return {
        _in_space("Fréchet from training signals ↓", space): {
            _COLUMNS.get(k, k): _distance(row, "frechet") for k, row in rows.items()
        }
        for space, rows in spaces.items()
    }


def _is_enough(sets: Mapping[str, Any], space: str = "") -> bool:
    """Whether there are the signals that a Fréchet distance in this space needs, or any other figure of sets."""
    least: int = sets["needed"].get(space, ENOUGH)
    return bool(sets["count"] >= least)


def _left_out(evaluation: Mapping[str, Any]) -> list[str]:
    """Which figures are not shown, how many signals they need, and why."""
    said, sets = [], evaluation.get("sets", {})
    if sets and not _is_enough(sets):
        said.append(
            f"Figures of sets are not shown: they need {ENOUGH} signals in each set, because with fewer noise can "
            f"score better than real signals; here are {sets['count']:,}."
        )
    elif few := [name for name in sets.get("spaces", {}) if not _is_enough(sets, name)]:
        least = ", ".join(f"{name.replace('-', ' ')} {sets['needed'][name]:,}" for name in few)
        said.append(
            "Fréchet distances are shown only of more signals than there are features, without which a covariance is "
            f"not known: {least}; here are {sets['count']:,}."
        )
    found, pairs = evaluation.get("memorisation"), evaluation.get("spread")
    if (found and found["queries"] < COPIES) or (pairs and pairs["count"] < COPIES):
        said.append(
            f"Distances to training signals and within pairs are not shown: they need {COPIES} held-out signals, "
            "without which one in a hundred of them is not known."
        )
    return said


def _of_every(evaluation: Mapping[str, Any]) -> _Lines:
    """Fréchet distances over all single pictures."""
    found = evaluation.get("every", {})
    what = f"Fréchet distance of {found.get('count', 0):,} pictures ↓"
    return {
        _in_space(what, space): {_COLUMNS.get(kind, kind): _text(value) for kind, value in row.items()}
        for space, row in found.get("spaces", {}).items()
    }


def _in_space(text: str, space: str) -> str:
    """ "KID ↓" in the space "edge-filters": "KID, edge filters ↓"."""
    plain = text.rstrip(" ↓↑")
    return text if space == "values" else f"{plain}, {space.replace('-', ' ')}{text[len(plain) :]}"


def _of_classes(evaluation: Mapping[str, Any]) -> _Lines:
    """What classifiers make of signals, one by one; shares ± standard error."""
    lines: _Lines = {}
    for network, rows in evaluation.get("classes", {}).items():
        for figure, text in _CLASSES.items():
            cells = {_COLUMNS.get(key, key): _share(row, figure) for key, row in rows.items() if figure in row}
            lines |= {f"{network}: {text}": cells} if any(cells.values()) else {}
    return lines


def _share(row: Mapping[str, Any], figure: str) -> str:
    """Nothing where there are too few signals for so many classes."""
    value, count = row[figure], row["count"]
    if figure in ("class_entropy", "rarest", "commonest") and count < _EACH_CLASS * len(row["shares"]):
        return ""
    if figure == "class_entropy":
        return _text(value)
    if figure == "confidence":
        return f"{value:.1%}"
    near = (value * count + 2) / (count + 4)  # Agresti and Coull 1998: all of few signals is not certainty
    return f"{value:.1%} ± {(near * (1 - near) / (count + 4)) ** 0.5:.1%}"


def _beside_training(evaluation: Mapping[str, Any], first: str) -> _Lines:
    """Figures of the first kind of samples."""
    lines: _Lines = {}
    if (found := evaluation.get("memorisation")) and found["queries"] >= COPIES:
        for key, name in (("median", "median"), ("least", "smallest")):
            cells = {first: _text(found["samples"][key]), _REAL: _text(found["held_out"][key])}
            lines[f"nearest training signal, {name} distance"] = cells
        lines["closer to one than 99 % of the held-out"] = {first: f"{found['suspicious']:.1%}", _REAL: "1 %"}
    if (found := evaluation.get("spread")) and found["count"] >= COPIES:
        lines["distance within pairs of signals"] = {first: _text(found["samples"]), _REAL: _text(found["real"])}
    return lines


def _distance(row: Mapping[str, float], figure: str) -> str:
    ratio, error = row.get(f"{figure}_ratio"), row.get(f"{figure}_error")
    return (
        _text(row[figure])
        + (f" ± {_text(error)}" if error is not None else "")
        + (f" ({_text(ratio)} x floor)" if ratio is not None else "")
    )


def _text(value: float) -> str:
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}" if abs(value) >= 0.01 else f"{value:.2g}"
