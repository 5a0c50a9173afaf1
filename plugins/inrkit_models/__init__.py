"""Trained models: ``inrkit sample faces -n 16``. The card in each folder says how it was trained.

inrkit train --preset faces --steps 3600 --out runs/faces
inrkit evaluate runs/faces -n 500 --search-times
inrkit models save runs/faces -o plugins/inrkit_models/faces --license Apache-2.0

inrkit data import idx FOLDER -o digits.h5
inrkit train --preset faces --data digits.h5 --set options.classes=10 --set label_dropout=0.1 \\
    --set options.patch=7 --set options.token_patch=7 --steps 10000 --out runs/digits
inrkit evaluate runs/digits -n 500
inrkit models save runs/digits -o plugins/inrkit_models/digits --license CC-BY-SA-3.0

inrkit train --modality nerf --size small --steps 4000 --out runs/cars
inrkit evaluate runs/cars -n 300
inrkit models save runs/cars -o plugins/inrkit_models/cars --license Apache-2.0

inrkit train --modality audio --preset strings --out runs/strings
inrkit evaluate runs/strings -n 500 --search-times
inrkit models save runs/strings -o plugins/inrkit_models/strings --license Apache-2.0
"""

from pathlib import Path

import inrkit

INRKIT_API = 1

FACES = Path(__file__).parent / "faces"
DIGITS = Path(__file__).parent / "digits"
CARS = Path(__file__).parent / "cars"
STRINGS = Path(__file__).parent / "strings"


@inrkit.hookimpl
def register_models(register: inrkit.Register) -> None:
    register("faces", "inrkit_models:FACES", "synthetic faces, 32x32 pixels")
    register("digits", "inrkit_models:DIGITS", "handwritten digits of MNIST by class, 28x28 pixels")
    register("cars", "inrkit_models:CARS", "radiance fields of synthetic cars, from pictures of 32x32 pixels")
    register("strings", "inrkit_models:STRINGS", "plucked strings, 64 milliseconds at 8 kHz")
