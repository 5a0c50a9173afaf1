"""Trained models: ``inrkit sample faces -n 16``. The card in each folder says how it was trained.

inrkit train --out runs/faces --minutes 2
inrkit models save runs/faces plugins/inrkit_models/faces --license Apache-2.0
"""

from pathlib import Path

import inrkit

INRKIT_API = 1

FACES = Path(__file__).parent / "faces"


@inrkit.hookimpl
def register_models(register: inrkit.Register) -> None:
    register("faces", "inrkit_models:FACES", "synthetic faces, 32x32 pixels")
