"""Solids for inrkit: the modality ``shapes``, and importers of voxels and meshes.

>>> import inrkit
>>> inrkit.load_plugins().modality("shapes").summary
'solids as signed distances'

"""

import inrkit
from inrkit import Register


@inrkit.hookimpl
def register_modalities(register: Register) -> None:
    register("shapes", "inrkit_shapes.modality:ShapesModality", "solids as signed distances")


@inrkit.hookimpl
def register_importers(register: Register) -> None:
    register("voxels", "inrkit_shapes.importing:VoxelsImporter", "solids as occupied cells, in .npz or .npy files")
    register("meshes", "inrkit_shapes.importing:MeshesImporter", "a folder or an archive of .obj, .ply and .stl files")
