"""Fields on the sphere: what is measured at latitudes and longitudes becomes a function without a seam.

inrkit train --modality sphere --out runs/weather
inrkit sample runs/weather -n 16 -o new
inrkit render new/0000.inr --size 720x360
inrkit render new/0000.inr --at latitude=50 --at longitude=10
"""

import inrkit


@inrkit.hookimpl
def register_modalities(register: inrkit.Register) -> None:
    register("sphere", "inrkit_sphere.modality:SphereModality", "fields on latitude and longitude, seen from any side")


@inrkit.hookimpl
def register_importers(register: inrkit.Register) -> None:
    register("latlon", "inrkit_sphere.modality:LatLonImporter", "maps as .npy files, north first, one to a file")
