"""What views show at the places of a token: which places those are, and what is read there."""

import attrs
import pytest
import torch
from torch import Tensor

from inrkit import Draws, make_function, make_readout
from inrkit_nerf.cameras import Cameras, inward, look_at, pinhole, project
from inrkit_nerf.modality import NerfModality
from inrkit_nerf.observation import Rays, ViewObservation
from inrkit_nerf.options import NerfOptions
from inrkit_nerf.scene import REACH
from inrkit_nerf.unprojection import Unprojection
from inrkit_nerf.voxels import Voxels

SMALL = NerfOptions(
    size=(16, 16), count=4, object_views=4, query_views=1, query_rays=10, samples=4, render_samples=6, occupancy=8,
    width=16, depth=1, decoder_depth=1, heads=2, hidden=16, function="voxels",
    function_options={"side": 8, "patch": 2}, unproject=2,
)  # fmt: skip


def bare(points: Tensor) -> Unprojection:
    """One that answers with the colours themselves, place after place of each token."""
    unprojection = Unprojection(points, 3 * points.shape[1])
    with torch.no_grad():
        unprojection.embed.weight.copy_(torch.eye(3 * points.shape[1]))
        unprojection.embed.bias.zero_()
    return unprojection


def seen(cameras: Cameras, values: Tensor) -> ViewObservation:
    return ViewObservation(values, Rays(cameras))


def test_points_lie_in_the_block_of_their_token() -> None:
    """Law: at the points of token n, as many as it has voxels, a field has the values of token n, in their order."""
    function = make_function("voxels", {"side": 8, "patch": 2, "extent": (1.0, 0.55, 0.3)}, axes=3, channels=4)
    assert isinstance(function, Voxels)
    points = function.token_points(2)
    params = {"voxels": torch.randn(1, *function.param_shapes["voxels"])}
    found = function(params, points.flatten(0, 1)[None])[0].unflatten(0, points.shape[:2])
    assert torch.allclose(found.mT.flatten(1), params["voxels"][0], atol=1e-5)


def test_an_image_of_its_own_positions() -> None:
    """Law: where a view's colours say where they are, a token is told where its places are seen."""
    cameras = inward(torch.tensor([[[1.5, 0.4, 0.6]], [[-0.2, 1.4, 0.3]]]), (12, 16))
    points = torch.rand(5, 7, 3) * 0.5 - 0.25
    y, x = torch.meshgrid(torch.arange(12) + 0.5, torch.arange(16) + 0.5, indexing="ij")
    values = torch.stack([x, y, torch.ones_like(x)])[None, :, None].expand(2, -1, -1, -1, -1)
    told = bare(points)(seen(cameras, values)).unflatten(2, (3, 7))  # (objects, tokens, colour, place)
    where, depth = project(cameras, points.flatten(0, 1))
    assert (depth > 0).all()
    expected = where[:, 0].unflatten(1, (5, 7)).movedim(-1, 2)
    assert torch.allclose(told[:, :, :2], expected, atol=1e-4)
    assert torch.allclose(told[:, :, 2], torch.ones(2, 5, 7))


def test_several_views_are_averaged_and_one_camera_may_serve_all() -> None:
    cameras = inward(torch.tensor([[[1.5, 0.4, 0.6], [-0.2, 1.4, 0.3]]]), (8, 8))
    values, unprojection = torch.randn(3, 3, 2, 8, 8), bare(torch.rand(4, 2, 3) * 0.4 - 0.2)
    each = [unprojection(seen(cameras[:, [v]], values[:, :, [v]])) for v in (0, 1)]
    assert torch.allclose(unprojection(seen(cameras, values)), (each[0] + each[1]) / 2, atol=1e-6)


def test_what_lies_behind_a_camera_spoils_nothing() -> None:
    """Places beside, behind and in the plane of a camera within the box: finite colours of the picture."""
    pose = look_at(torch.tensor([0.1, 0.0, 0.0]), torch.tensor([1.0, 0.0, 0.0]))
    cameras = Cameras(pose[None, None], pinhole((8, 8)).expand(1, 1, 4), (8, 8))
    points = torch.tensor([[[-0.4, 0.0, 0.0], [0.1, 0.2, 0.0], [0.1, 0.0, 0.0], [0.1001, 0.4, 0.4]]])
    values = torch.randn(1, 3, 1, 8, 8)
    told = bare(points)(seen(cameras, values))
    assert told.isfinite().all()
    assert told.abs().max() <= values.abs().max()


@pytest.mark.parametrize(
    ("changes", "there"),
    [({}, True), ({"unproject": 0}, False), ({"function": "mlp", "function_options": {"width": 16}}, False)],
)
def test_only_tokens_with_a_place_are_told(changes: dict[str, object], there: bool) -> None:
    """And what they are told reaches the params from the first step on."""
    modality = NerfModality(attrs.evolve(SMALL, **changes))
    modality = NerfModality(modality.fit_options(modality.source(None, "train")))
    assert modality.scene.march.reach == pytest.approx(REACH)  # by which coordinates of functions are measured
    pipeline = modality.build(make_readout("direct"))
    names = [name for name, _ in pipeline.denoiser.named_parameters() if name.startswith("aligned.")]
    assert bool(names) == there
    batch = modality.observe(modality.source(None, "train").read([0, 1]), Draws(0, 2), training=True)
    params = pipeline.params(batch.support, torch.full((2,), 0.5))
    torch.cat([value.flatten() for value in params.values()]).square().sum().backward()
    for name in names:
        grad = pipeline.denoiser.get_parameter(name).grad
        assert grad is not None
        assert grad.abs().max() > 0
