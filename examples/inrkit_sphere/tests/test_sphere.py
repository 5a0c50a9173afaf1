"""Fields on the sphere keep every law of inrkit, and those of the sphere."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import inrkit
from inrkit.testing import Case, checks_of

OPTIONS = {"width": 16, "heads": 2, "hidden": 16, "depth": 1, "count": 40, "inr_width": 48, "inr_inner": 16}
MODALITY = inrkit.load_plugins().modality("sphere")


@pytest.mark.parametrize("check", checks_of("sphere", options=OPTIONS))
def test_conformance(check: Case) -> None:
    """Every law that the trainer, samplers, stores and reports rely on."""
    check()


@pytest.fixture
def modality() -> inrkit.GridModality:
    made = MODALITY(MODALITY.Options(**OPTIONS))
    return MODALITY(made.fit_options(made.source(None, "train")))


def field(modality: inrkit.GridModality) -> inrkit.Field:
    """A field of chance, from a network that has learned nothing."""
    pipeline = modality.build(inrkit.DirectReadout()).requires_grad_(False)
    (shape,) = pipeline.function.param_shapes.values()
    return pipeline.function.bind({"tokens": torch.randn(1, *shape)})


def test_there_is_no_seam(modality: inrkit.GridModality) -> None:
    """At the date line both sides agree, and at a pole all longitudes."""
    seen, n = field(modality), torch.linspace(-1, 1, 25)
    west, east = (seen(torch.stack([n, torch.full((25,), side)], 1)[None]) for side in (-1.0, 1.0))
    assert torch.allclose(west, east, atol=1e-3)
    pole = seen(torch.stack([torch.full((25,), -1.0), n], 1)[None])
    assert torch.allclose(pole, pole[:, :1].expand_as(pole), atol=1e-3)


def test_the_globe_shows_the_map(modality: inrkit.GridModality) -> None:
    """In its middle is the place that it is seen from above; north of it is up; around it is sky."""
    (globe,) = modality.display.places({"latitude": "30", "longitude": "-45", "size": "101"})
    coords = globe.coords(0, globe.count).reshape(101, 101, 2)
    assert coords[50, 50].tolist() == pytest.approx([-30 / 90, -45 / 180], abs=1e-5)
    assert float(coords[40, 50, 0]) < float(coords[50, 50, 0])
    assert float(coords[50, 60, 1]) > float(coords[50, 50, 1])
    assert globe.sky[0, 0]
    assert not globe.sky[50, 50]
    assert float(globe.sky.float().mean()) == pytest.approx(1 - math.pi / 4, abs=0.01)


def test_the_sky_is_paper(modality: inrkit.GridModality, tmp_path: Path) -> None:
    """A globe is rendered with nothing where there is nothing, and can be written as a picture."""
    (globe,) = modality.display.places({"longitude": "10", "size": "24"})
    values = modality.transform()(field(modality), globe)
    assert torch.equal(values[0, 0].isnan(), globe.sky)
    assert torch.equal(modality.display.pictures(values)[0, :, 0, 0], torch.ones(3))
    assert modality.display.write([values[0]], tmp_path / "globe.png").exists()
    with pytest.raises(inrkit.UsageError, match="numbers of degrees"):
        modality.display.places({"latitude": "north"})


def test_invented_weather_is_one_field_on_every_grid(modality: inrkit.GridModality) -> None:
    """The truth on a globe is that of the map at the same places."""
    source = modality.source(None, "train")
    (globe,) = modality.display.places({"latitude": "90", "size": "3"})
    seen = modality.display.truth(source, [5], globe)
    assert seen is not None
    north = inrkit.Grid((2, 2), jitter=torch.tensor([[[-0.5, 0.8]]]), index=torch.tensor([0]))  # (-1, 0.3)
    pole = source.at([5], north)
    assert float(seen[0, 0, 1, 1]) == pytest.approx(float(pole), abs=1e-4)


def test_maps_are_imported_between_their_limits(tmp_path: Path) -> None:
    """From degrees to values; what is no map of finite numbers is refused."""
    importer = inrkit.load_plugins().importer("latlon")
    np.save(tmp_path / "a.npy", np.array([[-40.0, 0.0, 40.0]]))
    with inrkit.StoreWriter(tmp_path / "s.h5", "sphere") as out:
        importer().run(tmp_path, out, importer.Options(low=-40, high=40), inrkit.quiet)
    assert inrkit.Store(tmp_path / "s.h5").read("values", [0]).tolist() == [[[[-1, 0, 1]]]]
    np.save(tmp_path / "b.npy", np.array([[np.nan, 0.0, 1.0]]))
    refused = pytest.raises(inrkit.DataError, match=r"b.npy: expected finite numbers \(latitudes, longitudes\)")
    with refused, inrkit.StoreWriter(tmp_path / "t.h5", "sphere") as out:
        importer().run(tmp_path, out, importer.Options(), inrkit.quiet)
