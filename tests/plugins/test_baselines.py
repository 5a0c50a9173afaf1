"""The baselines: a grid of values as params, and the networks that write one."""

from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

import inrkit
from inrkit import (
    Grid,
    GridObservation,
    Level,
    PatchMeans,
    Restore,
    SampleGrid,
    UsageError,
    grid_centers,
    load_plugins,
    make_denoiser,
    make_function,
    make_readout,
    shared_dropout,
)
from inrkit_image.modality import ImageModality, ImageOptions

SMALL: dict[str, dict[str, Any]] = {
    "unet": {"width": 8, "multipliers": [1, 2], "blocks": 1, "attention": [4]},
    "uvit": {"width": 16, "depth": 3, "heads": 2, "hidden": 32},
    "dit": {"width": 16, "depth": 2, "heads": 2, "hidden": 32},
}


def small(name: str, axes: int = 2, *, classes: int = 0, channels: int = 3, outputs: int = 3, **options: Any) -> Any:
    template = GridObservation(torch.zeros(1, channels, *[8] * axes), Grid((8,) * axes))
    shapes = {"values": (outputs, *[8] * axes)}
    return make_denoiser(name, {**SMALL[name], **options}, template=template, shapes=shapes, classes=classes)


def stirred(module: Any) -> Any:
    """The module with weights of chance where it starts from zeros."""
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    return module


def noisy(rows: int, axes: int = 2, channels: int = 3) -> GridObservation:
    return GridObservation(torch.randn(rows, channels, *[8] * axes), Grid((8,) * axes))


# ---------------------------------------------------------------------------------------------- the function


@pytest.mark.parametrize(
    ("preset", "overrides", "message"),
    [
        (
            "tiny-dit",
            ["options.width=64"],
            r"'options\.width' is for the denoiser 'hyper'.* set options\.denoiser_options",
        ),
        ("tiny-windows", {"options": {"inr_depth": 2}}, r"'options\.inr_depth' is for the function 'anr'.*'windows'"),
        ("tiny", ["options.function=mlp", "options.threshold=0.1"], r"'options\.threshold' is for the function 'anr'"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(preset: str, overrides: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        inrkit.resolve("image", preset, overrides=overrides)


@pytest.mark.parametrize(
    ("axes", "interpolation"),
    [(1, "linear"), (2, "linear"), (3, "linear"), (1, "cubic"), (2, "cubic"), (1, "nearest"), (2, "nearest")],
)
def test_grid_is_exact_at_its_own_centers(axes: int, interpolation: str) -> None:
    """Law: measured at the centers of its cells, the function shows its values."""
    size = (6, 4, 5)[:axes]
    function = make_function("grid", {"interpolation": interpolation}, axes=axes, channels=2, size=size)
    params = {"values": torch.randn(3, 2, *size)}
    shown = SampleGrid()(function.bind(params), Grid(size))
    assert torch.allclose(shown, params["values"], atol=1e-5)
    if interpolation == "nearest":
        assert torch.equal(shown, params["values"])


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_grid_is_linear_between_centers(axes: int) -> None:
    """Values that are linear in the coordinates are shown as such everywhere between the outermost centers."""
    size, slope = (6, 4, 5)[:axes], torch.tensor([0.5, -2.0, 3.0])[:axes]
    values = (grid_centers(size) @ slope).reshape(1, 1, *size)
    function = make_function("grid", {}, axes=axes, channels=1, size=size)
    places = (torch.rand(1, 50, axes) * 2 - 1) * 0.7
    assert torch.allclose(function({"values": values}, places)[..., 0], places @ slope, atol=1e-5)


def test_grid_gives_each_row_its_own_places() -> None:
    """Law: two rows at two sets of places are the same as each row alone."""
    function = make_function("grid", {}, axes=2, channels=2, size=(5, 7))
    values, places = torch.randn(2, 2, 5, 7), torch.rand(2, 9, 2) * 2 - 1
    both = function({"values": values}, places)
    alone = [function({"values": values[i : i + 1]}, places[i : i + 1]) for i in range(2)]
    assert torch.allclose(both, torch.cat(alone), atol=1e-6)


def test_grid_asks_for_a_grid() -> None:
    """No grid, or too many axes for the interpolation, is one line."""
    with pytest.raises(UsageError, match="'grid' is for signals on a grid of 2 axes"):
        make_function("grid", {}, axes=2, channels=1)
    with pytest.raises(UsageError, match="cubic over 1 or 2"):
        make_function("grid", {"interpolation": "cubic"}, axes=3, channels=1, size=(4, 4, 4))


# ---------------------------------------------------------------------------------------------- the networks


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("name", SMALL)
def test_networks_write_a_grid_for_any_number_of_axes(name: str, axes: int) -> None:
    """The params have the declared shape, also with other channels than were read, and start at zero or nearly so."""
    denoiser = small(name, axes, outputs=6, channels=1)
    params = denoiser(noisy(2, axes, 1), Level(torch.zeros(2)))
    assert {key: tuple(value.shape) for key, value in params.items()} == {"values": (2, 6, *[8] * axes)}
    assert params["values"].dtype == torch.float32


@pytest.mark.parametrize("name", SMALL)
def test_the_last_layer_is_in_full_precision(name: str) -> None:
    """In mixed precision the grid has values that bf16 lacks: consistency training compares ones that are near."""
    denoiser = stirred(small(name))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        values = denoiser(noisy(2), Level(torch.zeros(2)))["values"]
    assert (values.bfloat16().float() != values).float().mean() > 0.9


@pytest.mark.parametrize("name", SMALL)
def test_rows_are_independent(name: str) -> None:
    """Law: a row's params do not depend on the other rows."""
    denoiser, observation, level = stirred(small(name)).eval(), noisy(3), torch.tensor([0.1, -0.4, 1.0])
    together = denoiser(observation, Level(level))["values"]
    alone = [denoiser(observation.rows(slice(i, i + 1)), Level(level[i : i + 1]))["values"] for i in range(3)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_level_and_label_change_the_answer(name: str) -> None:
    """Noise level and class reach the output; no label and label -1 are the same; a wrong one is refused."""
    denoiser, observation = stirred(small(name, classes=3)).eval(), noisy(2)

    def answer(level: float, label: list[int] | None) -> Tensor:
        given = None if label is None else torch.tensor(label)
        return denoiser(observation, Level(torch.full((2,), level)), given)["values"]

    assert not torch.allclose(answer(0.1, None), answer(0.9, None), atol=1e-5)
    assert not torch.allclose(answer(0.1, [0, 1]), answer(0.1, [1, 1]), atol=1e-5)
    assert torch.equal(answer(0.1, None), answer(0.1, [-1, -1]))
    with pytest.raises(UsageError, match="a label must be 0 to 2"):
        answer(0.1, [0, 3])
    denoiser.take_until()
    assert denoiser.two_times
    assert torch.equal(denoiser(observation, Level(torch.ones(2), torch.zeros(2)))["values"], answer(1.0, None))


@pytest.mark.parametrize("name", SMALL)
def test_dropout_is_shared_between_passes(name: str) -> None:
    """Law: student and teacher see the same mask for the same row, also when the teacher has fewer rows."""
    denoiser, observation = stirred(small(name, dropout=0.5)).train(), noisy(4)
    rows, level = torch.arange(4), torch.zeros(4)
    with shared_dropout(7, 4, rows):
        student = denoiser(observation, Level(level))["values"]
    with shared_dropout(7, 4, rows[2:]):
        teacher = denoiser(observation.rows(slice(2, 4)), Level(level[2:]))["values"]
    assert torch.allclose(student[2:], teacher, atol=1e-5)
    assert not torch.allclose(student, denoiser(observation, Level(level))["values"], atol=1e-3)


def test_unet_runs_at_another_size() -> None:
    """It is convolutional: the values that it reads decide the size of those that it writes."""
    denoiser = stirred(small("unet"))
    larger = GridObservation(torch.randn(1, 3, 16, 24), Grid((16, 24)))
    assert denoiser(larger, Level(torch.zeros(1)))["values"].shape == (1, 3, 16, 24)


@pytest.mark.parametrize(
    ("name", "options", "shapes", "message"),
    [
        ("unet", {"multipliers": [1, 1, 1, 1, 1]}, {"values": (3, 8, 8)}, "multiples of 16"),
        ("dit", {"patch": 3}, {"values": (3, 8, 8)}, "'dit' needs sides that are multiples of 3"),
        ("uvit", {"depth": 4}, {"values": (3, 8, 8)}, "'depth' must be odd"),
        ("dit", {}, {"tokens": (16, 64)}, "choose the function 'grid'"),
        ("unet", {}, {"values": (3, 16, 16)}, "choose the function 'grid', and a 'query_size' like 'size'"),
        ("unet", {"withd": 3}, {"values": (3, 8, 8)}, r"'withd'.*Did you mean 'options.denoiser_options.width'\?"),
    ],
)
def test_what_does_not_go_together_is_refused(
    name: str, options: dict[str, Any], shapes: dict[str, tuple[int, ...]], message: str
) -> None:
    """One line says what is asked for."""
    template = GridObservation(torch.zeros(1, 3, 8, 8), Grid((8, 8)))
    with pytest.raises(UsageError, match=message):
        make_denoiser(name, {**SMALL[name], **options}, template=template, shapes=shapes)


# ---------------------------------------------------------------------------------------------- in the image modality


def image(denoiser: str, function: str = "grid", **options: Any) -> ImageModality:
    given = ImageOptions(
        size=(16, 16),
        count=32,
        width=16,
        depth=1,
        decoder_depth=1,
        heads=2,
        hidden=32,
        denoiser=denoiser,
        denoiser_options=SMALL.get(denoiser, {}),
        function=function,
        **options,
    )
    modality = ImageModality(given)
    return ImageModality(modality.fit_options(modality.source(None, "train")))


@pytest.mark.parametrize("readout", ["direct", "literal", "two-headed"])
@pytest.mark.parametrize("denoiser", [*SMALL, "hyper"])
def test_read_outs_and_the_boundary(denoiser: str, readout: str) -> None:
    """Every network goes with every read-out: f(x, 0) = x, and the signal is asked for at any size."""
    modality = image(denoiser)
    pipeline = modality.build(make_readout(readout))
    observation = modality.template(2).with_values(torch.randn(2, 3, 16, 16))
    prediction = pipeline(observation, torch.zeros(2))
    assert torch.allclose(prediction.observation.values, observation.values, atol=1e-5)
    assert prediction.at(Grid((24, 20))).shape == (2, 3, 24, 20)


@pytest.mark.parametrize("denoiser", [*SMALL, "hyper"])
def test_training_lowers_the_loss(denoiser: str, tmp_path: Path) -> None:
    """Trained, sampled, saved and loaded by the same code as the hyper-network."""
    options = attrs.asdict(image(denoiser).options)
    config = {"steps": 8, "batch_size": 8, "device": "cpu", "precision": "fp32", "warmup": 0, "lr": 3e-3}
    phases = [{"objective": "diffusion", "share": 1.0, "options": {"lambda_recon": 0.0}}]
    quiet = {"sample_every": 8, "save_every": 8, "log_every": 1, "phases": phases, "seed": 1}
    model = inrkit.train(
        modality="image",
        out=tmp_path / "run",
        progress=False,
        options=options,
        on_sample=lambda *_: None,
        on_end=lambda *_: None,
        **config,
        **quiet,
    )
    samples = model.sample(2, seed=3)
    assert samples.at(Grid((8, 8))).isfinite().all()
    again = inrkit.load(tmp_path / "run", device="cpu").sample(2, seed=3)
    assert torch.equal(samples.signal, again.signal)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    losses = [float(line.split('"loss":')[1].split(",")[0]) for line in lines if '"loss":' in line]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("denoiser", SMALL)
def test_edits_work_on_every_network(denoiser: str) -> None:
    """Law: what is known stays to 1e-5, whichever network invents the rest."""
    modality = image(denoiser)
    pipeline = stirred(modality.build(make_readout("direct"))).eval()
    observation = modality.template(2).with_values(torch.rand(2, 3, 16, 16) * 2 - 1)
    operator = PatchMeans(4)
    edited = Restore(operator, times=(80.0, 1.0))(pipeline, observation, inrkit.Draws(0, 2)).observation.values
    assert torch.allclose(operator.apply(edited), operator.apply(observation.values), atol=1e-5)
    assert not torch.allclose(edited, observation.values, atol=1e-2)


def test_jitter_leaves_a_grid_alone() -> None:
    """A grid is held to its values where they were measured; a function of coordinates sees jittered ones."""
    draws = inrkit.Draws(0, 4)
    for name, jittered in (("grid", False), ("anr", True)):
        modality = image("hyper", name)
        batch = modality.observe(modality.source(None, "train").read(range(4)), draws, training=True)
        assert (batch.query.where.jitter is not None) is jittered


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"denoiser": "unett"}, r"no denoiser named 'unett'.*Did you mean 'unet'\?"),
        ({"function": "gird"}, r"no function named 'gird'.*Did you mean 'grid'\?"),
        ({"function_options": {"widht": 1}}, r"'widht'.*Did you mean 'options.function_options.width'\?"),
        ({"denoiser_options": {"width": 1}}, "'options.denoiser_options' are those of another denoiser"),
    ],
)
def test_wrong_parts_are_named_before_anything_is_built(options: dict[str, Any], message: str) -> None:
    """A config with such options is refused when it is resolved."""
    modality = ImageModality(ImageOptions(size=(16, 16), count=32, **options))
    with pytest.raises(UsageError, match=message):
        modality.fit_options(modality.source(None, "train"))


def test_generated_mlp_for_images() -> None:
    """Functions of other plugins are found by name: here the MLP whose every weight is generated (CM-Func)."""
    modality = image("hyper", "mlp", function_options={"width": 32, "depth": 3, "frequencies": 4, "octaves": 3.0})
    prediction = modality.build(make_readout("direct"))(modality.template(2), torch.zeros(2))
    assert set(prediction.params) == {"layer0", "layer1", "layer2"}
    assert prediction.at(Grid((9, 9))).shape == (2, 3, 9, 9)


def test_anr_takes_its_options_from_both_places() -> None:
    """``function_options`` win over the options of old names."""
    modality = image("hyper", "anr", inr_width=32, function_options={"depth": 2})
    function = modality.build(make_readout("direct")).function
    assert function.param_shapes == {"tokens": (16, 32)}
    assert sum(isinstance(layer, torch.nn.Linear) for layer in function.mlp) == 2


def test_the_plugin_offers_its_names() -> None:
    """All four names are there, with a summary each."""
    registry = load_plugins()
    offered = {**registry.functions, **registry.denoisers}
    assert {"grid", *SMALL} <= {name for name, entry in offered.items() if entry.plugin == "baselines"}
