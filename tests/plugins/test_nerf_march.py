"""Ray marching: held to closed forms, to plain sums and to finite differences."""

import math
from typing import Any

import nerfacc_kernels
import pytest
import torch
from torch import Tensor

from inrkit import Field
from inrkit_nerf import integrate as integration
from inrkit_nerf.cameras import Cameras, inward, orbit
from inrkit_nerf.integrate import _batched, _packed, integrate, packed_works
from inrkit_nerf.march import MarchRays, colour_of, cross_box, density_of
from inrkit_nerf.observation import Rays

UNIT_BOX = ((-0.5, -0.5, -0.5), (0.5, 0.5, 0.5))


def raw_density(density: float) -> float:
    """What a field has to answer for a density: the inverse of softplus(raw - 3) * 20."""
    return math.log(math.expm1(density / 20)) + 3


def raw_colour(value: float) -> float:
    return 2 * math.atanh(value)


def along_x(eye: float = 2.0) -> Rays:
    """The one ray of a camera on the x axis that looks at the origin."""
    return Rays(inward(torch.tensor([[[eye, 0.0, 0.0]]]), (1, 1)))


def some_rays(views: int = 2, size: int = 9, **parts: Any) -> Rays:
    cameras = orbit(views, 1.3, 20, size=(size, size))
    return Rays(Cameras(cameras.pose[None], cameras.intrinsics[None], cameras.size), **parts)


def smooth(rows: int = 2, seed: int = 0) -> Field:
    """A field of smooth random densities and colours, different for each object."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(rows, 3, 16, generator=generator) * 3
    second = torch.randn(rows, 16, 4, generator=generator)
    offset = torch.tensor([1.0, 0.0, 0.0, 0.0])
    return lambda coords: torch.sin(coords.to(first.dtype) @ first) @ second + offset


def plain(field: Field, march: MarchRays, rays: Rays, background: Tensor) -> Tensor:
    """(B, 3, R): one ray and one sample after the other."""
    origins, directions = rays.rays(0, rays.count)
    rows = len(field(torch.zeros(1, 1, 3)))
    pictures = torch.zeros(rows, 3, rays.count)
    for row in range(rows):
        for ray in range(rays.count):
            o, d = origins[row % len(origins), ray], directions[row % len(origins), ray]
            enter, leave = (float(x) for x in cross_box(o, d, march.low, march.high))
            enter, leave, light, colour = max(enter, march.near), min(leave, march.far), 1.0, torch.zeros(3)
            step = (leave - enter) / march.samples
            for i in range(march.samples if leave > enter else 0):
                u = 0.5 if rays.jitter is None else float(rays.jitter[row % len(rays.jitter), ray, i])
                point = (o + (enter + (i + u) * step) * d) / march.reach
                answer = field(point[None, None].expand(rows, 1, 3))[row, 0]
                passed = math.exp(-float(density_of(answer[0])) * step)
                colour = colour + light * (1 - passed) * colour_of(answer[1:])
                light *= passed
            pictures[row, :, ray] = colour + light * background[row]
    return pictures


def test_box_by_its_faces() -> None:
    """Law: a ray enters and leaves where it crosses faces; one that misses leaves before it enters."""
    low, high = torch.tensor([-1.0, -2.0, -3.0]), torch.tensor([1.0, 2.0, 3.0])
    origins = torch.tensor([[-5.0, 0, 0], [0, 5, 1], [0, 0, 0], [-5, 2.5, 0]])
    directions = torch.tensor([[1.0, 0, 0], [0, -1, 0], [0, 0, 1], [1, 0, 0]])
    enter, leave = cross_box(origins, directions, low, high)
    assert torch.allclose(enter[:3], torch.tensor([4.0, 3.0, -3.0]))
    assert torch.allclose(leave[:3], torch.tensor([6.0, 7.0, 3.0]))
    assert leave[3] <= enter[3]


@pytest.mark.parametrize("samples", [1, 4, 64])
@pytest.mark.parametrize("grad", [True, False])
def test_homogeneous_slab_in_closed_form(samples: int, *, grad: bool) -> None:
    """Law: light that crosses a length L of density σ keeps exp(-σ L) of itself, with any number of samples."""
    answer = torch.tensor([raw_density(1.7), *[raw_colour(x) for x in (-0.5, 0.0, 0.75)]])
    march = MarchRays(*UNIT_BOX, samples=samples, background=-1.0)
    with torch.set_grad_enabled(grad):
        seen = march(lambda coords: answer.expand(*coords.shape[:2], 4), along_x())
    left = math.exp(-1.7)
    expected = torch.tensor([-0.5, 0.0, 0.75]) * (1 - left) - left
    assert torch.allclose(seen.flatten(), expected, atol=1e-5)


def test_two_slabs_hide_each_other() -> None:
    """Law: C = (1 - a) c₁ + a (1 - b) c₂ + a b background, with a and b what each slab lets through."""

    def field(coords: Tensor) -> Tensor:
        near = torch.tensor([raw_density(2.0), raw_colour(0.9), 0.0, 0.0])
        far = torch.tensor([raw_density(6.0), 0.0, raw_colour(0.9), 0.0])
        return torch.where(coords[..., :1] > 0, near, far)

    seen = MarchRays(*UNIT_BOX, samples=10)(field, along_x()).flatten()
    a, b = math.exp(-1.0), math.exp(-3.0)
    expected = [0.9 * (1 - a) + a * b, 0.9 * a * (1 - b) + a * b, a * b]
    assert seen.tolist() == pytest.approx(expected, abs=1e-5)


def test_near_and_far_cut() -> None:
    """Law: what lies nearer than ``near`` or farther than ``far`` is not seen."""
    answer = torch.tensor([raw_density(1.0), 0.0, 0.0, 0.0])
    seen = MarchRays(*UNIT_BOX, near=1.75, far=2.25, samples=8)(lambda x: answer.expand(*x.shape[:2], 4), along_x())
    assert seen.flatten().tolist() == pytest.approx([math.exp(-0.5)] * 3, abs=1e-5)


def test_homogeneous_sphere_between_entry_and_exit() -> None:
    """Law: with samples laid between entry and exit, a ball lets exp(-σ chord) through, exactly."""
    height = torch.linspace(0, 0.999, 50, dtype=torch.float64)
    chord = 2 * (1 - height**2).sqrt()
    edges = 3 - chord[:, None] / 2 + chord[:, None] * torch.linspace(0, 1, 17, dtype=torch.float64)
    density = torch.full((1, 50, 16), 1.3, dtype=torch.float64)
    seen = integrate(
        edges[None, :, :-1], edges[None, :, 1:], density, torch.zeros(1, 50, 16, 3).double(), torch.ones(1, 3).double()
    )
    assert torch.allclose(seen, torch.exp(-1.3 * chord)[None, :, None].expand_as(seen), atol=1e-13)


def test_more_samples_come_closer_to_a_sphere() -> None:
    """Law: where samples do not know the surface, the error falls as 1 / samples."""

    def field(coords: Tensor) -> Tensor:
        inside = coords.norm(dim=-1, keepdim=True) < 0.8
        return torch.where(inside, torch.tensor([raw_density(2.0), 0.0, 0.0, 0.0]), torch.tensor([-60.0, 0, 0, 0]))

    rays = some_rays(1, 15)
    origins, directions = rays.rays(0, rays.count)
    nearest = torch.linalg.cross(origins, directions, dim=-1).norm(dim=-1)
    expected = torch.exp(-2 * 2 * (0.4**2 - nearest**2).clamp_min(0).sqrt())
    errors = []
    for samples in (16, 64, 256):
        seen = MarchRays(*UNIT_BOX, samples=samples)(field, rays)
        errors.append(float((seen[0, 0].flatten() - expected[0]).abs().mean()))
    assert errors[1] < 0.4 * errors[0]
    assert errors[2] < 0.4 * errors[1]


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("jittered", [True, False])
def test_against_a_plain_sum(*, grad: bool, jittered: bool) -> None:
    """Law: colours are those of one ray and one sample after the other, for every object of a batch."""
    jitter = torch.rand(2, 50, 6) if jittered else None
    background = torch.tensor([[-1.0, 0.0, 1.0], [0.5, 0.5, 0.5]])
    rays = some_rays(2, 5, jitter=jitter, background=background)
    march = MarchRays((-0.5, -0.2, -0.3), (0.5, 0.2, 0.3), samples=6, near=1.0, far=1.6)
    with torch.set_grad_enabled(grad):
        seen = march(smooth(), rays)
    assert seen.shape == (2, 3, 2, 5, 5)
    assert torch.allclose(seen.flatten(2), plain(smooth(), march, rays, background), atol=1e-5)


def test_rays_that_miss_see_the_background() -> None:
    """Law: a ray past the box shows the background and nothing else."""
    rays = some_rays(1, 31)
    origins, directions = rays.rays(0, rays.count)
    march = MarchRays((-0.2,) * 3, (0.2,) * 3, samples=4, background=0.25)
    enter, leave = cross_box(origins, directions, march.low, march.high)
    missed = (leave <= enter)[0]
    assert 0 < int(missed.sum()) < rays.count
    seen = march(smooth(), rays).flatten(2)
    assert torch.equal(seen[:, :, missed], torch.full_like(seen[:, :, missed], 0.25))


def test_gradients_by_finite_differences() -> None:
    """Law: the derivative of what is seen, in any direction of the field's numbers, is what differences say."""
    rays = some_rays(1, 7)
    march = MarchRays(*UNIT_BOX, samples=12)
    numbers, weight = torch.randn(2, 8, 4), torch.randn(2, 3, 1, 7, 7)
    waves = torch.randn(2, 3, 8) * 2

    def seen(change: Tensor) -> Tensor:
        return (march(lambda coords: torch.sin(coords @ waves) @ (numbers + change), rays) * weight).double().sum()

    change = torch.zeros_like(numbers, requires_grad=True)
    seen(change).backward()
    assert change.grad is not None
    for _ in range(5):
        direction = torch.randn_like(numbers)
        slope = float((seen(0.01 * direction) - seen(-0.01 * direction)) / 0.02)
        assert slope == pytest.approx(float((change.grad * direction).sum()), rel=0.02, abs=0.02)


def test_integral_gradients_in_double_precision() -> None:
    """Law: the sum along rays has the exact gradient, also where some intervals are left out."""
    generator = torch.Generator().manual_seed(3)
    edges = torch.rand(1, 3, 6, generator=generator, dtype=torch.float64).cumsum(-1)
    density = torch.rand(2, 3, 5, generator=generator, dtype=torch.float64).requires_grad_()
    colours = torch.rand(2, 3, 5, 3, generator=generator, dtype=torch.float64).requires_grad_()
    background = torch.rand(2, 3, generator=generator, dtype=torch.float64)
    active = torch.rand(2, 3, 5, generator=generator) < 0.6
    for chosen in (None, active):
        assert torch.autograd.gradcheck(
            lambda d, c, chosen=chosen: integrate(edges[..., :-1], edges[..., 1:], d, c, background, chosen),
            (density, colours),
        )


def test_intervals_left_out_might_as_well_be_empty() -> None:
    """Law: an interval that is not active changes nothing, whatever its density and colour."""
    edges, density, colours = torch.rand(2, 4, 9).cumsum(-1), torch.rand(2, 4, 8), torch.rand(2, 4, 8, 3)
    active = torch.rand(2, 4, 8) < 0.5
    part = integrate(edges[..., :-1], edges[..., 1:], density, colours, torch.ones(1, 3), active)
    whole = integrate(edges[..., :-1], edges[..., 1:], density * active, colours, torch.ones(1, 3))
    assert torch.allclose(part, whole, atol=1e-6)


@pytest.mark.parametrize("works", [False, True])
def test_whether_nerfaccs_kernels_load_is_tried_once_and_in_silence(
    works: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a compiler nerfacc prints to standard output and then fails at each call; nobody sees or pays for it."""
    import nerfacc

    calls = []

    def kernels(starts: Tensor, ends: Tensor, density: Tensor, **rest: Any) -> tuple[Tensor, None, None]:
        calls.append(rest)
        print("NerfAcc: No CUDA toolkit found. NerfAcc will be disabled.")
        if not works:
            raise AttributeError("'NoneType' object has no attribute 'exclusive_sum'")
        return torch.ones_like(density), None, None

    monkeypatch.setattr(nerfacc, "render_weight_from_density", kernels)
    monkeypatch.setattr(integration.shutil, "which", lambda name: None)
    packed_works.cache_clear()
    try:
        assert [packed_works(torch.device("cpu")) for _ in range(3)] == [works] * 3
    finally:
        packed_works.cache_clear()
    assert len(calls) == 1
    assert capsys.readouterr() == ("", "")


def test_on_cuda_without_kernels_rendering_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packed functions are called where they work, and the batched ones give the same elsewhere."""

    class OnCuda(Tensor):
        is_cuda = True

    edges, density, colours = torch.rand(2, 4, 9).cumsum(-1), torch.rand(2, 4, 8), torch.rand(2, 4, 8, 3)
    active = torch.rand(2, 4, 8) < 0.5
    given = (edges[..., :-1], edges[..., 1:], density.as_subclass(OnCuda), colours, torch.ones(1, 3), active)
    used: list[str] = []
    monkeypatch.setattr(integration, "_packed", lambda *parts: (used.append("packed"), _batched(*parts))[1])
    for works in (False, True):
        monkeypatch.setattr(integration, "packed_works", lambda device, works=works: works)
        assert torch.allclose(integrate(*given), integrate(*given[:2], density, *given[3:]))
    assert used == ["packed"]


def test_packed_is_batched_with_the_kernel_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: nerfacc's packed functions, but for its one kernel, arrive at the colours of the batched ones; rays without
    an interval show nothing."""
    edges, density, colours = torch.rand(50, 17).cumsum(-1), torch.rand(50, 16) * 3, torch.rand(50, 16, 3)
    active = torch.rand(50, 16) < torch.linspace(0, 1, 50)[:, None]  # none on the first
    parts = (edges[:, :-1], edges[:, 1:], density, colours, active)
    expected = _batched(*parts)
    nerfacc_kernels.install(monkeypatch)
    for packed, batched in zip(_packed(*parts), expected, strict=True):
        torch.testing.assert_close(packed, batched, atol=1e-5, rtol=1e-5)


@pytest.mark.gpu
def test_packed_is_batched(gpu: torch.device) -> None:
    """Law: nerfacc's packed kernels and its batched functions arrive at the same colours."""
    if not packed_works(gpu):
        pytest.skip("nerfacc's kernels cannot be compiled here")
    edges, density, colours = torch.rand(50, 17).cumsum(-1), torch.rand(50, 16) * 3, torch.rand(50, 16, 3)
    active = torch.rand(50, 16) < 0.5
    parts = [x.to(gpu) for x in (edges[:, :-1], edges[:, 1:], density, colours, active)]
    for packed, batched in zip(_packed(*parts), _batched(*parts), strict=True):
        assert torch.allclose(packed, batched, atol=1e-5)


@pytest.mark.gpu
def test_rendering_on_a_gpu_is_rendering_on_a_processor(gpu: torch.device) -> None:
    """Law: a whole picture is the same on both kinds of machine, skipping included."""
    march, rays = MarchRays(*UNIT_BOX, samples=64), some_rays(2, 40)
    with torch.no_grad():
        here = march(ball, rays)
        there = march(ball, rays.to(gpu))
    assert torch.allclose(here, there.cpu(), atol=1e-4)


def ball(coords: Tensor) -> Tensor:
    """Two objects: a larger ball and a smaller one beside the middle, coloured by place."""
    centre = coords.new_tensor([[[0.0, 0.0, 0.0]], [[0.3, 0.2, 0.0]]])
    radius = coords.new_tensor([0.6, 0.3])[:, None, None]
    inside = radius - (coords[..., :3] - centre).norm(dim=-1, keepdim=True)
    return torch.cat([40 * inside, 4 * coords[..., :3].expand(2, -1, -1)], -1)


class Counted:
    """A field that remembers how many points it was asked for, in all and at most at once."""

    def __init__(self, field: Field) -> None:
        self.field, self.total, self.most = field, 0, 0

    def __call__(self, coords: Tensor) -> Tensor:
        answer = self.field(coords)
        self.total += answer.shape[0] * answer.shape[1]
        self.most = max(self.most, answer.shape[0] * answer.shape[1])
        return answer


def test_skipping_shows_the_same_with_far_fewer_points() -> None:
    """Law: skipping asks for less than a third of the points, and hardly anybody sees the difference."""
    rays = some_rays(2, 40)
    with torch.no_grad():
        every, some = Counted(ball), Counted(ball)
        whole = MarchRays(*UNIT_BOX, samples=64, occupancy=0)(every, rays)
        skipped = MarchRays(*UNIT_BOX, samples=64)(some, rays)
    assert float((whole - skipped).square().mean().sqrt()) < 2e-3
    assert some.total < every.total / 3


def test_memory_without_gradients_is_bounded() -> None:
    """Law: without gradients a field is never asked for more points at once, however many rays there are."""
    with torch.no_grad():
        fields = [Counted(ball), Counted(ball)]
        for field, size in zip(fields, (40, 80), strict=True):
            MarchRays(*UNIT_BOX, samples=32, occupancy=0)(field, some_rays(2, size))
    assert fields[0].most == fields[1].most <= 1 << 14


@pytest.mark.parametrize("occupancy", [0, 32])
def test_depth_and_normals_of_a_ball_are_a_balls(occupancy: int) -> None:
    """Law: along each ray the ball's depth and normal are within a sample of what geometry says; else there is none."""
    rays, radius = some_rays(1, 40), 0.3
    march = MarchRays(*UNIT_BOX, samples=96, occupancy=occupancy)

    def solid(coords: Tensor) -> Tensor:
        inside = radius / march.reach - coords.norm(dim=-1, keepdim=True)
        return torch.cat([800 * inside, coords], -1)

    with torch.no_grad():
        seen = march.with_depth(solid, rays)
        torch.testing.assert_close(seen.colour, march(solid, rays))
    origins, directions = rays.rays(0, rays.count)
    middle = -(origins * directions).sum(-1)
    half = radius**2 - (origins + middle[..., None] * directions).square().sum(-1)
    sure = (half.abs() > 0.2 * radius**2).unflatten(1, rays.shape)[:, None]  # not at the rim
    depth = torch.where(half > 0, middle - half.clamp_min(0).sqrt(), torch.inf)
    normal = ((origins + depth[..., None] * directions) / radius).nan_to_num(0).mT.unflatten(2, rays.shape)
    depth = depth.unflatten(1, rays.shape)[:, None]
    assert torch.equal(seen.opacity[sure] > 0.5, depth[sure].isfinite())
    hit = sure & depth.isfinite()
    assert int(hit.sum()) > 100
    torch.testing.assert_close(seen.depth[hit], depth[hit], atol=0.02, rtol=0)
    assert float(((seen.normal * normal).sum(1, keepdim=True))[hit].min()) > 0.98
    assert torch.equal(seen.normal[sure.expand_as(normal) & ~hit].abs().sum(), torch.tensor(0.0))


def test_an_empty_field_is_background() -> None:
    """Law: where nothing is, skipping or not, the background shows."""
    empty = torch.tensor([-60.0, 1.0, 1.0, 1.0])
    with torch.no_grad():
        seen = MarchRays(*UNIT_BOX, samples=64, background=0.5)(
            lambda coords: empty.expand(*coords.shape[:2], 4), some_rays(1, 40)
        )
    assert torch.allclose(seen, torch.full_like(seen, 0.5), atol=1e-6)


@pytest.mark.parametrize("grad", [True, False])
def test_a_second_head_has_no_bounds_and_no_background(*, grad: bool) -> None:
    """Law: channels after the third are the field's own numbers, in front of nothing."""
    answer = torch.tensor([raw_density(1.0), 0.0, 0.0, 0.0, 5.0, -3.0, 0.0])
    with torch.set_grad_enabled(grad):
        seen = MarchRays(*UNIT_BOX, samples=8)(lambda x: answer.expand(*x.shape[:2], 7), along_x()).flatten()
    left = math.exp(-1.0)
    assert seen.tolist() == pytest.approx([left, left, left, 5 * (1 - left), -3 * (1 - left), 0.0], abs=1e-5)


def test_cones_carry_their_variance() -> None:
    """Law: with mip, fields are given six columns; the cone of a pixel three times as wide is three times as wide."""
    asked = []

    def field(coords: Tensor) -> Tensor:
        asked.append(coords)
        return torch.zeros(*coords.shape[:2], 4)

    for size in (5, 15):
        MarchRays(*UNIT_BOX, samples=64, mip=True)(field, along_x_sized(size))
    (coarse, fine) = (found[0, :, 4].max() for found in asked)  # across the ray
    assert asked[0].shape[-1] == 6
    assert float(coarse / fine) == pytest.approx(9, rel=1e-3)


def along_x_sized(size: int) -> Rays:
    """The rays in the middle of a camera with a number of pixels."""
    middle = torch.tensor([[[size * (size // 2) + size // 2]]])
    return Rays(inward(torch.tensor([[[2.0, 0.0, 0.0]]]), (size, size)), middle)
