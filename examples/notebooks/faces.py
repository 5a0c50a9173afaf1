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
# # A trained model: sample, zoom, edit
#
# `faces` is a model that comes with inrkit. One pass of its network maps noise, or a picture, to the params of a
# function of coordinates (an implicit neural representation, INR). Open this file with jupytext, or run it with Python.

# %%
import torch

import inrkit

model = inrkit.load("faces")
model

# %% [markdown]
# Samples: one pass of the network for each. The same seed gives the same faces.

# %%
samples = model.sample(16, seed=4)
samples

# %% [markdown]
# A sample is a function, so it has values everywhere. `at` evaluates it on any grid.

# %%
large = samples.rows(slice(0, 1)).at("192x192")
large.shape

# %%
inr = model.inr(samples, 0)
inrkit.open_inr(inr)

# %% [markdown]
# Between two samples, along the sphere that their noise lies on.

# %%
model.interpolate(None, steps=8, seed=4)

# %% [markdown]
# An edit keeps what was measured and makes up the rest. Here the right half of each face is unknown; two noise seeds
# give two answers.

# %%
known = torch.ones(32, 32, dtype=torch.bool)
known[:, 16:] = False
faces = samples.rows(slice(0, 2)).signal.clamp(-1, 1)
restored = [model.edit(faces, inrkit.KnownCells(known), seed=seed) for seed in (0, 1)]
restored[0]

# %%
restored[1]

# %% [markdown]
# What was known is kept exactly:

# %%
float((restored[0].observation.values - faces)[..., :16].abs().max())
