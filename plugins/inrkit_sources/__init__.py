"""Data sets that are no stores.

inrkit train --data scans.h5
inrkit train --data 'hdf5://scans.h5?array=train/x&axes=NHWC&range=0,4095'

inrkit train --data photos
inrkit train --data 'files://photos?size=64x64&skip_broken=true'
"""

import inrkit

INRKIT_API = 1


@inrkit.hookimpl
def register_sources(register: inrkit.Register) -> None:
    register("files", "inrkit_sources.files:FilesOpener", "files that an importer reads, imported once")
    register("hdf5", "inrkit_sources.hdf5:Hdf5Opener", "an array of an HDF5 file, read where it lies")
    register("numpy", "inrkit_sources.numpy_files:NumpyOpener", "a .npy or .npz file, or a folder of them")
    register("zarr", "inrkit_sources.zarr_folder:ZarrOpener", "an array of a zarr store (extra 'zarr')")
