"""nerfacc's traversal of occupancy grids, its CUDA kernels replaced by plain Python: the same samples and colours."""

from collections.abc import Iterator

import attrs
import nerfacc_kernels
import pytest
import torch
from test_nerf_march import UNIT_BOX, Counted, ball, some_rays
from torch import Tensor

from inrkit import Rendered
from inrkit.testing.strangers import Strangers
from inrkit_nerf.integrate import packed_works
from inrkit_nerf.march import MarchRays, cross_box
from inrkit_nerf.observation import Rays
from inrkit_nerf.traverse import traversal_works, traverse

HERE = torch.device("cpu")


@pytest.fixture(autouse=True)
def tried_anew() -> Iterator[None]:
    """What kernels compute is found out once, and these tests change it."""
    for found in (packed_works, traversal_works):
        found.cache_clear()
    yield
    for found in (packed_works, traversal_works):
        found.cache_clear()


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    nerfacc_kernels.install(monkeypatch)


def seen(rays: Rays, **options: object) -> tuple[Rendered, int]:
    """Of the two balls, and how many points were asked for."""
    field = Counted(ball)
    with torch.no_grad():
        return MarchRays(*UNIT_BOX, samples=128, **options).with_depth(field, rays), field.total


def same(one: Rendered, other: Rendered) -> None:
    """But for light that nobody sees: a hundredth of what a faint sample sends."""
    for name, values in attrs.asdict(one, recurse=False).items():
        torch.testing.assert_close(getattr(other, name), values, atol=1e-4, rtol=0, msg=name)


def found_in_cells(device: torch.device) -> tuple[Tensor, Tensor]:
    """Samples (3, 50, 16) in occupied cells of their own object: by looking each up, and by traversal."""
    low, high, samples, side = torch.tensor([-0.5, -0.4, -0.3]), torch.tensor([0.5, 0.6, 0.2]), 16, 7
    occupied = torch.rand(3, side, side, side) < 0.4
    origins = torch.randn(3, 50, 3) * 2
    directions = low + (high - low) * torch.rand(3, 50, 3) - origins
    directions[0, 0] = torch.tensor([0.0, 0.0, 1.0])  # along an axis, and past the box
    enter, leave = cross_box(origins, directions, low, high)
    enter = enter.clamp_min(0)
    leave = torch.where(torch.arange(50) % 7 == 3, enter, torch.maximum(leave, enter))
    begin, end = (origins + x[..., None] * directions for x in (enter, leave))
    middle = begin[..., None, :] + (end - begin)[..., None, :] * ((torch.arange(samples) + 0.5) / samples)[:, None]
    x, y, z = ((middle - low) / (high - low) * side).long().clamp(0, side - 1).unbind(-1)
    looked_up = occupied[torch.arange(3)[:, None, None], x, y, z] & (leave > enter)[..., None]
    ray, number = (x.cpu() for x in traverse(*(x.to(device) for x in (occupied, low, high, begin, end)), samples))
    assert torch.equal(ray * samples + number, (ray * samples + number).unique())  # in their order
    walked = torch.zeros_like(looked_up)
    walked.flatten(0, 1)[ray, number] = True
    return looked_up, walked


@pytest.mark.usefixtures("kernels")
def test_traversal_finds_what_looking_up_every_sample_finds() -> None:
    """Law: the samples of a ray whose middle lies in an occupied cell of its own object, in their order."""
    looked_up, walked = found_in_cells(HERE)
    assert int(looked_up.sum()) > 500
    assert torch.equal(looked_up, walked)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("mip", [False, True])
@pytest.mark.parametrize("near", [0.0, 1.2])
def test_traversal_shows_what_looking_up_every_sample_shows(near: float, *, mip: bool) -> None:
    """Law: colours, opacity, depth and normals are those of the padded arrays, from as few points."""
    rays = some_rays(1, 30, background=torch.tensor([[1.0, 0.0, -1.0], [0.5, 0.5, 0.5]]))
    expected, points = seen(rays, mip=mip, near=near)
    walked, fewer = seen(rays, mip=mip, near=near, traversal=True)
    assert 100 < int((expected.opacity > 0.5).sum()) < 1700
    same(expected, walked)
    assert fewer <= points


@pytest.mark.usefixtures("kernels")
def test_traversal_leaves_tensors_where_they_are() -> None:
    """Law: on a device nothing of it is mixed with the host's, and the pictures are the host's."""
    rays = some_rays(1, 30)
    expected, _ = seen(rays, traversal=True)
    with Strangers():
        there, _ = seen(rays.to(torch.device("cuda")), traversal=True)
        same(expected, Rendered(**{name: x.cpu() for name, x in attrs.asdict(there, recurse=False).items()}))


@pytest.mark.usefixtures("kernels")
def test_an_empty_grid_shows_the_background() -> None:
    empty = torch.tensor([-60.0, 1.0, 1.0, 1.0])
    march = MarchRays(*UNIT_BOX, samples=128, traversal=True, background=0.5)
    with torch.no_grad():
        shown = march(lambda coords: empty.expand(*coords.shape[:2], 4), some_rays(1, 30))
    assert torch.equal(shown, torch.full_like(shown, 0.5))


def test_without_the_kernels_a_line_says_so_and_the_same_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    """Law: where nerfacc's kernels do not compute, the option changes nothing; that is said once."""
    rays = some_rays(1, 30)
    (expected, points), *again = seen(rays), seen(rays, traversal=True), seen(rays, traversal=True)
    for other, asked in again:
        assert (torch.equal(other.colour, expected.colour), asked) == (True, points)
    assert caplog.messages == [
        "'options.traversal' is on, but nerfacc's CUDA kernels do not compute on 'cpu'; they are not used"
    ]


@pytest.mark.usefixtures("kernels")
def test_a_kernel_that_finds_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from nerfacc import cuda

    assert traversal_works(HERE)
    traversal_works.cache_clear()

    def every_second(*given: object) -> tuple[object, object, None]:
        edges, samples, planes = nerfacc_kernels.traverse_grids(*given)
        samples.vals, samples.ray_indices = samples.vals[::2], samples.ray_indices[::2]
        return edges, samples, planes

    monkeypatch.setattr(cuda, "traverse_grids", every_second)
    assert not traversal_works(HERE)


@pytest.mark.gpu
def test_traversal_on_a_gpu_shows_what_looking_up_every_sample_shows(gpu: torch.device) -> None:
    """Law: with nerfacc's own kernels too, colours, opacity, depth and normals are those of the padded arrays."""
    if not traversal_works(gpu):
        pytest.skip("nerfacc's kernels cannot be compiled here")
    rays = some_rays(2, 40).to(gpu)
    (expected, points), (walked, fewer) = seen(rays), seen(rays, traversal=True)
    same(expected, walked)
    assert fewer <= points


@pytest.mark.gpu
def test_a_gpu_finds_what_looking_up_every_sample_finds(gpu: torch.device) -> None:
    """Law: nerfacc's own kernel too finds them, but for middles that lie on the face between two cells."""
    if not traversal_works(gpu):
        pytest.skip("nerfacc's kernels cannot be compiled here")
    looked_up, walked = found_in_cells(gpu)
    assert int((looked_up != walked).sum()) <= 3
