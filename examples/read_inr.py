"""Read an .inr file with numpy alone, and evaluate its function, whichever it is. See docs/inr.md.

python examples/read_inr.py face.inr --row 0 --side 256
"""

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I8": "<i1"}


def read(path: Path | str, model: Path | str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """All tensors by name, as float32, and the facts; a function that was left out is in the folder of its model."""
    data = Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header: Any = json.loads(data[8:start])
    found: dict[str, Any] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = (start + offset for offset in entry["data_offsets"])
            values = np.frombuffer(data[begin:end], TYPES[entry["dtype"]]).reshape(entry["shape"])
            found[name] = (values.astype("u4") << 16).view("f4") if entry["dtype"] == "BF16" else values.astype("f4")
    tensors = {name: x * found.get(f"scale.{name}", 1) for name, x in found.items() if not name.startswith("scale.")}
    if model is not None:
        whole = read(Path(model) / "model.safetensors")[0]
        tensors |= {f"state.{name[9:]}": value for name, value in whole.items() if name.startswith("function.")}
    return tensors, json.loads(header.get("__metadata__", {}).get("inr", "{}"))


def evaluate(path: Path | str, row: int, x: Any, model: Path | str | None = None) -> Any:
    """The outputs (P, channels) of a signal of the file at x (P, axes)."""
    tensors, facts = read(path, model)
    p = {name[7:]: value[row] for name, value in tensors.items() if name.startswith("params.")}
    s = {name[6:]: value for name, value in tensors.items() if name.startswith("state.")}
    built = facts["built_with"]
    return FUNCTIONS[built["name"]](p, s, built, built["options"], x)


def waves(x: Any, frequencies: Any) -> Any:
    angles = (x[..., None] * frequencies).reshape(len(x), -1)
    return np.concatenate([np.cos(angles), np.sin(angles)], -1)


def layers(x: Any, s: Any, name: str, activation: Any = lambda x: np.maximum(x, 0)) -> Any:
    for i in range(0, 2 * sum(key.startswith(f"{name}.") and key.endswith("weight") for key in s), 2):
        x = (activation(x) if i else x) @ s[f"{name}.{i}.weight"].T + s[f"{name}.{i}.bias"]
    return x


def around(place: Any) -> Any:
    """The cells around each place, and how far it is from each, in cells."""
    for corner in itertools.product((0, 1), repeat=place.shape[-1]):
        near = np.floor(place) + corner
        yield near.astype(int), place - near


def look_up(cells: Any, x: Any) -> Any:
    """Cells (..., channels) over [-1, 1], interpolated linearly, and constant beyond the outermost centers."""
    last = np.array(cells.shape[:-1]) - 1
    place = np.clip((x + 1) / 2 * (last + 1) - 0.5, 0, last)
    return sum((1 - abs(d)).prod(-1)[:, None] * cells[tuple(np.minimum(at, last).T)] for at, d in around(place))


def anr(p: Any, s: Any, built: Any, o: Any, x: Any) -> Any:
    w = np.geomspace(1, o.get("max_frequency") or max(built["size"]) / 2, o["width"] // (2 * built["axes"]))
    q, k, v = waves(x, np.pi * w) @ s["q.weight"].T, p["tokens"] @ s["k.weight"].T, p["tokens"] @ s["v.weight"].T
    q, k, v = (y.reshape(len(y), o["heads"], -1).swapaxes(0, 1) for y in (q, k, v))
    a = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])
    a = np.exp(a - a.max(-1, keepdims=True))
    a = np.maximum(a / a.sum(-1, keepdims=True) - o["threshold"], 0)
    x = ((a / (a.sum(-1, keepdims=True) + 1e-8)) @ v).swapaxes(0, 1).reshape(len(x), -1)
    return layers(x @ s["out.weight"].T + s["out.bias"], s, "mlp")


def mlp(p: Any, s: Any, built: Any, o: Any, x: Any) -> Any:
    x = waves(x, 2 ** np.linspace(0, o["octaves"], o["frequencies"]))
    for i in range(o["depth"]):
        x = (np.maximum(x, 0) if i else x) @ p[f"layer{i}"][:-1] + p[f"layer{i}"][-1]
    return x


def siren(p: Any, s: Any, built: Any, o: Any, x: Any) -> Any:
    shifts = (p["latent"][0] @ s["shifts.weight"].T).reshape(-1, o["width"])
    for i, shift in enumerate(shifts):
        x = np.sin(o["frequency"] * (x @ s[f"layers.{i}.weight"].T + s[f"layers.{i}.bias"] + shift))
    return x @ s["last.weight"].T + s["last.bias"]


def grid(p: Any, s: Any, built: Any, o: Any, x: Any) -> Any:
    assert o["interpolation"] == "linear", "this reader interpolates linearly"
    return look_up(np.moveaxis(p["values"], 0, -1), x)


def triplane(p: Any, s: Any, built: Any, o: Any, x: Any) -> Any:
    pairs, side = list(itertools.combinations(range(x.shape[-1]), 2)), o["grid"] * o["patch"]
    tokens = p["planes"].reshape(-1, o["grid"], o["grid"], o["patch"], o["patch"], o["features"])
    planes = tokens.swapaxes(2, 3).reshape(len(pairs), side, side, -1)
    found = sum(look_up(plane, x[:, list(pair)]) for plane, pair in zip(planes, pairs, strict=True))
    return layers(found / np.sqrt(len(pairs)), s, "decoder")


def voxels(p: Any, s: Any, built: Any, o: Any, x: Any) -> Any:
    side, longest = o["patch"], -(-o["side"] // o["patch"])
    grid = np.ceil(np.array(o["extent"]) * longest - 1e-6).astype(int)
    blocks = p["voxels"].reshape(*grid, -1, side, side, side).transpose(0, 4, 1, 5, 2, 6, 3)
    return look_up(blocks.reshape(*grid * side, -1), x / grid * longest)


def windows(p: Any, s: Any, built: Any, o: Any, x: Any) -> Any:
    cells, count = np.array(built["size"]) // o["patch"], max(8, o["patch"])
    turns, y = np.pi * np.arange(1, count + 1) * o["patch"] / count, 0
    for at, d in around((x + 1) / 2 * cells - 0.5):
        angles = (d[..., None] * turns).reshape(len(x), -1)
        features = np.concatenate([np.ones((len(x), 1)), np.cos(angles), np.sin(angles)], -1)
        dictionary = layers(features, s, "waves", lambda x: x / (1 + np.exp(-x))).reshape(len(x), -1, o["width"])
        token = p["tokens"][np.ravel_multi_index(tuple(np.clip(at, 0, cells - 1).T), cells)]
        y = y + (np.cos(d * np.pi / 2) ** 2).prod(-1)[:, None] * (dictionary @ token[..., None])[..., 0]
    return y


FUNCTIONS = {f.__name__: f for f in (anr, mlp, siren, grid, triplane, voxels, windows)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--row", type=int, default=0, help="which signal of the file")
    parser.add_argument("--side", type=int, default=64, help="places along each axis")
    parser.add_argument("--model", type=Path, help="folder of the model, of a file without its function")
    args = parser.parse_args()
    axis = (2 * np.arange(args.side) + 1) / args.side - 1
    places = np.stack(np.meshgrid(*[axis] * read(args.file)[1]["built_with"]["axes"], indexing="ij"), -1)
    outputs = evaluate(args.file, args.row, places.reshape(-1, places.shape[-1]), args.model).reshape(
        *places.shape[:-1], -1
    )
    np.save(args.file.with_suffix(".npy"), outputs.astype("f4"))
    print(f"written: {args.file.with_suffix('.npy')}, {outputs.shape}")
