"""What is done to pictures, or does not fit, is said in one line, or refused where it cannot work."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from posed_files import nerfstudio, posed, scene, srn

import inrkit
from inrkit import UsageError
from inrkit.cli import main
from inrkit.inference.given import fittings
from inrkit_nerf.modality import NerfModality
from inrkit_nerf.options import NerfOptions


def said(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    """The lines on stderr of a command that succeeds."""
    capsys.readouterr()
    assert main.main([str(word) for word in words], standalone_mode=False) is None
    return capsys.readouterr().err.splitlines()


def recoloured(folder: Path, level: int | None) -> Path:
    """Pictures whose white becomes another grey, or random colours."""
    for path in sorted(folder.rglob("*.png")):
        pixels = np.asarray(Image.open(path).convert("RGB")).copy()
        white = pixels.min(-1) >= 250
        chance = np.random.default_rng(0).integers(40, 200, pixels.shape)
        pixels[white] = chance[white] if level is None else level
        Image.fromarray(pixels).save(path)
    return folder


def fitted(data: Path, **options: object) -> NerfOptions:
    modality = NerfModality(NerfOptions(**options))
    return modality.fit_options(modality.source(data, "train"))


def test_an_import_says_what_it_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Distortion that is undone, and one opaque picture beside others that are cut out; nothing where all is plain."""
    lens = nerfstudio(tmp_path / "lens", k1=0.1)
    (line,) = said(capsys, "data", "import", "nerfstudio", lens, "-o", tmp_path / "a.h5", "--undistort")
    assert line == "lens: images/00.png: distortion is undone, in 20 of 20 pictures"
    mixed = scene(tmp_path / "mixed")
    Image.open(mixed / "train/r_1.png").convert("RGB").save(mixed / "train/r_1.png")
    (line,) = said(capsys, "data", "import", "nerf-synthetic", mixed, "-o", tmp_path / "b.h5")
    assert line.startswith("mixed: train/r_1.png: this picture has no transparent pixel, as 1 of 5;")
    assert not said(capsys, "data", "import", "srn", srn(tmp_path / "plain"), "-o", tmp_path / "c.h5")
    assert not said(capsys, "data", "import", "nerf-synthetic", scene(tmp_path / "cut"), "-o", tmp_path / "d.h5")


def test_objects_before_black(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their box is that of the same objects before white, and no model is trained with a background of its own."""
    white, black = tmp_path / "white.h5", tmp_path / "black.h5"
    said(capsys, "data", "import", "srn", srn(tmp_path / "white"), "-o", white)
    (line,) = said(capsys, "data", "import", "srn", recoloured(srn(tmp_path / "black"), 0), "-o", black)
    assert "options.background=black" in line
    np.testing.assert_allclose(fitted(black, background="black").box, fitted(white).box, atol=0.1)
    for data, background in ((white, "black"), (black, "white"), (None, "black")):
        with pytest.raises(UsageError, match="the data's views have no opacity and show objects before"):
            fitted(data, background=background)


def test_pictures_of_a_scene_are_called_opaque(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither cut out nor before a plain background."""
    (line,) = said(capsys, "data", "import", "srn", recoloured(srn(tmp_path / "room"), None), "-o", tmp_path / "a.h5")
    assert line.startswith("car2: cars_test/car2/rgb/000000.png: opaque, and before neither white nor black")


def test_poses_that_agree_on_no_place_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of another convention than the file says."""
    folder = posed(tmp_path / "car")
    table = json.loads((folder / "cameras.json").read_text())
    (folder / "cameras.json").write_text(json.dumps({**table, "convention": "opengl"}))
    lines = said(capsys, "data", "import", "posed-images", folder, "-o", tmp_path / "a.h5")
    assert any("agree on no place where it could be" in line for line in lines)


def test_what_is_encoded_is_compared_with_what_the_model_knows(tmp_path: Path) -> None:
    """A picture alone that is squeezed, a background of another colour, a lens; nothing for what fits."""
    modality = NerfModality(fitted(None, size=(16, 16), count=4))
    folder = posed(tmp_path / "car")
    wide = tmp_path / "wide.png"
    Image.open(folder / "0.png").resize((48, 24)).save(wide)
    dark = recoloured(posed(tmp_path / "dark"), 90) / "0.png"
    bent = posed(tmp_path / "bent")
    table = json.loads((bent / "cameras.json").read_text())
    (bent / "cameras.json").write_text(json.dumps({**table, "distortion": {"k1": 0.01}}))
    paths = [folder, folder / "0.png", wide, dark, bent]
    signals, names = modality.display.read(paths)
    assert fittings(modality, signals, [Path(name).name for name in names]) == [
        "2 files such as 0.png: the model sees 16 x 16 from 24 x 24",
        "wide.png: the model sees 16 x 16 from 48 x 24, not in proportion",
        "0.png: the model knows objects before white; what is before another is taken for a part of it",
        "bent: the distortion of its lens is undone",
    ]
    assert inrkit.Display.remarks(modality.display, signals) == [""] * 5
