"""Files that mean harm: pickles, bombs, names that lead elsewhere, links, pipes, HDF5 that reads other files."""

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, final

from soak.child import inrkit
from soak.forgery import FORGERIES, forge
from soak.stage import Stage, is_plain, is_small, require

Make = Callable[[Path], object]
SECRET = b"what no command may show"
RENDER = "render evil.inr -o out.png"
SAMPLE = "sample run -n 1 --device cpu -o samples"
IMAGES = "data import images evil -o new.h5"
MEGABYTE = bytes(1 << 20)


class Payload:
    """A pickle that leaves a mark where it is opened."""

    def __init__(self, function: Callable[..., object], *given: object) -> None:
        self.call = function, given

    def __reduce__(self) -> Any:
        return self.call


def _pickles() -> Iterator[tuple[str, bytes]]:
    calls = {
        "mkdir": Payload(os.mkdir, "mark"),
        "system": Payload(os.system, "mkdir mark"),
        "eval": Payload(eval, "__import__('os').mkdir('mark')"),
        "import": Payload(__import__, "antigravity.mark"),
    }
    for name, payload in calls.items():
        yield name, pickle.dumps(payload)
        yield f"{name}, first protocol", pickle.dumps(payload, protocol=0)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(payload))
            archive.writestr("archive/version", "3")
        yield f"{name}, as torch saves", packed.getvalue()


# Where a file with anything in it is read: its name, and the command.
PLACES: dict[str, tuple[str, str]] = {
    "INR": ("evil.inr", RENDER),
    "checkpoint's weights": ("run/checkpoints/step-00000006/ema.safetensors", SAMPLE),
    "checkpoint's manifest": ("run/checkpoints/step-00000006/manifest.json", SAMPLE),
    "config": ("evil.toml", "train --print-config --config evil.toml"),
    "store": ("evil.h5", "data info evil.h5"),
    "training data": ("evil.h5", "train --print-config --data evil.h5"),
    "model folder": ("model/model.safetensors", "sample model -n 1 --device cpu -o samples"),
    "npz": ("evil.npz", "data import npz evil.npz -o new.h5"),
    "picture": ("evil.png", "encode run evil.png --device cpu -o encoded"),
    "mask": ("evil.png", "edit run pictures/a.png --task inpaint --mask evil.png --device cpu -o edited"),
    "archive": ("evil", IMAGES),
    "scene": ("scene/transforms.json", "data import nerfstudio scene -o new.h5"),
    "weights of features": ("evil.npz", "evaluate run -n 16 --features lenet --weights evil.npz --device cpu"),
    "start of a run": ("evil.ckpt", "train --print-config --init evil.ckpt"),
}


def _header(table: object) -> bytes:
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text


_EMPTY = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}


def _names(count: int) -> bytes:
    return _header({f"n{i}": _EMPTY for i in range(count)})


def _png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(MEGABYTE)) + chunk(b"IEND", b"")


def _packed(files: dict[str, bytes], times: int = 1) -> bytes:
    """A zip archive in which each file is so many times as long."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            with archive.open(name, "w", force_zip64=True) as file:
                for _ in range(times):
                    file.write(data)
    return made.getvalue()


def _gzipped(megabytes: int) -> bytes:
    """A tar archive of one picture, and then nothing, of so many megabytes."""
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=1) as file:
        member = tarfile.TarInfo("a.png")
        member.size = megabytes << 20
        file.write(member.tobuf())
        for _ in range(megabytes):
            file.write(MEGABYTE)
        file.write(bytes(1024))
    return made.getvalue()


def _array(shape: str, kind: str = "'|u1'") -> bytes:
    """An .npz archive whose array declares this and holds nothing."""
    text = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    return _packed({"images.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()})


def _bombs() -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    """(name, place, bytes): small files that ask for much."""
    for place in ("INR", "checkpoint's weights", "model folder"):
        yield "a header of 2^60 bytes", place, lambda: struct.pack("<Q", 1 << 60) + b"{}"
        yield "100,000 names", place, lambda: _names(100_000)
        yield "deep JSON", place, lambda: struct.pack("<Q", 200_000) + b"[" * 200_000
        yield "a shape of 2^60", place, lambda: _header({"x": {**_EMPTY, "shape": [1 << 60]}})
    yield "20,000 dotted parts", "config", lambda: b".".join([b"a"] * 20_000) + b" = 1\n"
    yield "4,000 deep keys", "config", lambda: b"\n".join(b"k%d" % i + b".a" * 100 + b" = 1" for i in range(4000))
    yield "5,000,000 digits", "config", lambda: b"steps = 1" + b"0" * 5_000_000 + b"\n"
    yield "deep lists", "config", lambda: b"phases = " + b"[" * 100_000 + b"\n"
    yield "100 MB of comments", "config", lambda: b"# \n" * 33_000_000
    yield "a width of 10^7", "config", lambda: b"[options]\nwidth = 10000000\n"
    for place in ("picture", "mask"):
        yield "60,000 x 60,000", place, lambda: _png(60_000, 60_000)
        yield "12,000 x 12,000", place, lambda: _png(12_000, 12_000)
    yield "12,000 x 12,000", "archive", lambda: _packed({"a.png": _png(12_000, 12_000)})
    yield "a zip of 8 x 400 MB", "archive", lambda: _packed({f"{i}.png": MEGABYTE for i in range(8)}, times=400)
    yield "a tar of 3 GB", "archive", lambda: _gzipped(3000)
    yield "100,000 empty files", "archive", lambda: _packed({f"{i}.png": b"" for i in range(100_000)})
    yield "10^18 numbers", "npz", lambda: _array("(1000000000, 10000, 10000, 3)")
    yield "4 GB of zeros", "npz", lambda: _packed({"images.npy": MEGABYTE}, times=4000)
    yield "objects", "npz", lambda: _array("(4,)", "'|O'")
    yield "deep JSON", "scene", lambda: b"[" * 200_000
    yield "5,000,000 digits", "scene", lambda: b'{"fl_x": 1' + b"0" * 5_000_000 + b"}"


def _link(kind: bytes, name: str, target: str) -> bytes:
    """A tar archive with one link, and a file behind it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for type_, path in ((kind, name), (tarfile.REGTYPE, f"{name}/mark" if kind == tarfile.SYMTYPE else "b.png")):
            member = tarfile.TarInfo(path)
            member.type, member.linkname = type_, target if type_ == kind else ""
            tar.addfile(member, io.BytesIO())
    return made.getvalue()


def _ways_out() -> Iterator[tuple[str, bytes]]:
    """Archives whose names lead elsewhere."""
    for name in (
        "../mark",
        "/tmp/inrkit-soak-mark",
        "a/../../mark",
        "..\\mark",
        "C:\\mark",
        "mark\0.png",
        "./../mark.png",
    ):
        yield f"zip with {name!r}", _packed({name: b"x", "a/b.png": b"x"})
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        yield f"tar with a member of type {kind!r}", _link(kind, "a.png", "../secret.png")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        link = zipfile.ZipInfo("a.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "../secret.png")
    yield "zip with a link", made.getvalue()


def _file(name: str, make: Callable[[], bytes]) -> Make:
    """Puts a file into a folder."""
    return lambda folder: (folder / name).write_bytes(make())


def _bytes(name: str, data: bytes) -> Make:
    return _file(name, lambda: data)


def _pipe(name: str) -> Make:
    """Puts a pipe that nobody writes to in place of a file."""

    def make(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return make


def _store(fill: Callable[[Any], object]) -> Make:
    return lambda folder: forge(folder / "evil.h5", fill)


def _cases() -> Iterator[tuple[str, str, Make]]:
    """(name, command, what puts the file into a folder)."""
    for place, (file, words) in PLACES.items():
        for name, data in _pickles():
            yield f"{place}: pickle, {name}", words, _bytes(file, data)
        yield f"{place}: a pipe", words, _pipe(file)
    for name, place, make in _bombs():
        file, words = PLACES[place]
        yield f"{place}: {name}", words, _file(file, make)
    for name, data in _ways_out():
        yield f"archive: {name}", IMAGES, _bytes("evil", data)
    for name, fill in FORGERIES.items():
        yield f"store: HDF5 with {name}", "data info evil.h5", _store(fill)


@final
class Hostile(Stage):
    """A case is a file and the command that is given it."""

    name = "hostile"
    summary = "pickles, bombs, names that lead elsewhere, links, pipes and HDF5 that reads other files"
    cases: Sequence[tuple[str, str, Make]] = list(_cases())
    count = len(cases)

    def case(self, number: int, folder: Path) -> str:
        # A step that is coprime to their number mixes them, so that the first ones are a fair sample.
        name, words, make = self.cases[number * 37 % len(self.cases)]
        home = self.given.fill(folder / "home")
        (folder / "secret.png").write_bytes(SECRET)
        make(home)
        ended = inrkit(home, *words.split(), seconds=60)
        try:
            is_plain(ended, 0, 2, 3, 4, 6)
            is_small(ended, self.given)
            marks = [*folder.rglob("mark*"), Path("/tmp/inrkit-soak-mark")]
            require(not any(mark.exists() and mark.name != "mask.png" for mark in marks), "it left a mark", ended)
            shown = any(SECRET in path.read_bytes() for path in home.rglob("*") if path.is_file())
            require(not shown and SECRET.decode() not in ended.out + ended.err, "it showed a secret", ended)
        except Exception as error:
            raise type(error)(f"{name}: {error}") from error
        return f"{name.partition(':')[0]}: {'refused' if ended.code else 'harmless'}"
