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
# # A new modality in fifty lines
#
# A signal that inrkit has never seen, the light of a variable star over one night: it is described by one class,
# learned from examples that the class makes up, and then generated, filled in and rendered at any resolution.

# %%
import tempfile

import torch

import inrkit


class LightCurve(inrkit.GridModality):
    """Brightness over a night in which one planet may pass before the star."""

    name, summary, axes = "lightcurve", "the light of a star over one night", 1

    def invent(self, chance):
        phase, strength, place, depth = torch.rand(4, generator=chance)

        def light(x):
            waves = 0.4 * strength * torch.sin(5 * x + 6.28 * phase)
            passing = torch.sigmoid(30 * (0.2 - (x - 1.2 * place + 0.6).abs()))
            return waves - 0.8 * depth * passing

        return light


# %% [markdown]
# Training: a small network, a few seconds. More steps and a larger `options.width` make it good.

# %%
run = tempfile.mkdtemp()
small = {"options.width": 32, "options.hidden": 64, "options.inr_width": 32, "options.count": 500, "batch_size": 16}
model = inrkit.train(modality=LightCurve, out=run, steps=30, overrides=small, on_end=lambda *_: None)
model

# %%
model.sample(12)

# %% [markdown]
# Clouds hide the middle of the night. The model fills it in, and keeps what was seen.

# %%
nights = model.modality.source(None, "test").read(range(4))["values"]
seen = torch.ones(64, dtype=torch.bool)
seen[20:40] = False
filled = model.edit(nights, inrkit.KnownCells(seen))
filled

# %% [markdown]
# Every night is a function of time: here with ten times as many values as were observed.

# %%
filled.at("640").shape
