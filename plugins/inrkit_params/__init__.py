"""Two-stage systems: the modality ``params`` learns from a file of params that another run made of its signals.

With the function ``siren`` and the encoder ``functa`` the classic pipeline (functa) is there in full.

>>> import inrkit
>>> inrkit.load_plugins().modality("params").summary
'params of INRs that another run encoded'

"""

import inrkit
from inrkit import Register


@inrkit.hookimpl
def register_modalities(register: Register) -> None:
    register("params", "inrkit_params.modality:ParamsModality", "params of INRs that another run encoded")


@inrkit.hookimpl
def register_functions(register: Register) -> None:
    register("siren", "inrkit_params.siren:Siren", "sines with weights that all signals share, shifted by a latent")


@inrkit.hookimpl
def register_denoisers(register: Register) -> None:
    register("functa", "inrkit_params.functa:Functa", "a few steps of gradient descent on the params themselves")
