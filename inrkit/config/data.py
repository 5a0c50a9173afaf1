"""Where signals come from: a modality's synthetic ones, a store, or what a plugin opens by its scheme.

None            the synthetic signals
data.h5         a store
FOLDER, ARCHIVE the files of a user: files://FOLDER
other.h5        an HDF5 file that is no store: hdf5://other.h5; so .npy and .npz files, and folders that end in .zarr
NAME://ADDRESS  the source of that name (`register_sources`)
"""

import contextlib
import re
from pathlib import Path
from urllib.parse import quote

from inrkit.core.modality import Modality, Source
from inrkit.plugins import load_plugins

_ADDRESS = re.compile(r"([a-z][a-z0-9-]*)://(.+)", re.DOTALL)
_FILES = "files"
_ENDINGS = {".npy": "numpy", ".npz": "numpy", ".zarr": "zarr"}
_HDF5 = b"\x89HDF\r\n\x1a\n"  # a store begins with its own header
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


def open_data(data: str | None, modality: Modality, split: str) -> Source:
    """The signals of ``split``, "train" or "test"."""
    if data is None:
        return modality.source(None, split)
    if found := _ADDRESS.fullmatch(data):
        scheme, address = found.groups()
    elif (array := _array(data)) is not None:
        scheme, address = array, quote(data)
    elif Path(data).is_dir() or data.lower().endswith(_ARCHIVES) or _was_imported(Path(data), modality):
        scheme, address = _FILES, quote(data)
    else:
        return modality.source(Path(data), split)
    return load_plugins().source(scheme)().open(address, modality, split)


def _was_imported(path: Path, modality: Modality) -> bool:
    """Whether a folder is gone, and what was imported of it is still beside it."""
    return not path.exists() and path.with_name(f"{path.name}.{modality.name}.h5").exists()


def _array(data: str) -> str | None:
    """The source of arrays that reads this file."""
    path = Path(data).expanduser()
    if path.suffix in _ENDINGS:
        return _ENDINGS[path.suffix]
    if path.is_file():  # a pipe would be waited for
        with contextlib.suppress(OSError), open(path, "rb") as file:
            return "hdf5" if file.read(len(_HDF5)) == _HDF5 else None
    return None


def absolute_data(data: str | None) -> str | None:
    """The same data, named so that they are found from any working directory."""
    if data is not None and (found := _ADDRESS.fullmatch(data)):
        return f"{found[1]}://{load_plugins().source(found[1])().absolute(found[2])}"
    return absolute(data)


def absolute_run(run: str | None) -> str | None:
    """The same run or trained model; what is known by its name everywhere keeps it."""
    named = run is not None and (
        run.startswith("hf:/") or (run in load_plugins().models and not (Path(run) / "config.toml").is_file())
    )
    return run if named else absolute(run)


def absolute(path: str | None) -> str | None:
    """The same path, from any working directory."""
    return None if path is None else str(Path(path).expanduser().absolute())
