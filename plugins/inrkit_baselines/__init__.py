"""The networks that INRs are compared with: the function ``grid``, and denoisers that write one grid of values.

>>> import inrkit
>>> sorted(name for name, entry in inrkit.load_plugins().denoisers.items() if entry.plugin == "baselines")
['dit', 'unet', 'uvit']

"""

import inrkit
from inrkit import Register


@inrkit.hookimpl
def register_functions(register: Register) -> None:
    register("grid", "inrkit_baselines.grid:GridFunction", "one grid of values, interpolated")


@inrkit.hookimpl
def register_denoisers(register: Register) -> None:
    register("unet", "inrkit_baselines.unet:UNet", "residual convolutions at several scales, with attention (DDPM++)")
    register("uvit", "inrkit_baselines.uvit:UViT", "a transformer with long skip connections (U-ViT)")
    register("dit", "inrkit_baselines.dit:DiT", "a transformer with adaptive norms (DiT)")
