"""What users have, read into arrays: folders and archives of images, CIFAR-10, idx and npz files.

    imported = import_images(Path("photos.zip"), ImportOptions(Decoding(size=(64, 64))))
    imported.images.shape  # (N, 64, 64, 3)

Files are told by their content. Every problem with a source is a `DataError` that names the file.
"""

from inrkit_image.formats.arrays import import_idx, import_npz
from inrkit_image.formats.cifar10 import import_cifar10
from inrkit_image.formats.decode import Decoding
from inrkit_image.formats.folders import import_images
from inrkit_image.formats.imported import ImportedImages, ImportOptions

__all__ = [
    "Decoding",
    "ImportOptions",
    "ImportedImages",
    "import_cifar10",
    "import_idx",
    "import_images",
    "import_npz",
]
