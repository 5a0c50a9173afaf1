"""Stores with a true header and a true hash, around HDF5 that means harm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from inrkit.storage import blockfile, storefile


def forge(path: Path, fill: Callable[[h5py.File], object]) -> Path:
    """A file with a true header around an HDF5 part that means harm."""
    with h5py.File(path.with_suffix(".raw"), "w") as file:
        file.create_dataset("__meta__", data=np.frombuffer(b'{"modality":"image","attributes":{}}', dtype=np.uint8))
        fill(file)
    return signed(path, path.with_suffix(".raw").read_bytes())


def signed(path: Path, raw: bytes) -> Path:
    """With the header that belongs to this HDF5 part."""
    path.write_bytes(bytes(storefile.BLOCK) + raw)
    path.write_bytes(storefile.header(blockfile.hash_of(path, storefile.BLOCK), len(raw)) + raw)
    return path


def _external_storage(file: h5py.File) -> None:
    space, plan = h5py.h5s.create_simple((8,)), h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_external(b"/etc/hostname", 0, 8)
    h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_UINT8, space, plan)


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(4,), dtype="u1")
    layout[:] = h5py.VirtualSource("/etc/hostname", "a", shape=(4,))
    file.create_virtual_dataset("a", layout)


FORGERIES: dict[str, Callable[[Any], object]] = {
    "external link": lambda file: file.__setitem__("a", h5py.ExternalLink("/etc/hostname", "/x")),
    "soft link": lambda file: file.__setitem__("a", h5py.SoftLink("/__meta__")),
    "group": lambda file: file.create_group("a"),
    "external storage": _external_storage,
    "virtual": _virtual,
    "giant": lambda file: file.create_dataset("a", shape=(10**9, 1024, 1024), dtype="f8", chunks=(1, 64, 64)),
    "gzip": lambda file: file.create_dataset("a", data=np.zeros((4, 10**6), "u1"), compression="gzip"),
    "objects": lambda file: file.create_dataset("a", data=["text"], dtype=h5py.string_dtype()),
    "compound": lambda file: file.create_dataset("a", data=np.zeros(3, dtype=[("x", "f4")])),
    "scalar": lambda file: file.create_dataset("a", data=3),
    "lengths": lambda file: [file.create_dataset(n, data=range(int(n)), chunks=(1,)) for n in "12"],
    "in one piece": lambda file: file.create_dataset("a", data=np.zeros((4, 10))),
    "parts of items": lambda file: file.create_dataset("a", data=np.zeros((4, 10)), chunks=(1, 5)),
    "sparse": lambda file: file.create_dataset("a", shape=(4, 10), dtype="f4", chunks=(1, 10)).__setitem__(0, 1.0),
    "nothing": lambda file: None,
    "type": lambda file: file.__setitem__("a", np.dtype("f4")),
}
