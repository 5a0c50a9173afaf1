"""What is done to an object is done to its pictures and its cameras alike."""

import pytest
import torch

from inrkit import Draws, Field, resolve
from inrkit_nerf.augmentation import Augmentation
from inrkit_nerf.cameras import Cameras, inward, project, rays_at
from inrkit_nerf.march import MarchRays
from inrkit_nerf.observation import Rays

DRAWS = Draws(3, total=8)


def _seen() -> tuple[torch.Tensor, Cameras]:
    """Pictures of eight objects from two sides each, and their cameras, whose middle is not that of the picture."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (8, 2, 4, 6, 8), dtype=torch.uint8)
    cameras = inward(torch.randn(8, 2, 3) + torch.tensor([3.0, 0, 0]), (6, 8))
    return images, Cameras(cameras.pose, cameras.intrinsics + torch.tensor([0.0, 0, 1.25, 0]), (6, 8))


def _changed(**options: object) -> tuple[torch.Tensor, Cameras]:
    images, cameras = Augmentation(**options)(*_seen(), DRAWS.fork("augmentation"))  # type: ignore[arg-type]
    return images, cameras


def test_nothing_is_changed_unasked() -> None:
    images, cameras = _changed()
    assert torch.equal(images, _seen()[0])
    assert torch.equal(cameras.pose, _seen()[1].pose)


def test_colours_change_places_in_all_views_of_an_object_alike_and_opacity_stays() -> None:
    before, after = _seen()[0], _changed(recolour=True)[0]
    assert torch.equal(after[:, :, 3], before[:, :, 3])
    orders = [
        next(
            order
            for order in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
            if torch.equal(after[row, :, :3], before[row, :, list(order)])
        )
        for row in range(8)
    ]
    assert len(set(orders)) > 2


def test_a_mirrored_object_is_seen_where_its_mirrored_picture_shows_it() -> None:
    before, after = _seen(), _changed(mirror="y")
    points = torch.randn(8, 2, 5, 3) * 0.3
    turned = [bool(torch.equal(a, b.flip(-1))) for a, b in zip(after[0], before[0], strict=True)]
    assert 0 < sum(turned) < 8
    for row, mirrored in enumerate(turned):
        signs = torch.tensor([1.0, -1 if mirrored else 1, 1])
        old, depth = project(before[1][row], points[row])
        new, same_depth = project(after[1][row], points[row] * signs)
        expected = torch.stack([8 - old[..., 0], old[..., 1]], -1) if mirrored else old
        assert torch.allclose(new, expected, atol=1e-4)
        assert torch.allclose(same_depth, depth, atol=1e-5)
    rotation = after[1].pose[..., :3, :3]
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(8, 2), atol=1e-5)  # as cameras are


def test_a_stretched_object_shows_its_stretched_cameras_the_same_pictures() -> None:
    before, after = _seen()[1], _changed(stretch=0.5)[1]
    positions = torch.tensor([[1.0, 2.0], [7.5, 4.0]])
    (origins, directions), (moved, along) = rays_at(before, positions), rays_at(after, positions)
    kept = moved / origins
    assert float(kept.min()) >= 0.5
    assert float(kept.max()) <= 1.5
    assert torch.allclose(kept, kept[:, :1, :1].expand_as(kept), atol=1e-4)  # one for each object and axis
    assert torch.allclose(along, directions * kept[:, :1, :1], atol=1e-5)

    def ball(points: torch.Tensor) -> torch.Tensor:
        solid = 8 - 40 * points.norm(dim=-1, keepdim=True)
        return torch.cat([solid, points * 5], -1)

    narrow: Field = lambda points: ball(points / kept[:1, 0, 0])  # noqa: E731
    march = MarchRays([-2.0] * 3, [2.0] * 3, samples=400, occupancy=0)
    picture = march(lambda points: ball(points), Rays(before[:1]))
    again = march(narrow, Rays(after[:1]))
    assert float((picture - 1).abs().max()) > 0.5  # something is seen
    assert torch.allclose(picture, again, atol=0.02)


def test_training_uses_it_and_testing_does_not() -> None:
    """The box that is taken from the data leaves room for it; a box of one's own is kept."""
    box = "options.box=[-1,-1,-1,1,1,1]"
    overrides = ["options.recolour=true", "options.mirror=x", "options.stretch=0.25", "options.count=4"]
    plain, grown = resolve("nerf", overrides=["options.count=4"]), resolve("nerf", overrides=overrides)
    kept = resolve("nerf", overrides=[*overrides, box])
    boxes = [setup.modality.options.box for setup in (plain, grown, kept)]
    assert boxes[1] == pytest.approx([1.25 * x for x in boxes[0]])
    assert boxes[2] == (-1, -1, -1, 1, 1, 1)

    plain = resolve("nerf", overrides=["options.count=4", box])
    signals = plain.source("train").read(range(8))
    for training in (False, True):
        a, b = (x.modality.observe(signals, Draws(1, total=8), training=training).support for x in (plain, kept))
        assert torch.equal(a.values, b.values) is not training
        assert torch.equal(a.where.cameras.pose, b.where.cameras.pose) is not training
