"""Images for inrkit: the modality ``image``, the function ``anr`` and the importers of image data sets.

>>> import inrkit
>>> inrkit.load_plugins().modality("image").summary
'images of any size and number of channels'

"""

import inrkit
from inrkit import Register


@inrkit.hookimpl
def register_modalities(register: Register) -> None:
    register("image", "inrkit_image.modality:ImageModality", "images of any size and number of channels")


@inrkit.hookimpl
def register_functions(register: Register) -> None:
    register("anr", "inrkit_image.function:ANR", "attention over tokens, then layers with weight modulation (ANR)")
    register("windows", "inrkit_image.windows:Windows", "overlapping windows, each with a mixture of shared waves")


@inrkit.hookimpl
def register_importers(register: Register) -> None:
    home = "inrkit_image.formats"
    register("images", f"{home}.folders:ImagesImporter", "a folder or a tar file of images; subfolders may be classes")
    register("cifar10", f"{home}.cifar10:Cifar10Importer", "CIFAR-10, as python batches or as folders of images")
    register("idx", f"{home}.arrays:IdxImporter", "idx files, as MNIST and Fashion-MNIST have them")
    register("npz", f"{home}.arrays:NpzImporter", "an .npz file with an array of images, and labels if there are any")
    register(
        "webdataset", f"{home}.webdataset:WebDatasetImporter", "webdataset shards: tar files of images and classes"
    )
    register(
        "parquet", f"{home}.tables:ParquetImporter", "parquet files, a local Hugging Face data set (extra 'parquet')"
    )
