"""What a model takes: values, arrays, PIL's pictures, paths, raw signals; and what it says of all else, in one line."""

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from PIL import Image

import inrkit
from inrkit.errors import UsageError
from inrkit.inference.given import fittings

OPTIONS = {
    "size": [8, 8],
    "width": 16,
    "depth": 1,
    "decoder_depth": 1,
    "heads": 2,
    "hidden": 16,
    "inr_width": 16,
    "inr_inner": 16,
    "inr_depth": 2,
    "count": 64,
}
RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)
VALUES = torch.from_numpy(PICTURE).permute(2, 0, 1).float() / 127.5 - 1


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> inrkit.Model:
    quiet = {"progress": False, "on_sample": lambda *_: None, "on_end": lambda *_: None}
    out = tmp_path_factory.mktemp("given") / "run"
    return inrkit.train(modality="image", out=out, steps=1, batch_size=2, options=OPTIONS, precision="fp32", **quiet)


def test_the_same_signal_in_any_form_gives_the_same_inr(model: inrkit.Model, tmp_path: Path) -> None:
    """A tensor or an array of values, with rows or without; a picture, its bytes, its path; several of them."""
    path = tmp_path / "a.png"
    Image.fromarray(PICTURE).save(path)
    expected = model.encode(path).signal
    forms = (VALUES, VALUES[None], VALUES.numpy(), Image.fromarray(PICTURE), PICTURE, str(path), [path])
    for given in (*forms, model.observe(path), model.observe(path).support):
        found = model.encode(given).signal
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    pair = model.encode([path, Image.fromarray(PICTURE)]).signal
    torch.testing.assert_close(pair, expected.expand(2, -1, -1, -1), atol=1e-5, rtol=0)


def test_what_is_done_to_files_of_many_sizes_is_one_line(model: inrkit.Model) -> None:
    """Of a few sizes each is told."""
    images = torch.zeros(6, 3, 8, 8)
    sizes, names = torch.tensor([[10 + i, 20] for i in range(6)]), [f"{i}.png" for i in range(6)]
    assert fittings(model.modality, {"values": images, "size": sizes}, names) == [
        "6 files of 6 sizes, such as 0.png: the model sees 8 x 8 from 20 x 10, cropped to the centre, 10 x 10"
    ]
    few = {"values": images[:3], "size": sizes[:3]}
    assert [line.partition(":")[0] for line in fittings(model.modality, few, names[:3])] == names[:3]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (torch.zeros(3, 9, 9), r"expected values \(3, 8, 8\) or \(B, 3, 8, 8\).*found \(3, 9, 9\)"),
        (np.zeros((8, 8, 3), np.float32), r"found \(8, 8, 3\)"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "expected values as floats on about"),
        (127.5 * (VALUES + 1), "expected finite values on about .* found 2"),
        (VALUES / 0, "expected finite values"),
        ({"pictures": VALUES[None]}, "expected signals as a source of the modality 'image' reads them, found pictures"),
        ({}, "found nothing"),
        ([], "expected at least one signal, found none"),
        (3.5, "expected a path, a picture, values .* found a float"),
        ([VALUES], "found a Tensor"),
    ],
)
def test_what_cannot_be_taken_is_said_in_one_line(model: inrkit.Model, given: object, said: str) -> None:
    """What was expected, what was found, and what to do."""
    with pytest.raises(UsageError, match=said) as error:
        model.encode(given)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_sizes_are_places(model: inrkit.Model, tmp_path: Path) -> None:
    """As people write them, as a shape, or as a request; of predictions and of files."""
    codes = model.encode(torch.stack([VALUES, -VALUES]))
    expected = codes.at(model.modality.display.places({"size": "12x16"})[0])
    assert expected.shape == (2, 3, 16, 12)
    file = inrkit.save_inr(tmp_path / "a.inr", model.inr(codes, 0))
    for asked in ("12x16", (16, 12), [16, 12], {"size": "12x16"}, {"size": (16, 12)}):
        torch.testing.assert_close(codes.at(asked), expected)
        torch.testing.assert_close(inrkit.render(file, asked)[0], expected[0], atol=1e-5, rtol=1e-4)
    with pytest.raises(UsageError, match=r"expected a request such as '64x48'.*found a list"):
        codes.at([1.5, 2])
    bare = model.pipeline.encode(model.observe(VALUES).support)
    with pytest.raises(UsageError, match=r"expected a place such as 'observation.where', found '12x16'"):
        bare.at("12x16")
    with pytest.raises(UsageError, match=r"at least 1, a whole number \(got '4'\)"):
        model.sample("4")  # type: ignore[arg-type]


def test_an_operator_is_an_edit(model: inrkit.Model) -> None:
    """What it measures stays; a word is no edit."""
    known = torch.ones(8, 8, dtype=torch.bool)
    known[2:5, 2:5] = False
    edited = model.edit(VALUES, inrkit.KnownCells(known))
    torch.testing.assert_close(edited.observation.values[0][:, known], VALUES[:, known], atol=1e-5, rtol=0)
    with pytest.raises(UsageError, match=r"expected an edit such as inrkit\.Denoise.* found 'inpaint'"):
        model.edit(VALUES, "inpaint")  # type: ignore[arg-type]


def test_things_say_what_they_are(model: inrkit.Model, tmp_path: Path) -> None:
    """In one line, whatever they hold."""
    codes = model.encode(VALUES)
    inr = model.inr(codes, 0)
    for thing in (model, codes, inr, inrkit.open_inr(inr)):
        assert len(repr(thing)) < 300, repr(thing)
        assert "\n" not in repr(thing)
    assert "'image', step 1" in repr(model)
    assert repr(codes).startswith("<Prediction of 1 signals 3x8x8, each with the params ")
    assert "image" in repr(inr)
    assert model.to("cpu") is model


def test_a_render_never_builds_the_denoiser(model: inrkit.Model) -> None:
    """An altered file cannot make one of any size; the shapes of its params are compared with its options."""
    inr = model.inr(model.encode(VALUES), 0)
    options = {**inr.modality_options, "depth": 10**9, "width": 10**9, "hidden": 10**9}
    torch.testing.assert_close(
        inrkit.render(attrs.evolve(inr, modality_options=options))[0], inrkit.render(inr)[0], atol=0, rtol=0
    )
    with pytest.raises(inrkit.DataError, match=r"do not fit its modality's options: expected '.*' of shape"):
        inrkit.open_inr(attrs.evolve(inr, modality_options={**inr.modality_options, "inr_width": 32}))
    with pytest.raises(inrkit.DataError, match=r"do not fit its modality's options: expected '.*' of shape"):
        inrkit.open_inr(attrs.evolve(inr, modality_options={**inr.modality_options, "inr_width": 10**9}))
    with pytest.raises(inrkit.DataError, match="expected 'odd' of shape none"):
        inrkit.open_inr(attrs.evolve(inr, params={**inr.params, "odd": torch.zeros(1)}))


@pytest.mark.parametrize(
    ("kind", "strange"), [("function", {"built_with": {"name": "wavelets"}}), ("modality", {"modality": "smells"})]
)
def test_an_inr_of_what_is_not_installed_says_what_to_install(
    kind: str, strange: dict[str, Any], model: inrkit.Model, tmp_path: Path
) -> None:
    """The file, the name, those that are there, and what to do."""
    inr = attrs.evolve(model.inr(model.encode(VALUES), 0), **strange)
    path = inrkit.save_inr(tmp_path / "strange.inr", inr)
    said = rf"strange\.inr: expected the {kind} '(wavelets|smells)', found none of that name.*install the package that"
    with pytest.raises(inrkit.DataError, match=said):
        inrkit.open_inr(path)
