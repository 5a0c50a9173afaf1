"""A modality on a grid, declared in a dozen lines, for one, two and three axes."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import final

import numpy as np
import pytest
import torch
from torch import Tensor

from inrkit import (
    DataError,
    DirectReadout,
    Draws,
    GridModality,
    GridOptions,
    Store,
    UsageError,
    train,
    write_store,
)
from inrkit.cli.files import save_own
from inrkit.gridded.options import side_for
from inrkit.gridded.picture import curves, maps
from inrkit.inference.signalset import SignalSet, source_of
from inrkit.testing import Subject

SMALL = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "inr_width": 24, "inr_inner": 16, "count": 32}

TINY = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "decoder_depth": 1}


@final
class Waves(GridModality):
    """Plane waves on a line."""

    name, summary, axes = "waves", "waves on a line", 1

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        frequency, phase = torch.rand(2, generator=chance)
        return lambda x: torch.sin(3 * (1 + frequency) * x + 2 * math.pi * phase)


@final
class Maps(GridModality):
    """Plane waves on a square, in two channels."""

    name, summary, axes = "maps", "waves on a square", 2

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        direction = torch.rand(2, 2, generator=chance) * 4
        return lambda x: torch.sin(x @ direction)


@final
class Volumes(GridModality):
    """Balls."""

    name, summary, axes = "volumes", "balls", 3

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        radius = 0.3 + 0.5 * torch.rand(1, generator=chance)
        return lambda x: torch.tanh(8 * (radius - x.norm(dim=1, keepdim=True)))


KINDS = [Waves, Maps, Volumes]


def fitted(kind: type[GridModality], **options: object) -> GridModality:
    made = kind(GridOptions(**{**SMALL, **options}))  # type: ignore[arg-type]
    return kind(made.fit_options(made.source(None, "train")))


@pytest.mark.parametrize("kind", KINDS)
def test_a_declaration_is_a_pipeline(kind: type[GridModality]) -> None:
    """What was left open is filled in, and an encode shows values of the query's shape, at any other size too."""
    modality = fitted(kind)
    source = modality.source(None, "train")
    batch = modality.observe(source.read([0, 1]), Draws(0, 2), training=False)
    pipeline = modality.build(DirectReadout())
    prediction = pipeline.encode(batch.support)
    assert prediction.at(batch.query.where).shape == batch.query.values.shape == (2, modality.channels, *modality.size)
    where = modality.places({"size": "x".join(["20"] * modality.axes)})[0]
    values = prediction.at(where)
    assert values.shape[2:] == (20,) * modality.axes
    pictures = modality.pictures(values).detach()
    assert pictures.shape[:2] == (2, 3)
    assert 0 <= float(pictures.min()) <= float(pictures.max()) <= 1


FUNCTIONS = {
    "anr": {},
    "windows": {"patch": 4, "width": 8, "hidden": 8},
    "mlp": {"width": 16, "depth": 2},
    "siren": {"width": 16, "depth": 2},
    "grid": {},
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_any_function_will_do(kind: type[GridModality], function: str) -> None:
    """Those that are registered and know no cameras, for any number of axes."""
    modality = fitted(kind, function=function, function_options=FUNCTIONS[function], groups=4)
    batch = modality.observe(modality.source(None, "train").read([0, 1]), Draws(0, 2), training=True)
    prediction = modality.build(DirectReadout()).encode(batch.support)
    values = prediction.at(batch.query.where)
    assert values.shape == batch.query.values.shape
    assert values.isfinite().all()


def test_another_denoiser_will_do() -> None:
    """By its name, with the function that it writes."""
    modality = fitted(Maps, function="grid", denoiser="unet", denoiser_options={"width": 8})
    batch = modality.observe(modality.source(None, "train").read([0, 1]), Draws(0, 2), training=False)
    assert modality.build(DirectReadout()).encode(batch.support).observation.values.shape == (2, 2, 32, 32)
    with pytest.raises(UsageError, match="are those of another denoiser than 'hyper'"):
        fitted(Maps, denoiser_options={"width": 8})


def test_a_dozen_lines_learn(tmp_path: Path) -> None:
    """Seconds of training on invented waves shows held-out ones far better than their mean."""
    model = train(
        modality=Waves,
        out=tmp_path / "run",
        progress=False,
        precision="fp32",
        overrides=[
            "steps=100",
            "warmup=5",
            "batch_size=16",
            "options.width=32",
            "options.hidden=32",
            "options.inr_width=32",
        ],
        on_sample=lambda *_: None,
        on_end=lambda *_: None,
    )
    found = SignalSet(model, source_of(model, "test"), range(16)).encode()
    error = (found.shown - found.truth).square().mean()
    assert float(error) < 0.25 * float(found.truth.var())


@pytest.mark.parametrize("kind", KINDS)
def test_invented_signals_are_known_everywhere(kind: type[GridModality]) -> None:
    """The truth at the place of training is what is read, and splits and numbers differ."""
    modality = fitted(kind)
    train_, test = modality.source(None, "train"), modality.source(None, "test")
    values = train_.read([3, 1])["values"]
    truth = modality.truth(train_, [3, 1], modality.places({})[0])
    assert truth is not None
    assert torch.allclose(values, truth, atol=1e-5)
    assert not torch.equal(values[0], values[1])
    assert not torch.equal(values[1], test.read([1])["values"][0])
    assert modality.truth(train_, [0], modality.places({"size": "8"})[0]).shape[2:] == (8,) * modality.axes  # type: ignore[union-attr]


def test_integers_of_a_store_are_values_by_the_range_of_their_type() -> None:
    """The least is -1 and the greatest 1; floats stay."""
    modality = fitted(Waves)
    for kind in (torch.uint8, torch.int16):
        bounds = torch.iinfo(kind)
        ends = torch.tensor([bounds.min, bounds.max], dtype=kind)
        assert modality.values_of(ends).tolist() == [-1, 1]
    assert modality.values_of(torch.tensor([0.25])).tolist() == [0.25]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).integers(-9000, 9000, (30, 1, 48), np.int16)
    labels = np.arange(30) % 3
    return write_store(tmp_path / "w.h5", "waves", {"values": values, "labels": labels}, {"class_names": list("abc")})


def test_a_store_is_divided_and_fitted(store: Path) -> None:
    """Every tenth signal is held out; size, channels, classes and spread come from the data."""
    modality = Waves(GridOptions(classes=None))
    source = modality.source(store, "train")
    options = modality.fit_options(source)
    assert (len(source), len(modality.source(store, "test"))) == (27, 3)
    assert (options.size, options.channels, options.classes) == ((48,), 1, 3)
    assert options.sigma_data == pytest.approx(9000 / 3**0.5 / 32768, rel=0.1)
    signals = modality.source(store, "test").read([1])
    assert signals["values"].equal(torch.from_numpy(Store(store).read("values", [19])))
    batch = Waves(options).observe(signals, Draws(0, 1), training=True)
    assert batch.label is not None
    assert batch.label.tolist() == [1]


def test_a_store_of_something_else_is_refused(store: Path) -> None:
    """By the name of the modality, and by the shape of the values."""
    with pytest.raises(DataError, match="expected a store of modality 'maps', found 'waves'"):
        Maps(GridOptions()).source(store, "train")
    path = write_store(store.with_name("v.h5"), "volumes", {"values": np.zeros((20, 1, 4, 4))})
    with pytest.raises(DataError, match=r"expected an array 'values' \(N, C, ...\) with 3 further axes"):
        Volumes(GridOptions()).source(path, "train")


def test_what_contradicts_the_data_is_refused(store: Path) -> None:
    """Channels, classes and numbers of axes."""
    for options, words in (
        (GridOptions(channels=2), "'options.channels' is 2, but the data have 1"),
        (GridOptions(classes=4), "'options.classes' is 4, but the data have 3"),
        (GridOptions(size=(8, 8)), "as many numbers as axes, 1"),
    ):
        modality = Waves(options)
        with pytest.raises(UsageError, match=words):
            modality.fit_options(modality.source(store, "train"))


def test_files_are_read_at_the_size_of_the_query(tmp_path: Path) -> None:
    """Arrays with or without channels, of any length; a text file is none."""
    modality = fitted(Waves)
    np.save(tmp_path / "a.npy", np.full(100, 0.5, np.float32))
    np.save(tmp_path / "b.npy", np.full((1, 64), 0.5, np.float32))
    signals, names = modality.read([tmp_path / "a.npy", tmp_path / "b.npy"])
    assert names == [str(tmp_path / "a.npy"), str(tmp_path / "b.npy")]
    assert torch.allclose(signals["values"], torch.full((2, 1, 64), 0.5))
    (tmp_path / "c.npy").write_text("not an array")
    with pytest.raises(DataError, match=r"c.npy: expected an array as .npy"):
        modality.read([tmp_path / "c.npy"])


def test_some_places_of_the_query_are_enough() -> None:
    """With 'query_points' a training step sees so many places, where the values are those of the grid."""
    modality = fitted(Maps, query_points=10, jitter="none")
    signals = modality.source(None, "train").read([0, 1])
    query = modality.observe(signals, Draws(0, 2), training=True).query
    assert query.values.shape == (2, 2, 10)
    assert query.values.equal(signals["values"].flatten(2)[:, :, query.where.index])


def test_written_values_are_a_picture_or_an_array(tmp_path: Path) -> None:
    """By the ending of the name."""
    modality, values = fitted(Maps), torch.rand(2, 5, 4)
    assert np.array_equal(np.load(modality.write([values], tmp_path / "a.npy")), values.numpy())
    assert modality.write([values], tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@final
class Volts(GridModality):
    """Sines of 4.5 V in two channels, in volts."""

    name, summary, axes = "volts", "sines", 1

    def invent(self, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        phase = 6.28 * torch.rand(2, generator=chance)
        return lambda x: 4.5 * torch.sin(9 * x + phase)


def test_values_beyond_one_are_scaled_and_files_keep_their_units(tmp_path: Path) -> None:
    """Nothing is cut off: inside, values lie in [-1, 1]; a file that is written has the numbers of the one read."""
    modality = fitted(Volts)
    assert modality.options.span == 4.5
    read = modality.source(None, "train").read([0, 1])
    values = modality.observe(read, Draws(0, 2), training=False).query.values
    assert 0.95 < values.abs().max() <= 1
    assert abs(float(values.std()) - (modality.options.sigma_data or 0)) < 0.05
    written = modality.write([values[0]], tmp_path / "a.npy")
    assert torch.allclose(modality.read([written])[0]["values"][0], read["values"][0], atol=1e-5)
    assert fitted(Volts, sigma_data=3.0).options.span is None
    assert fitted(Waves).options.span is None


def test_what_a_model_makes_is_kept_in_files_of_its_kind(tmp_path: Path) -> None:
    """Beside the .inr file, with the ending of the modality; for pictures nothing more than the picture."""
    values = torch.rand(2, 1, 16)
    save_own(Subject(Waves, options=SMALL).model, values, [tmp_path / "a.inr", tmp_path / "b.inr"])
    assert np.array_equal(np.load(tmp_path / "b.npy"), values[1].numpy())
    save_own(Subject("image", options={"size": [8, 8], **TINY}).model, torch.rand(1, 3, 8, 8), [tmp_path / "c.inr"])
    assert not list(tmp_path.glob("c.*"))


def test_all_channels_are_drawn() -> None:
    """A curve changes with its second channel; maps lie beside each other, unless three are colours."""
    two = torch.stack([torch.zeros(1, 64), torch.linspace(-0.9, 0.9, 64)[None]], 1)
    assert not torch.equal(curves(two), curves(two[:, :1]))
    assert maps(torch.rand(3, 2, 8, 6)).shape == (3, 3, 8, 12)
    assert maps(torch.rand(3, 3, 8, 6)).shape == (3, 3, 8, 6)
    assert maps(torch.rand(3, 5, 8, 6)).shape == (3, 3, 8, 30)


def test_sides_of_patches_fit() -> None:
    """They divide the grid into enough parts."""
    assert side_for((64,), 16) == 4
    assert side_for((32, 32), 16) == 8
    assert side_for((16, 16, 16), 64) == 4
    assert side_for((7, 5), 16) == 1


def test_a_modality_without_data_says_so() -> None:
    """One that invents nothing asks for data."""

    @final
    class Nothing(GridModality):
        """Nothing."""

        name, summary, axes = "nothing", "nothing", 1

    source = Nothing(GridOptions()).source(None, "train")
    with pytest.raises(UsageError, match="'nothing' has no data of its own"):
        Nothing(GridOptions()).fit_options(source)
