"""One INR in the forms that other programs read. Plugins add theirs as exporters."""

import abc
from pathlib import Path
from typing import Any, ClassVar, final

import attrs
import torch

from inrkit.core.decimate import decimated
from inrkit.core.option import option
from inrkit.core.surface import mesh_of
from inrkit.drawing.meshfile import picture, save_mesh
from inrkit.drawing.sheet import save_png
from inrkit.errors import DataError, UsageError
from inrkit.inference.model import Model
from inrkit.inference.opened import Opened, open_inr
from inrkit.storage import tensorfile
from inrkit.storage.atomic import write_bytes
from inrkit.storage.inrfile import InrFile


class Exporter(abc.ABC):
    """Writes one INR in one form. ``Options`` is an attrs class with help texts, set by ``--set``."""

    name: ClassVar[str]
    summary: ClassVar[str]
    suffix: ClassVar[str]
    """Of the file that is written when no name is given."""
    Options: ClassVar[type]
    of_run: ClassVar[str] = "gallery"
    """The name of the file that is written of a run when none is given."""

    @abc.abstractmethod
    def run(self, opened: Opened, options: Any, path: Path) -> list[Path]:
        """Writes ``path``, and whatever belongs beside it; returns what was written."""

    def run_model(self, model: Model, options: Any, path: Path) -> list[Path]:
        """The same of a trained model, for formats that know what to make of one."""
        raise UsageError(f"the format '{self.name}' is of one INR, not of a run; give an .inr file")


@attrs.frozen
class MeshOptions:
    """Options of ``mesh``."""

    cells: int = option(96, "marching-cubes resolution along the longest side of the bounding box")
    faces: int | None = option(None, "simplify to at most this many triangles; none: as many as the cells give")
    level: float | None = option(None, "iso-value of the surface; none: as the modality defines it")


@final
class MeshExporter(Exporter):
    """The surface of a solid as triangles, with a picture of it beside the file."""

    name = "mesh"
    summary = "the surface as triangles: .ply, .glb, .obj or .stl"
    suffix = ".ply"
    Options = MeshOptions

    def run(self, opened: Opened, options: MeshOptions, path: Path) -> list[Path]:
        surface = opened.modality.display.surface(opened.measure, opened.params)
        if surface is None:
            raise UsageError(f"signals of the modality '{opened.modality.name}' have no surface; render them instead")
        if options.cells < 2:
            raise UsageError(f"'cells' must be at least 2 (got {options.cells})")
        if options.level is not None:
            surface = attrs.evolve(surface, level=options.level)
        try:
            mesh = mesh_of(surface, options.cells)
        except DataError as error:
            raise DataError(f"expected the mesh of a solid, found {error}") from error
        if options.faces is not None:
            mesh = decimated(mesh, options.faces)
        return [save_mesh(mesh, path), save_png(picture(mesh), path.with_name(f"{path.name}.png"))]


@attrs.frozen
class WeightsOptions:
    """``weights`` has no options."""


@final
class WeightsExporter(Exporter):
    """The params alone, as safetensors, for whoever evaluates the function elsewhere."""

    name = "weights"
    summary = "the function's params as .safetensors"
    suffix = ".safetensors"
    Options = WeightsOptions

    def run(self, opened: Opened, options: WeightsOptions, path: Path) -> list[Path]:
        tensors = {name: value[0] for name, value in opened.params.items()}
        facts = {"function": opened.file.function, "modality": opened.file.modality}
        write_bytes(path, tensorfile.pack(tensors, facts, what=str(path)))
        return [path]


@torch.no_grad()
def export(
    what: InrFile | Model | Path | str, exporter: Exporter, options: Any, path: Path, *, row: int | None = None
) -> list[Path]:
    """Writes an INR file, or what a trained model has to show, in another form; of several signals that of a row."""
    if isinstance(what, Model):
        return exporter.run_model(what, options, path)
    opened = open_inr(what, row=row)
    try:
        return exporter.run(opened, options, path)
    except DataError as error:
        raise DataError(f"{path if isinstance(what, InrFile) else what}: {error}") from error
