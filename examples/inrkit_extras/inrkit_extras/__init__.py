"""One objective, sampler, tracker and source: what a plugin can bring besides a modality.

>>> import inrkit
>>> inrkit.load_plugins().tracker("csv").name
'csv'

"""

import inrkit

INRKIT_API = 1


@inrkit.hookimpl
def register_objectives(register: inrkit.Register) -> None:
    register("huber", "inrkit_extras.objective:Huber", "reconstruction by the Huber distance")


@inrkit.hookimpl
def register_samplers(register: inrkit.Register) -> None:
    register("midpoint", "inrkit_extras.sampler:Midpoint", "the midpoint method along the ODE of a diffusion model")


@inrkit.hookimpl
def register_trackers(register: inrkit.Register) -> None:
    register("csv", "inrkit_extras.tracker:CsvTracker", "a table of the metrics, in the run directory")


@inrkit.hookimpl
def register_sources(register: inrkit.Register) -> None:
    register("npy", "inrkit_extras.source:ArrayOpener", "the rows of an .npy array")
