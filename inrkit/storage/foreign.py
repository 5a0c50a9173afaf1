"""What files are that are none of ours, by how they begin."""

_SIGNALS = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"RIFF": "WAV or WebP"}


def signal_kind(head: bytes) -> str:
    """What a file holds that people give in place of one of ours, by how it begins: a PNG, say; else ""."""
    return next((kind for begin, kind in _SIGNALS.items() if head.startswith(begin)), "")


def is_hdf5(start: bytes) -> bool:
    """Whether a file with these first bytes is an HDF5 file of another program: a store begins with its own header."""
    return start.startswith(b"\x89HDF\r\n\x1a\n")


def may_be_pickle(start: bytes) -> bool:
    """Whether a file with these first bytes could be a pickle, or an archive that holds one."""
    return start[:4] == b"PK\x03\x04" or (start[:1] == b"\x80" and start[1:2] <= b"\x05" and start[2:8] != bytes(6))
