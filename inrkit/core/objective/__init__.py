"""What training minimises: distances, weightings, and one small class for each system of the papers."""

from inrkit.core.objective.base import Distilled, Loss, Objective, Step
from inrkit.core.objective.continuous import Diffusion, Ect
from inrkit.core.objective.discrete import CmFunc, Ct, Ict
from inrkit.core.objective.distance import DISTANCES, Distance, l2_norm, pseudo_huber, squared
from inrkit.core.objective.distill import Cd
from inrkit.core.objective.inrct import Inrct, Reconstruction
from inrkit.core.objective.pair import consistency_pair
from inrkit.core.objective.weighting import WEIGHTINGS, Weighting

__all__ = [
    "DISTANCES",
    "WEIGHTINGS",
    "Cd",
    "CmFunc",
    "Ct",
    "Diffusion",
    "Distance",
    "Distilled",
    "Ect",
    "Ict",
    "Inrct",
    "Loss",
    "Objective",
    "Reconstruction",
    "Step",
    "Weighting",
    "consistency_pair",
    "l2_norm",
    "pseudo_huber",
    "squared",
]
