"""The embedded cars: pure functions of their seeds, inside their box, the same from every resolution."""

import pickle

import torch

from inrkit_nerf.cameras import Cameras, orbit
from inrkit_nerf.embedded.cars import BOX, Cars, occupied, render_cars
from inrkit_nerf.views import ViewSource


def around(count: int, size: int = 16) -> Cameras:
    return orbit(count, 1.13, 25, size=(size, size))


def test_a_car_depends_on_its_seed_alone() -> None:
    """Neither the batch nor a global random state matters."""
    together = render_cars(torch.arange(4), around(2))
    torch.manual_seed(5)
    alone = render_cars(torch.tensor([2]), around(2))
    torch.testing.assert_close(together[2:3], alone, atol=1e-5, rtol=0)
    assert (together[0] - together[1]).abs().mean() > 0.01


def test_cars_lie_in_their_box_before_white() -> None:
    """Nothing outside, something inside, and corners of pictures are background."""
    points = torch.rand(20, 4000, 3, generator=torch.Generator().manual_seed(0)) * 1.4 - 0.7
    inside = occupied(torch.arange(20), points)
    low, high = torch.tensor(BOX)
    assert inside.any()
    assert ((points >= low) & (points <= high)).all(-1)[inside].all()
    pictures = render_cars(torch.arange(8), around(3))
    assert (pictures[..., 0, 0] == 1).all()
    assert (pictures < 0.9).flatten(2).any(-1).all()


def test_a_finer_picture_averages_to_the_coarse_one() -> None:
    """A pixel is the mean over its area: 32 pixels a side, averaged in fours, are 16 with as many rays."""
    fine = render_cars(torch.arange(3), around(2, 32))
    coarse = render_cars(torch.arange(3), around(2, 16), supersample=2)
    averaged = torch.nn.functional.avg_pool2d(fine.flatten(0, 1), 2).unflatten(0, (3, 2))
    torch.testing.assert_close(averaged, coarse, atol=1e-4, rtol=0)


def test_chosen_pixels_are_those_of_the_whole_picture() -> None:
    """Numbered row by row."""
    index = torch.tensor([0, 5, 100, 255])
    whole = render_cars(torch.arange(2), around(3)).flatten(3)
    torch.testing.assert_close(render_cars(torch.arange(2), around(3), pixels=index), whole[..., index])


def test_splits_have_no_car_in_common_and_reading_is_pure() -> None:
    """The same numbers give the same views, whatever was read before and after a trip to a worker."""
    source = ViewSource(Cars("train", 6, (8, 8), 4), training=True, support=1, extra=2, most=3)
    assert len(source) == 24
    first = source.read([3, 17])
    source.read(range(10))
    again = pickle.loads(pickle.dumps(source)).read([3, 17])
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
    test = ViewSource(Cars("test", 6, (8, 8), 4), training=False, support=1, extra=2, most=3)
    assert len(test) == 6
    assert test.read([0, 1])["images"].shape == (2, 4, 3, 8, 8)
    assert not torch.equal(test.read([0])["images"][0, 0], source.read([0])["images"][0, 0])


def test_a_signal_never_holds_a_view_twice() -> None:
    """The view that is read first is not among those that the network is held to."""
    for training in (True, False):
        source = ViewSource(Cars("train", 3, (8, 8), 5), training=training, support=2, extra=2, most=3)
        _, views = source.chosen(range(len(source)))
        assert all(len(set(row)) == len(row) for row in views.tolist())
    assert {
        row[0]
        for row in ViewSource(Cars("train", 3, (8, 8), 5), training=True, support=1, extra=1, most=1)
        .chosen(range(5))[1]
        .tolist()
    } == set(range(5))
