"""Imports torch, for which every command would wait, and changes what all computations share."""

import torch

torch.set_default_dtype(torch.float64)
torch.manual_seed(7)
