"""NeRF objects for inrkit: the modality ``nerf``, functions ``mlp``, ``triplane`` and ``voxels``, and importers.

>>> import inrkit
>>> inrkit.load_plugins().modality("nerf").summary
'objects seen from posed cameras, as radiance fields'

"""

import inrkit
from inrkit import Register


@inrkit.hookimpl
def register_modalities(register: Register) -> None:
    register("nerf", "inrkit_nerf.modality:NerfModality", "objects seen from posed cameras, as radiance fields")


@inrkit.hookimpl
def register_functions(register: Register) -> None:
    register("mlp", "inrkit_nerf.mlp:MLP", "an MLP with every weight generated")
    register("triplane", "inrkit_nerf.triplane:TriPlane", "planes of features, read by a small shared network")
    register("voxels", "inrkit_nerf.voxels:Voxels", "a grid of voxels, interpolated between them")


@inrkit.hookimpl
def register_importers(register: Register) -> None:
    home = "inrkit_nerf.formats"
    register("srn", f"{home}.srn:SrnImporter", "folders of scene representation networks (SRN cars and chairs)")
    register("nerf-synthetic", f"{home}.transforms:NerfSyntheticImporter", "scenes with transforms_*.json")
    register("nerfstudio", f"{home}.transforms:NerfstudioImporter", "scenes with one transforms.json")
    register("colmap", f"{home}.colmap:ColmapImporter", "models of COLMAP, text or binary, and their pictures")
    register("posed-images", f"{home}.posed_images:PosedImagesImporter", "pictures with a file cameras.json or .csv")
