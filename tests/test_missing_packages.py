"""A machine that lacks a package still does everything that does not need it."""

import os
import subprocess
import sys

SCRIPT = """
import itertools, sys
for name in ("kornia", "kornia_rs", "nerfacc", "tomli_w"):
    sys.modules[name] = None  # importing it now fails

import torch
import inrkit, inrkit_nerf.modality
from inrkit.machine.processes import Ranks
from inrkit.training.learner import Learner

options = {"size": [16, 16], "width": 32, "depth": 1, "decoder_depth": 1, "heads": 1, "hidden": 64, "count": 8}
resolved = inrkit.resolve("image", "tiny", flags={"options": options, "batch_size": 4, "steps": 10})
learner = Learner(resolved, Ranks(), torch.device("cpu"), "fp32")
values, _ = learner.learn(learner.enter_phase(), iter([resolved.source("train").read(range(4))]), stop=False)
sampled = inrkit.sample(learner.pipeline, resolved.modality.template(2), inrkit.Draws(0, 2))
assert values["loss"] > 0 and sampled.signal.isfinite().all()
print("fine", end="")
"""


def test_images_learn_and_are_sampled_without_resizing_marching_or_toml() -> None:
    """Each package is imported where it is used: resizing (kornia), marching (nerfacc), writing a config (tomli-w)."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (0, "fine"), done.stderr[-2000:]
