"""`inrkit edit`: every task, what it leaves, and its mistakes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import inrkit
from inrkit.cli import main
from inrkit.core.modality import Original
from inrkit.drawing.mask import read_mask
from inrkit.inference.blur import blur
from inrkit.inference.hole import mask_hole

SMALL = ["size=8,8", "patch=4", "width=16", "depth=1", "decoder_depth=1", "heads=2", "hidden=16", "inr_width=16"]
SMALL += ["inr_inner=16", "inr_depth=2", "count=64"]


def edit(*args: object) -> Result:
    return CliRunner().invoke(main, ["edit", *map(str, args)])


def succeed(*args: object) -> str:
    result = edit(*args)
    assert result.exit_code == 0, result.output
    return result.stdout


def fail(*args: object) -> str:
    """The error: exit code 2, one line, nothing on stdout."""
    result = edit(*args)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line.removeprefix("inrkit: error: ")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("edit") / "run"
    sets = [f"options.{option}" for option in SMALL]
    quiet = {"progress": False, "on_sample": lambda *_: None, "on_end": lambda *_: None}
    inrkit.train(modality="image", steps=2, batch_size=4, precision="fp32", overrides=sets, out=out, **quiet)
    return out


@pytest.fixture
def face(tmp_path: Path) -> Path:
    return save(tmp_path / "face.png", 8, 8)


def save(path: Path, height: int, width: int, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(30, 220, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def pixels_of(path: Path) -> np.ndarray:
    """Values (3, H, W) on [-1, 1]."""
    return np.asarray(Image.open(path).convert("RGB")).astype(np.float64).transpose(2, 0, 1) / 127.5 - 1


def means(values: np.ndarray, factor: int) -> np.ndarray:
    channels, height, width = values.shape
    return values.reshape(channels, height // factor, factor, width // factor, factor).mean((2, 4))


# ---------------------------------------------------------------------------------------------- what is kept


def test_known_cells_stay(run: Path, face: Path, tmp_path: Path) -> None:
    """Outside of the box the exact values are the input's to 1e-5, and so are the pixels of the picture."""
    said = succeed(run, face, "--task", "inpaint", "--box", "1,2,4,3", "-o", tmp_path / "out")
    assert "known part preserved " in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "face.inr",
        "face.npy",
        "face.png",
        "sheet.png",
    ]
    known = np.ones((8, 8), dtype=bool)
    known[2:5, 1:5] = False
    before, values = pixels_of(face), np.load(tmp_path / "out" / "face.npy")
    assert values.dtype == np.float32
    assert np.abs(values - before)[:, known].max() < 1e-5
    assert np.abs(values - before)[:, ~known].max() > 0.05
    assert np.array_equal(pixels_of(tmp_path / "out" / "face.png")[:, known], before[:, known])


@pytest.mark.parametrize(("size", "factor"), [(8, 2), (2, 4), (4, 3), (12, 2)])
def test_patch_means_stay(run: Path, tmp_path: Path, size: int, factor: int) -> None:
    """A result is so many times as large as the input, coarser than the model or finer; the means of its patches are
    the very pixels of the input."""
    small = save(tmp_path / "small.png", size, size)
    succeed(run, small, "--task", "superres", "--factor", factor, "-o", tmp_path / "out")
    values = np.load(tmp_path / "out" / "small.npy")
    assert values.shape == (3, size * factor, size * factor)
    assert np.abs(means(values, factor) - pixels_of(small)).max() < 1e-5


def test_luma_stays(run: Path, face: Path, tmp_path: Path) -> None:
    """The weights are those of ITU-R 601, scaled to sum to 1."""
    succeed(run, face, "--task", "colorize", "-o", tmp_path / "out.png")
    weights = np.array([0.2989, 0.587, 0.114])
    luma = [np.tensordot(weights / weights.sum(), x, 1) for x in (np.load(tmp_path / "out.npy"), pixels_of(face))]
    assert np.abs(luma[0] - luma[1]).max() < 1e-5


@pytest.mark.parametrize("size", [8, 16])
def test_a_blur_is_undone(run: Path, tmp_path: Path, size: int) -> None:
    """The result is nearer to the sharp picture than the input is, which it gives when it is blurred again."""
    sharp = pixels_of(save(tmp_path / "sharp.png", size, size))
    again = blur("gaussian", 1.0)
    blurred = again(torch.from_numpy(sharp)[None].float())[0].numpy()
    picture = ((blurred.transpose(1, 2, 0) + 1) * 127.5).round().astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "blurred.png")
    said = succeed(run, tmp_path / "blurred.png", "--task", "deblur", "--radius", "1", "-o", tmp_path / "out.png")
    values = np.load(tmp_path / "out.npy")
    assert "known part preserved " in said
    assert np.abs(again(torch.from_numpy(values)[None])[0].numpy() - blurred).max() < 0.03
    assert np.square(values - sharp).mean() < 0.8 * np.square(blurred - sharp).mean()
    for kind in ("motion", "box"):
        words = ["--task", "deblur", "--blur", kind, "--radius", "2", "--angle", "30", "--passes", "1"]
        succeed(run, tmp_path / "blurred.png", *words, "-o", tmp_path / f"{kind}.png")
    assert "'--radius' must be > 0" in fail(run, tmp_path / "blurred.png", "--task", "deblur", "--radius", "0")
    assert "'--radius' must be less for" in fail(run, tmp_path / "blurred.png", "--task", "deblur", "--radius", "9")


def test_the_rest_of_the_input_is_not_used(run: Path, face: Path, tmp_path: Path) -> None:
    """What lies in the hole makes no difference."""
    pixels = np.array(Image.open(face))
    pixels[2:5, 1:5] = 255 - pixels[2:5, 1:5]
    Image.fromarray(pixels).save(tmp_path / "other.png")
    for name in ("face", "other"):
        succeed(run, tmp_path / f"{name}.png", "--task", "inpaint", "--box", "1,2,4,3", "-o", tmp_path / f"{name}-out")
    one, other = (np.load(tmp_path / f"{name}-out" / f"{name}.npy") for name in ("face", "other"))
    assert np.abs(one - other).max() < 1e-5


# ---------------------------------------------------------------------------------------------- results


@pytest.mark.parametrize(
    "args",
    [
        ["--task", "inpaint", "--text", "I", "--invert"],
        ["--task", "superres"],
        ["--task", "colorize", "--passes", "2"],
        ["--task", "denoise"],
        ["--task", "denoise", "--level", "0.2"],
        ["--task", "stroke", "--level", "2", "--passes", "1"],
    ],
    ids=lambda args: " ".join(args[1:]),
)
def test_results_are_described_and_can_be_rendered(run: Path, face: Path, tmp_path: Path, args: list[str]) -> None:
    """Variants get names of their own; the INR opens without the run; equal seeds give equal results."""
    if args[1] == "superres":
        save(face, 4, 4)
    rows = json.loads(succeed(run, face, *args, "-n", 2, "--json", "-o", tmp_path / "out"))
    assert [Path(row["inr"]).name for row in rows] == ["face.inr", "face-2.inr"]
    assert all((row["kept"] is None) == (args[1] in ("denoise", "stroke")) for row in rows)
    inr = inrkit.load_inr(rows[0]["inr"])
    assert inr.provenance["task"] == args[1]
    assert inrkit.render(inr, {"size": "20x12"})[0].shape == (3, 12, 20)
    assert (tmp_path / "out" / "sheet.png").is_file()
    first = np.load(rows[0]["values"])
    succeed(run, face, *args, "-n", 2, "-o", tmp_path / "again")
    assert np.array_equal(first, np.load(tmp_path / "again" / "face.npy"))
    if args[1] != "denoise":
        assert not np.array_equal(first, np.load(rows[1]["values"]))


def test_between_two_samples(run: Path, tmp_path: Path) -> None:
    """Without INPUTs; the ends are the samples of two noises, and the seed decides which."""
    words = ["--task", "interpolate", "-n", 3, "--json"]
    ways = [json.loads(succeed(run, *words, "--seed", seed, "-o", tmp_path / str(seed))) for seed in (1, 2)]
    first, middle, last = (np.load(row["values"]) for row in ways[0])
    assert not np.array_equal(first, last)
    assert not np.array_equal(middle, first)
    assert not np.array_equal(np.load(ways[1][0]["values"]), first)
    assert "needs INPUTs, found none" in fail(run, "--task", "denoise")
    assert "'--level', which adds noise to them, needs INPUTs" in fail(run, *words, "--level", "1")


@pytest.mark.parametrize("more", [[], ["--level", "0.5"]], ids=["params", "noise"])
def test_between_two(run: Path, face: Path, tmp_path: Path, more: list[str]) -> None:
    """As many as are asked for; with params, the ends are the encodes."""
    other = save(tmp_path / "other.png", 8, 8, seed=1)
    rows = json.loads(
        succeed(run, face, other, "--task", "interpolate", "-n", 3, *more, "--json", "-o", tmp_path / "out")
    )
    assert len(rows) == 3
    if not more:
        encoded = inrkit.load(run).encode([face, other]).signal.numpy()
        assert np.abs(np.load(rows[0]["values"]) - encoded[0]).max() < 1e-4
        assert np.abs(np.load(rows[2]["values"]) - encoded[1]).max() < 1e-4


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 24)], ids=["training", "input"])
def test_a_mask_may_have_the_size_of_training_or_of_the_input(
    run: Path, tmp_path: Path, height: int, width: int
) -> None:
    """Bright is the hole. The result is as large as the input, and the same around the hole, to its very margins."""
    large = save(tmp_path / "large.png", 16, 24)  # its middle 16 x 16 is what the model sees
    mask = np.zeros((height, width), np.uint8)
    mask[:, : width // 2] = 255
    mask[:, : (width - height) // 2] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    succeed(run, large, "--task", "inpaint", "--mask", tmp_path / "mask.png", "-o", tmp_path / "out")
    difference = np.abs(np.load(tmp_path / "out" / "large.npy") - pixels_of(large)).max(0)
    assert difference.shape == (16, 24)
    assert (difference[:, 4:12] > 1e-3).mean() > 0.9
    assert max(difference[:, :4].max(), difference[:, 12:].max()) < 1e-5


def painted(kind: str) -> Image.Image:
    """The same square of 12 x 12, as editors write it."""
    square, red = np.zeros((12, 12), bool), (np.arange(144).reshape(12, 12) * 1.5).astype(np.uint8)
    square[2:6, 3:8] = True
    alpha = np.where(square, 255, 0).astype(np.uint8)
    black = np.zeros((12, 12), np.uint8)
    layers = {
        "layer": np.stack([black, black, black, alpha], -1),
        "selection": np.stack([alpha, alpha, alpha, black + 255], -1),
        "erased": np.stack([red, 255 - red, red // 2, 255 - alpha], -1),
        "grey": alpha,
        "deep": alpha.astype(np.uint16) * 257,
        "one bit": alpha > 0,
        "soft edges": np.maximum(alpha, np.where(np.roll(square, 1, 0), 90, 0)).astype(np.uint8),
        "soft brush": np.stack([black + 200, black, black, np.where(np.roll(square, 1, 0), 100, 0) | alpha], -1),
        "grey layer": np.stack([black, alpha], -1),
        "palette": alpha,
        "clear palette": alpha,
    }
    picture = Image.fromarray(layers[kind].astype(np.uint8) if kind == "soft brush" else layers[kind])
    if "palette" not in kind:
        return picture
    picture = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=2)
    if kind == "clear palette":
        picture.info["transparency"] = picture.getpixel((0, 0))
    return picture


FORMS = ["layer", "selection", "erased", "grey", "deep", "one bit", "soft edges", "soft brush", "grey layer"]


@pytest.mark.parametrize("kind", [*FORMS, "palette", "clear palette"])
def test_masks_as_image_editors_write_them(tmp_path: Path, kind: str) -> None:
    """On a transparent layer, as a selection, as a photo with a hole, in grey of 8 or 16 bits, with soft edges, in the
    colours of a palette: one hole."""
    painted(kind).save(tmp_path / "mask.png")
    hole, _ = read_mask(tmp_path / "mask.png")
    assert hole.sum() == 20
    assert hole[2:6, 3:8].all()


@pytest.mark.parametrize("size", [(12,), (6, 8), (1, 6, 8), (4, 6, 8)], ids=["sound", "picture", "view", "volume"])
def test_masks_as_arrays(tmp_path: Path, size: tuple[int, ...]) -> None:
    """An .npy array marks what is not 0 in signals of any number of axes; one of training's size is enlarged."""
    original = Original(torch.zeros(1, *size), tuple(slice(0, n) for n in size))
    marked = np.arange(np.prod(size)).reshape(size) % 5
    np.save(tmp_path / "mask.npy", marked)
    hole, how = mask_hole(original, size, tmp_path / "mask.npy", "a")
    assert (hole.numpy() == (marked != 0)).all()
    assert how == "what is not 0"
    half = tuple(max(1, n // 2) for n in size)
    np.save(tmp_path / "half.npy", np.ones(half, bool))
    assert mask_hole(original, half, tmp_path / "half.npy", "a")[0].all()
    for wrong in (np.ones(3), np.array(["a"]), np.array([{}], object)):
        np.save(tmp_path / "wrong.npy", wrong, allow_pickle=True)
        with pytest.raises(inrkit.InrkitError, match=r"wrong\.npy: (the mask must be|expected a)"):
            mask_hole(original, size, tmp_path / "wrong.npy", "a")


def test_luma_of_a_large_picture_stays(run: Path, tmp_path: Path) -> None:
    """The colour comes from the INR at the size of the input, the luma from the input."""
    large = save(tmp_path / "large.png", 20, 16)
    said = edit(run, large, "--task", "colorize", "-o", tmp_path / "out.png")
    assert "8 x 8 from 16 x 20, cropped to the centre, 16 x 16" in said.stderr
    weights = np.array([0.2989, 0.587, 0.114])
    seen = pixels_of(large)[:, 2:18]
    luma = [np.tensordot(weights / weights.sum(), x, 1) for x in (np.load(tmp_path / "out.npy"), seen)]
    assert np.abs(luma[0] - luma[1]).max() < 1e-5


def test_denoise_says_the_level_that_it_estimated(run: Path, face: Path, tmp_path: Path) -> None:
    """On the line of the result, and as JSON; a given level is not repeated."""
    out = ["-o", tmp_path / "out"]
    assert "noise of standard deviation 0." in succeed(run, face, "--task", "denoise", *out)
    (row,) = json.loads(succeed(run, face, "--task", "denoise", "--json", *out))
    assert 0 < row["level"] < 2
    assert "standard deviation" not in succeed(run, face, "--task", "denoise", "--level", "0.1", *out)


# ---------------------------------------------------------------------------------------------- mistakes


def test_masks_of_another_size_are_refused(run: Path, tmp_path: Path) -> None:
    """One line that says what was expected, before anything is written."""
    large = save(tmp_path / "large.png", 16, 24)
    mask = save(tmp_path / "mask.png", 8, 9)
    line = fail(run, large, "--task", "inpaint", "--mask", mask, "-o", tmp_path / "out")
    assert "the mask must be 8 x 8, or 24 x 16 like large.png (got 9 x 8)" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--task", "superres", "--factor", "1"], "'--factor' must be at least 2 (got 1)"),
        (["--task", "inpaint"], "'inpaint' needs one of '--mask', '--box' and '--text' (got none)"),
        (["--task", "inpaint", "--box", "0,0,2,2", "--text", "A"], "(got '--box' and '--text')"),
        (["--task", "inpaint", "--box", "6,6,4,4"], "the box must lie within the signal, 8 x 8 (got '6,6,4,4')"),
        (["--task", "inpaint", "--box", "1,2"], "'--box' is X,Y,W,H: 4 numbers"),
        (["--task", "inpaint", "--box", "0,0,8,8", "--invert"], "nothing to fill in"),
        (["--task", "inpaint", "--box", "0,0,8,8"], "nothing would be known"),
        (["--task", "inpaint", "--text", " "], "must have letters"),
        (
            ["--task", "colorize", "--factor", "2"],
            "'--factor' means nothing to the task 'colorize'; it is for superres",
        ),
        (["--task", "denoise", "--level", "-1"], "'--level' must be > 0 (got -1)"),
        (["--task", "denoise", "--level", "nan"], "'--level' must be > 0 (got nan)"),
        (["--task", "interpolate"], "'interpolate' needs two inputs (got 1)"),
        (["--task", "sharpen"], "'sharpen' is not one of"),
        (["--task", "denoise", "-n", "2", "-o", "one.png"], "expected one result for one file, found 2"),
    ],
)
def test_mistakes_are_one_line(run: Path, face: Path, args: list[str], message: str) -> None:
    """Exit code 2, and what to do about it."""
    assert message in fail(run, face, *args)


def test_inputs_are_not_replaced(run: Path, face: Path) -> None:
    """Neither by the folder that they are in nor by name."""
    assert "would replace this input" in fail(run, face, "--task", "denoise", "-o", face.parent)
    assert "would replace this input" in fail(run, face, "--task", "denoise", "-o", face)


def test_the_sheet_shows_what_was_written(run: Path, tmp_path: Path) -> None:
    """Not what the model sees of it: results for files that are finer than the model keep what the files know."""
    fine = save(tmp_path / "fine.png", 16, 24)
    out = tmp_path / "out"
    succeed(run, fine, "--task", "superres", "--rows", "edited", "--scale", 1, "-o", out)
    written = np.asarray(Image.open(out / "fine.png").convert("RGB"), dtype=float)
    shown = np.asarray(Image.open(out / "sheet.png").convert("RGB"), dtype=float)[4:20, -20:-4]
    coarse = written.reshape(16, 2, 16, 2, 3).mean((1, 3))  # 16 x 16 from the centre, 32 x 32
    assert np.corrcoef(shown.ravel(), coarse.ravel())[0, 1] > 0.75
