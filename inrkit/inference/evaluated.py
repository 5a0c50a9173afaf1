"""What was measured of a run: `evaluation.json`, as `inrkit evaluate` leaves it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inrkit.storage import atomic

FORMAT = 2
_NAME = "evaluation.json"


def write_evaluation(run: Path, figures: Mapping[str, Any]) -> None:
    """Whole or not at all."""
    atomic.write_text(run / _NAME, json.dumps(figures, indent=2, allow_nan=False) + "\n")


def read_evaluation(run: Path) -> dict[str, Any]:
    """Empty where nothing was measured, or by another version: figures are measured anew, and a file of them that is
    damaged is no reason to have no report."""
    try:
        found = json.loads((run / _NAME).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("format") == FORMAT else {}
