# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A signal as a function in a file
#
# A picture becomes a function of coordinates: encoded in one pass, saved in an `.inr` file, opened without the model,
# evaluated and differentiated at any place.

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch

import inrkit

model = inrkit.load("faces")
picture = np.zeros((64, 64, 3), np.uint8)
rows, columns = np.mgrid[:64, :64]
picture[..., 0] = 120 + columns
picture[..., 1] = 90
picture[((rows - 30) / 22) ** 2 + ((columns - 32) / 16) ** 2 < 1] = (230, 180, 150)
encoded = model.encode(picture, progress=inrkit.TextBar())
encoded

# %% [markdown]
# A file of its own, and what it holds.

# %%
folder = Path(tempfile.mkdtemp())
path = inrkit.save_inr(folder / "picture.inr", model.inr(encoded, 0))
f"{path.stat().st_size / 1000:.1f} kB"

# %% [markdown]
# Whoever opens it needs the plugin of its modality, but no model and no data.

# %%
opened = inrkit.open_inr(path)
opened

# %%
(picture_again,) = opened.render("256x256")
picture_again.shape

# %% [markdown]
# The field is a plain function of coordinates in [-1, 1], rows first; torch differentiates it.

# %%
coords = torch.rand(1, 200, 2).mul(2).sub(1).requires_grad_()
values = encoded.field(coords)
(slope,) = torch.autograd.grad(values.sum(), coords)
values.shape, slope.shape
