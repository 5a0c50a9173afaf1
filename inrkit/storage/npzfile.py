"""One array in a .npy file; many in an .npz, the largest written in parts: memory does not grow with their number."""

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, cast, final

import numpy as np
from torch import Tensor

from inrkit.storage.atomic import Bytes, NewFile, write_bytes


def save_array(array: Tensor, path: Path) -> Path:
    """A tensor as a .npy file, whole or absent."""
    file = io.BytesIO()
    np.save(file, array.cpu().numpy(), allow_pickle=False)
    write_bytes(path, file.getbuffer())
    return path


def write_npz(path: Path, name: str, count: int, parts: Iterable[np.ndarray], others: Mapping[str, np.ndarray]) -> Path:
    """An array ``name`` of ``count`` rows that come in parts, and other arrays; the file is whole or absent."""
    new = NewFile(path)
    try:
        end = _End(new)
        with zipfile.ZipFile(cast(IO[bytes], end), "w") as archive:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                for i, part in enumerate(parts):
                    if i == 0:
                        head = {"descr": part.dtype.str, "fortran_order": False, "shape": (count, *part.shape[1:])}
                        np.lib.format.write_array_header_1_0(member, head)
                    member.write(np.ascontiguousarray(part).data)
            for other, array in others.items():
                with archive.open(f"{other}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        new.put_in_place(end.size)
    except BaseException:
        new.discard()
        raise
    return path


@final
class _End:
    """The end of a new file, as what writes an archive without going back wants it."""

    def __init__(self, file: NewFile) -> None:
        self.file, self.size = file, 0

    def write(self, data: Bytes) -> int:
        size = memoryview(data).nbytes
        self.file.write(data, self.size)
        self.size += size
        return size

    def flush(self) -> None:
        """Nothing is held back."""
