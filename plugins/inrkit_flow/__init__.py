"""Flow maps: networks of two noise levels that lead from any level to any cleaner one.

>>> import inrkit
>>> registry = inrkit.load_plugins()
>>> registry.objective("meanflow").sampler, registry.sampler("flow-map").name
('flow-map', 'flow-map')

"""

import inrkit
from inrkit import Register


@inrkit.hookimpl
def register_objectives(register: Register) -> None:
    register("meanflow", "inrkit_flow.objective:MeanFlow", "MeanFlow by prediction of the signal, for flow maps")
    register("shortcut", "inrkit_flow.shortcut:Shortcut", "shortcut models: flow maps by two jumps for one")


@inrkit.hookimpl
def register_samplers(register: Register) -> None:
    register("flow-map", "inrkit_flow.sampler:FlowMapSampler", "jumps along the ODE by a flow map, without new noise")
