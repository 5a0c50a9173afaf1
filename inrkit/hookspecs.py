"""Every hook a plugin may implement, on one page. Each docstring is the contract.

A plugin is a module named in the entry-point group ``inrkit`` of any installed distribution. It marks its functions
with ``@inrkit.hookimpl``. Hooks hand over *strings*, "module:attribute", so that registering imports nothing heavy: a
target is imported when somebody asks for its name. Names consist of lower-case letters, digits and dashes.

While it is imported, and in its hooks, a plugin neither prints nor imports torch nor changes what all share: every
command waits for it. A line ``INRKIT_API = 1`` in the module says which version of this page it was written for; one
that was written for another is not imported.
"""

from typing import Protocol

import pluggy

API = 1
"""The version of the hooks; it grows when plugins that were written for this one would no longer work."""

hookspec = pluggy.HookspecMarker("inrkit")
hookimpl = pluggy.HookimplMarker("inrkit")
"""Marks a plugin's function as the implementation of the hook of the same name."""


class Register(Protocol):
    """What every hook is called with."""

    def __call__(self, name: str, target: str, summary: str) -> None:
        """Offer ``target`` ("module:attribute") under ``name``; ``summary`` is one line for lists and help texts.

        A name may be registered once per kind, by one plugin: a second one is refused, with everything its plugin
        registers.
        """


@hookspec
def register_modalities(register: Register) -> None:
    """Offer modalities. Each target is a final subclass of `inrkit.Modality` whose ``name`` is the given name.

    @inrkit.hookimpl
    def register_modalities(register):
        register("image", "inrkit_image.modality:ImageModality", "images of any size")
    """


@hookspec
def register_functions(register: Register) -> None:
    """Offer implicit functions (INR architectures). Each target is a final subclass of `inrkit.INRFunction`
    with ``Options`` and ``build``.

    @inrkit.hookimpl
    def register_functions(register):
        register("anr", "inrkit_image.function:ANR", "attention over tokens (ANR)")
    """


@hookspec
def register_denoisers(register: Register) -> None:
    """Offer networks that predict params. Each target is a final subclass of `inrkit.Denoiser` with ``Options`` and
    ``build``.

    @inrkit.hookimpl
    def register_denoisers(register):
        register("unet", "inrkit_baselines.unet:UNet", "a convolutional U-Net")
    """


@hookspec
def register_objectives(register: Register) -> None:
    """Offer training objectives, for the config key ``objective``. Each target is a final subclass of
    `inrkit.Objective`, an attrs class with the given ``name`` whose fields are the keys of ``objective_options``.

    @inrkit.hookimpl
    def register_objectives(register):
        register("huber", "inrkit_extras.objective:Huber", "reconstruction by the Huber distance")
    """


@hookspec
def register_samplers(register: Register) -> None:
    """Offer samplers, for ``inrkit sample --sampler NAME``. Each target is a final subclass of
    `inrkit.Sampler` with the given ``name``, which can be made without arguments.

    @inrkit.hookimpl
    def register_samplers(register):
        register("midpoint", "inrkit_extras.sampler:Midpoint", "the midpoint method along the ODE")
    """


@hookspec
def register_importers(register: Register) -> None:
    """Offer import formats for ``inrkit data import``. Each target is a final subclass of `inrkit.Importer`.

    @inrkit.hookimpl
    def register_importers(register):
        register("images", "inrkit_image.formats.folders:ImagesImporter", "a folder or a tar file of images")
    """


@hookspec
def register_exporters(register: Register) -> None:
    """Offer export formats for ``inrkit export``. Each target is a final subclass of `inrkit.Exporter`.

    @inrkit.hookimpl
    def register_exporters(register):
        register("wav", "inrkit_audio.exporting:WavExporter", "a sound file")
    """


@hookspec
def register_sources(register: Register) -> None:
    """Offer data sources other than stores: ``--data NAME://ADDRESS``. Each target is a final subclass of
    `inrkit.SourceOpener` with the given ``name``.

    @inrkit.hookimpl
    def register_sources(register):
        register("npy", "inrkit_extras.source:ArrayOpener", "the rows of an .npy array")
    """


@hookspec
def register_trackers(register: Register) -> None:
    """Offer experiment trackers, for ``inrkit train --tracker NAME``. Each target is a final subclass of
    `inrkit.Tracker` with the given ``name``; a package that it needs is imported when a run starts.

    @inrkit.hookimpl
    def register_trackers(register):
        register("csv", "inrkit_extras.tracker:CsvTracker", "a table of the metrics, in the run directory")
    """


@hookspec
def register_features(register: Register) -> None:
    """Offer feature networks for Fréchet distances and the like, for ``inrkit evaluate --features NAME``. Each
    target is a final subclass of `inrkit.FeatureNetwork` with the given ``name``, ``Options`` and ``build``.

    @inrkit.hookimpl
    def register_features(register):
        register("resnet20", "inrkit_features.resnet:ResNet20", "a CIFAR-10 classifier, from local weights")
    """


@hookspec
def register_models(register: Register) -> None:
    """Offer trained models: ``inrkit sample NAME``, ``inrkit.load("NAME")``. Each target is the path, a
    `pathlib.Path`, of a folder that `inrkit.Model.save` wrote and that the package brings along.

    @inrkit.hookimpl
    def register_models(register):
        register("faces", "inrkit_models:FACES", "synthetic faces, 32 x 32")
    """


@hookspec
def register_commands(register: Register) -> None:
    """Offer commands: ``inrkit NAME``. Each target is a `click.Command` (or group); inrkit's own names are taken.

    @inrkit.hookimpl
    def register_commands(register):
        register("listen", "inrkit_audio.listening:listen", "play a sound from an .inr file")
    """
