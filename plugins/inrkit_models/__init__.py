"""Trained models: ``inrkit sample faces -n 16``. The card in each folder says how it was trained.

inrkit train --preset faces --steps 3600 --out runs/faces
inrkit evaluate runs/faces -n 500 --search-times
inrkit models save runs/faces plugins/inrkit_models/faces --license Apache-2.0
"""

from pathlib import Path

import inrkit

INRKIT_API = 1

FACES = Path(__file__).parent / "faces"


@inrkit.hookimpl
def register_models(register: inrkit.Register) -> None:
    register("faces", "inrkit_models:FACES", "synthetic faces, 32x32 pixels")
