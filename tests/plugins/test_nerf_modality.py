"""The NeRF modality: what is observed, what is asked for, and a run from training to files of all kinds."""

from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from PIL import Image

import inrkit
from inrkit import Draws, UsageError, load_inr, load_plugins, make_readout, save_inr
from inrkit.cli.render import render
from inrkit.config.resolve import resolve
from inrkit.drawing.depthmap import save_depth_map
from inrkit.evaluation.evaluate import evaluate
from inrkit.evaluation.generation import floor_pictures, real_pictures, small, spread_figures
from inrkit.inference.export import export
from inrkit.inference.picture import pictures_of
from inrkit.inference.signalset import SignalSet, source_of
from inrkit_nerf.march import MarchRays
from inrkit_nerf.modality import NerfModality
from inrkit_nerf.observation import Rays
from inrkit_nerf.options import NerfOptions

TINY = NerfOptions(
    size=(16, 16),
    count=6,
    object_views=4,
    query_views=2,
    query_rays=10,
    samples=4,
    render_samples=6,
    occupancy=8,
    width=16,
    depth=1,
    decoder_depth=1,
    heads=2,
    hidden=16,
    groups=4,
    function_options={"width": 16, "depth": 3, "frequencies": 2, "octaves": 2.0},
)


def fitted(**changes: object) -> NerfModality:
    modality = NerfModality(attrs.evolve(TINY, **changes))
    return NerfModality(modality.fit_options(modality.source(None, "train")))


def batch(modality: NerfModality, *, training: bool = True) -> inrkit.Batch:
    source = modality.source(None, "train" if training else "test")
    return modality.observe(source.read([0, 5, 3]), Draws(0, 3), training=training)


def test_one_view_goes_in_and_rays_of_others_come_out() -> None:
    """In training some pixels with jitter, otherwise whole views."""
    modality = fitted()
    training, test = batch(modality), batch(modality, training=False)
    assert training.support.values.shape == (3, 3, 1, 16, 16)
    assert training.query.values.shape == (3, 3, 2, 5)
    assert training.query.where.jitter.shape == (3, 10, 4)
    assert test.query.values.shape == (3, 3, 3, 16, 16)
    assert float(training.support.values.abs().max()) <= 1


def test_query_values_are_the_pixels_that_their_numbers_name() -> None:
    """And their rays meet the box, as far as there are enough such."""
    modality = fitted(query_rays=8)
    signals = modality.source(None, "train").read([0, 5, 3])
    seen = modality.observe(signals, Draws(0, 3), training=True).query
    images = signals["images"][:, 1:].float() / 127.5 - 1
    for row in range(3):
        for view in range(2):
            expected = images[row, view].flatten(1)[:, seen.where.pixels[row, view]]
            torch.testing.assert_close(seen.values[row, :, view], expected)
    march: MarchRays = modality.build(make_readout("direct")).transform
    assert march.hits(seen.where).all()


def test_an_object_that_is_moved_and_enlarged_is_the_same_to_a_model() -> None:
    """Wherever objects lie in the world and however large it is, rays, box and generated views are as they were."""
    here, shift = fitted(near=0.5, far=2.0), torch.tensor([3.0, -2.0, 1.0])
    o = here.options
    box = (torch.tensor(o.box).view(2, 3) * 4 + shift).flatten().tolist()
    moved = {"radius": o.radius * 4, "near": 2.0, "far": 8.0, "target": tuple(shift.tolist())}
    there = NerfModality(attrs.evolve(o, box=tuple(box), **moved))
    signals = here.source(None, "test").read([0, 3])
    pose = signals["pose"].clone()
    pose[..., :3, 3] = pose[..., :3, 3] * 4 + shift
    for a, b in (
        (inrkit.Batch(here.template(1), here.template(1)), inrkit.Batch(there.template(1), there.template(1))),
        [
            modality.observe({**signals, "pose": poses}, Draws(0, 2), training=True)
            for modality, poses in ((here, signals["pose"]), (there, pose))
        ],
    ):
        for one, other in ((a.support, b.support), (a.query, b.query)):
            torch.testing.assert_close(one.where.rays(0, 9), other.where.rays(0, 9), atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(one.values, other.values)
    marches = here.scene.march, there.scene.march
    torch.testing.assert_close(
        marches[0].place(a.query.where, 0, 9).coords, marches[1].place(b.query.where, 0, 9).coords
    )


def test_views_that_a_model_generates_from_are_different() -> None:
    """With several support views each stands elsewhere; the first is the canonical camera."""
    modality = fitted(views=3)
    cameras = modality.template(2).where.cameras
    torch.testing.assert_close(cameras.pose[:, :1], modality.scene.camera.pose)
    assert torch.pdist(cameras.position[0]).min() > 1


def test_a_read_out_that_asks_for_more_than_white_is_refused() -> None:
    """Colours of rays are bounded, and the literal read-out wants twice the signal."""
    with pytest.raises(UsageError, match="'literal' asks a field for twice the signal"):
        fitted().build(make_readout("literal"))


def test_all_views_of_an_object_are_measured_when_asked_for() -> None:
    """Papers count every view but the one that is read, each by itself: here views that differ by 0.2 and by 0.02."""
    source = fitted(test_views=1).source(None, "test")
    assert source.read([3])["images"].shape[1] == 2
    assert sorted(source.whole().chosen([3])[1][0].tolist()) == [0, 1, 2, 3]
    truth = torch.zeros(1, 3, 2, 16, 16)
    found = fitted().display.metrics(truth + torch.tensor([0.2, 0.02])[:, None, None], truth)
    assert [round(values.item(), 3) for name, values in found.items() if "PSNR" in name] == [30.0]


def test_rays_are_described_in_either_way_in_mixed_precision() -> None:
    """By Plücker coordinates or origin and direction: a network reads both in bfloat16."""
    for plucker in (False, True):
        modality = fitted(plucker=plucker)
        pipeline = modality.build(make_readout("direct"))
        seen = batch(modality)
        with torch.autocast("cpu", torch.bfloat16):
            assert pipeline(seen.support, torch.ones(3)).signal.isfinite().all()


def test_noise_is_shared_by_pixel_or_independent() -> None:
    """The literal reading of the paper, and the other one."""
    for shared in (True, False):
        seen = batch(fitted(shared_noise=shared))
        support, query = seen.noise(Draws(7, 3))
        first = support[:, :, 0].flatten(2)
        picked = torch.stack([first[i][:, seen.query.where.pixels[i]] for i in range(3)])
        assert torch.equal(picked, query) == shared
        again = seen.noise(Draws(7, 3))[1]
        assert torch.equal(again, query)


def test_rows_are_independent() -> None:
    """The field of an object does not depend on the batch that it comes in."""
    torch.manual_seed(0)
    modality = fitted()
    pipeline = modality.build(make_readout("direct")).eval()
    seen = batch(modality, training=False)
    whole = pipeline.encode(seen.support).at(seen.query.where)
    part = seen.rows(slice(1, 2))
    torch.testing.assert_close(pipeline.encode(part.support).at(part.query.where), whole[1:2], atol=1e-4, rtol=1e-3)


def test_several_views_are_read_together() -> None:
    """With as many tokens more."""
    modality = fitted(views=2)
    seen = batch(modality)
    assert seen.support.values.shape[2] == 2
    assert modality.build(make_readout("direct")).denoiser.tokenizer(seen.support).shape[1] == 2 * 4
    assert modality.template(3).values.shape == (3, 3, 2, 16, 16)


@pytest.mark.parametrize(
    ("function", "options"),
    [
        ("mlp", TINY.function_options),
        ("triplane", {"grid": 4, "patch": 2, "features": 4, "width": 8}),
        ("voxels", {"side": 8, "patch": 4}),
    ],
)
def test_gradients_reach_every_weight(function: str, options: dict[str, object]) -> None:
    """Of any function that is asked for by name."""
    modality = fitted(function=function, function_options=options)
    pipeline, seen = modality.build(make_readout("direct")), batch(modality)
    prediction = pipeline(seen.support, torch.full((3,), 0.5), seen.query)
    prediction.observation.values.square().mean().backward()
    # gates of encoder blocks start at zero and hold back what lies behind them for a step
    behind = ("encoder.", "condition.")
    missing = [n for n, p in pipeline.named_parameters() if p.grad is None and not any(b in n for b in behind)]
    assert not missing


def test_places_are_asked_for_by_name(tmp_path: Path) -> None:
    """A circle of views, another size, a pose from a file; what is unknown is named."""
    modality = fitted()
    assert modality.display.places({})[0].shape == (1, 16, 16)
    assert [place.shape for place in modality.display.places({"orbit": "5", "size": "8x4"})] == [(4, 4, 8), (1, 4, 8)]
    pose = tmp_path / "pose.json"
    pose.write_text(str(np.eye(4).tolist()))
    assert modality.display.places({"pose": str(pose)})[0].shape == (1, 16, 16)
    with pytest.raises(UsageError, match=r"has no 'orbti'\. Did you mean 'orbit'"):
        modality.display.places({"orbti": "5"})
    with pytest.raises(UsageError, match="'orbit' is a number of views"):
        modality.display.places({"orbit": "0"})


def test_bad_options_say_what_was_expected() -> None:
    """In one line each."""
    with pytest.raises(UsageError, match="'near' must be below 'far'"):
        NerfOptions(near=2.0, far=1.0)
    with pytest.raises(UsageError, match="'box' must be x, y, z of its lower"):
        NerfOptions(box=(0, 0, 0, 1, 1, -1))
    with pytest.raises(UsageError, match="objects have 4 views; leave some over"):
        fitted(views=4)
    with pytest.raises(UsageError, match="views have no opacity"):
        fitted(background="random")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nerf") / "run"
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in attrs.asdict(TINY).items() if v is not None}
    inrkit.train(
        modality="nerf", out=path, steps=3, batch_size=4, options=options, precision="fp32", progress=False, warmup=1
    )
    return path


def test_a_run_goes_from_training_to_files(run: Path, tmp_path: Path) -> None:
    """A report, samples, .inr files that render from all sides without the run, an animation and frames."""
    assert (run / "report.html").exists()
    model = inrkit.load(run)
    sampled = model.sample(2, seed=1)
    file = save_inr(tmp_path / "car.inr", model.inr(sampled, 0))
    values = inrkit.render(load_inr(file), {"orbit": "3", "size": "12x10"})
    assert values[0].shape == (3, 3, 10, 12)
    written = model.modality.display.write(values, tmp_path / "car.gif")
    with Image.open(written) as animation:
        assert (animation.n_frames, animation.size) == (3, (12, 10))
    assert len(list(model.modality.display.write(values, tmp_path / "frames").iterdir())) == 3
    torch.testing.assert_close(inrkit.render(load_inr(file))[0], sampled.signal[0], atol=1e-4, rtol=1e-3)


def test_a_field_says_how_far_away_it_is(run: Path, tmp_path: Path) -> None:
    """In Python beside the same colours, one for each place; on the command line as a picture and as numbers."""
    model = inrkit.load(run)
    file = save_inr(tmp_path / "car.inr", model.inr(model.sample(1, seed=1), 0))
    (seen,) = inrkit.render_with_depth(file, {"orbit": 3})
    torch.testing.assert_close(seen.colour, inrkit.render(file, {"orbit": 3})[0])
    assert [tuple(x.shape) for x in (seen.opacity, seen.depth, seen.normal)] == [(c, 3, 16, 16) for c in (1, 1, 3)]
    render.main(
        [str(file), "--orbit", "3", "--depth", "-o", str(tmp_path / "turn.webp")],
        standalone_mode=False,
    )
    np.testing.assert_array_equal(np.load(tmp_path / "turn-depth.npy"), seen.depth[0].numpy())
    with Image.open(tmp_path / "turn-depth.webp") as animation:
        assert animation.n_frames == 3
    for number, depth in enumerate(seen.depth[0].numpy()):
        with Image.open(tmp_path / f"turn-depth16/{number:04d}.png") as picture:
            scale, levels = float(picture.info["scale"]), np.asarray(picture)
        assert levels.dtype == np.uint16
        assert_levels_are(levels, depth, scale)


def assert_levels_are(levels: np.ndarray, depth: np.ndarray, scale: float) -> None:
    """Within half a level of the field's own distances, and 0 where those are infinite."""
    np.testing.assert_array_equal(levels == 0, np.isinf(depth))
    met = np.isfinite(depth)
    np.testing.assert_allclose(levels[met] * scale, depth[met], atol=0.51 * scale)


@pytest.mark.parametrize("far", [2e-3, 1.7, 650.0])
def test_a_depth_map_resolves_any_world(far: float, tmp_path: Path) -> None:
    """Law: 16 bits tell distances within half a level, which is at most a 6,500th of the farthest; 0 is nothing."""
    depth = torch.linspace(far / 4, far, 30).view(1, 5, 6)
    depth[0, 0, :2] = torch.inf
    path = save_depth_map(depth, tmp_path / "map.png")
    with Image.open(path) as picture:
        assert float(picture.info["scale"]) < far / 6500
        assert_levels_are(np.asarray(picture), depth[0].numpy(), float(picture.info["scale"]))
    with Image.open(save_depth_map(torch.full((1, 2, 2), torch.inf), path)) as empty:
        assert not np.asarray(empty).any()


def test_depth_is_told_in_the_units_of_the_world() -> None:
    """Law: in a world three times as large, objects are as opaque and three times as far away."""

    def solid(coords: torch.Tensor) -> torch.Tensor:
        return 40 * (0.6 - coords.norm(dim=-1, keepdim=True)).expand(*coords.shape[:2], 4)

    seen = []
    for size in (1.0, 3.0):
        box = tuple(size * x for x in (-0.5, -0.5, -0.5, 0.5, 0.5, 0.5))
        scene = fitted(box=box, radius=1.3 * size, target=(0.0, 0.0, 0.0)).scene
        with torch.no_grad():
            seen.append(scene.march.with_depth(solid, Rays(scene.camera)))
    torch.testing.assert_close(seen[1].opacity, seen[0].opacity, atol=1e-4, rtol=0)
    torch.testing.assert_close(seen[1].depth, 3 * seen[0].depth, atol=1e-3, rtol=1e-3)
    assert 10 < int(seen[0].depth.isfinite().sum()) < 16 * 16


def test_options_of_a_presets_function_stay_with_it() -> None:
    """Another function has its own; those that the user sets are kept."""
    mine = resolve("nerf", overrides=["options.function=triplane", "options.function_options.features=6"])
    assert mine.config.options["function_options"] == {"features": 6}
    same = resolve("nerf", overrides=["options.function=mlp", "options.function_options.mip=true"])
    assert same.config.options["function_options"] == {
        **resolve("nerf").config.options["function_options"],
        "mip": True,
    }


def test_a_picture_of_the_user_becomes_a_field(run: Path, tmp_path: Path) -> None:
    """Taken to come from the canonical camera; of another size, and with transparency."""
    picture = tmp_path / "photo.png"
    Image.fromarray(np.full((20, 20, 4), (200, 10, 10, 128), np.uint8)).save(picture)
    model = inrkit.load(run)
    signals, names = model.modality.display.read([picture])
    assert signals["images"].shape == (1, 1, 3, 16, 16)
    assert abs(int(signals["images"][0, 0, 0, 0, 0]) - 227) <= 1  # half of 200 and half of white
    assert names == [str(picture)]
    assert len(model.encode([picture]).params) == 3


def test_evaluation_covers_views_that_were_not_read(run: Path) -> None:
    """PSNR of all other test views beside the mean view's, and how far samples differ beside how far cars do."""
    result = evaluate(inrkit.load(run), n=16, metrics=["psnr", "spread"])
    assert result["reconstruction"]["constant"]["mean"] > 5
    assert 0 <= result["spread"]["ratio"] < 2
    assert spread_figures(SignalSet.choose(inrkit.load(run), "test", 1, 0), 0) == {}  # a single scene has no pairs


def test_the_floor_is_measured_where_held_out_objects_are(run: Path) -> None:
    """Training cameras stand elsewhere, so that training objects are seen from the test cameras instead."""
    model = inrkit.load(run)
    training, held_out = (SignalSet(model, source_of(model, split), [0, 1]) for split in ("train", "test"))
    floor = floor_pictures(training, held_out)
    known = model.modality.display.truth(training.source, [0, 1], held_out.reference().where)
    assert known is not None
    assert torch.equal(floor, small(pictures_of(model, known)))
    assert not torch.equal(floor, torch.cat(list(real_pictures(training))))


def test_an_object_is_exported_as_a_mesh_or_the_reason_is_said(run: Path, tmp_path: Path) -> None:
    """At a level that its density reaches; otherwise in one line."""
    model = inrkit.load(run)
    inr = model.inr(model.sample(1), 0)
    exporter = load_plugins().exporter("mesh")
    written = export(inr, exporter(), exporter.Options(cells=12, level=0.01), tmp_path / "car.ply")
    assert [path.name for path in written] == ["car.ply", "car.ply.png"]
    with pytest.raises(inrkit.DataError, match="no surface at level 1e"):
        export(inr, exporter(), exporter.Options(cells=12, level=1e9), tmp_path / "none.ply")
    weights = load_plugins().exporter("weights")
    assert export(inr, weights(), weights.Options(), tmp_path / "car.safetensors")[0].stat().st_size > 100
