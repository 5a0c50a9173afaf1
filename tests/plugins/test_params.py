"""Two stages: a data set becomes a file of params, a second run learns from it, its samples are INRs of the first."""

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import inrkit
from inrkit import (
    DataError,
    Draws,
    Grid,
    GridObservation,
    SampleGrid,
    Store,
    UsageError,
    encode_set,
    load_inr,
    load_plugins,
    make_denoiser,
    make_function,
    make_readout,
    pack_inr,
    render,
    unpack_inr,
)
from inrkit.cli import main
from inrkit_image.modality import ImageModality, ImageOptions
from inrkit_params.modality import ParamsModality, ParamsOptions, Shown

FIRST: dict[str, Any] = {
    "size": [16, 16],
    "count": 40,
    "width": 16,
    "depth": 1,
    "decoder_depth": 1,
    "heads": 2,
    "hidden": 32,
    "inr_width": 16,
    "inr_inner": 16,
}
NETWORK: dict[str, Any] = {"patch": 16, "width": 16, "depth": 1, "heads": 2, "hidden": 32}
QUIET: dict[str, Any] = {
    "progress": False,
    "on_sample": lambda *_: None,
    "on_end": lambda *_: None,
    "device": "cpu",
    "precision": "fp32",
    "sample_every": 100,
    "save_every": 100,
    "warmup": 0,
}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that encodes images, hardly trained."""
    out = tmp_path_factory.mktemp("two-stage") / "first"
    inrkit.train(modality="image", out=out, options=FIRST, steps=3, batch_size=8, **QUIET)
    return out


@pytest.fixture(scope="module")
def params(first: Path) -> Path:
    """Its params of 40 + 20 signals."""
    model = inrkit.load(first, device="cpu")
    return encode_set(model, None, first.parent / "params.h5", limit=40)


@pytest.fixture(scope="module")
def second(params: Path) -> Path:
    """A run that learned from them."""
    out = params.parent / "second"
    options = {"denoiser_options": NETWORK}
    inrkit.train(modality="params", data=str(params), out=out, options=options, steps=3, batch_size=8, **QUIET)
    return out


def modality_of(path: Path, **options: Any) -> ParamsModality:
    modality = ParamsModality(ParamsOptions(denoiser_options=NETWORK, **options))
    return ParamsModality(modality.fit_options(modality.source(path, "train")))


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], standalone_mode=True)


# ---------------------------------------------------------------------------------------------- the file


def test_the_file_holds_what_the_run_encodes(first: Path, params: Path) -> None:
    """Law: params, labels and split of each signal are those that encoding it alone gives."""
    model, store = inrkit.load(first, device="cpu"), Store(params)
    assert store.modality == "params"
    assert store.read("split", slice(0, 80)).tolist() == [0] * 40 + [1] * 40
    source = model.modality.source(None, "test")
    alone = model.encode({"values": source.read([3])["values"]}).params["tokens"]
    assert torch.allclose(torch.from_numpy(store.read("params.tokens", [43])), alone, atol=1e-5)
    assert store.read("labels", 43) == source.read([3])["label"]


def test_params_of_the_file_show_the_signal(first: Path, params: Path) -> None:
    """Law: what is observed of a signal, shown through the first stage, is its encode; no run is needed."""
    modality = modality_of(params)
    numbers = [0, 7, 39]
    signals = modality.source(params, "train").read(numbers)
    batch = modality.observe(signals, Draws(0, 3), training=True)
    model = inrkit.load(first, device="cpu")
    encoded = model.encode(model.modality.source(None, "train").read(numbers))
    expected = model.modality.display.pictures(encoded.signal)
    assert torch.allclose(modality.display.pictures(batch.query.values), expected, atol=1e-3)


def test_observed_params_have_unit_statistics(params: Path) -> None:
    """Law: over the training split every entry has mean 0 and standard deviation 1/2; what is filled up is 0."""
    modality = modality_of(params, multiple=96)
    source = modality.source(params, "train")
    values = modality.observe(source.read(range(40)), Draws(0, 40), training=True).support.values[:, 0]
    length = source.facts["length"]
    assert length == 16 * 16
    assert values.shape[1] == 288
    assert torch.allclose(values[:, :length].mean(0), torch.zeros(length), atol=1e-4)
    assert torch.allclose(values[:, :length].std(0, correction=0), torch.full((length,), 0.5), atol=1e-3)
    assert not values[:, length:].any()


def test_one_split_is_divided(first: Path, tmp_path: Path) -> None:
    """Of a file with the training split alone every tenth signal is held out."""
    model = inrkit.load(first, device="cpu")
    path = encode_set(model, None, tmp_path / "train.h5", splits=("train",), limit=20)
    modality = modality_of(path)
    assert len(modality.source(path, "train")) == 18
    assert len(modality.source(path, "test")) == 2


def test_inr_files_within_something_else() -> None:
    """Law: packed and unpacked, an INR is the same."""
    inr = inrkit.InrFile(params={"a": torch.randn(2, 3)}, function="F", modality="m", t=0.5)
    again = unpack_inr(pack_inr(inr), origin="here")
    assert torch.equal(again.params["a"], inr.params["a"])
    assert again.t == inr.t
    with pytest.raises(DataError, match=r"^here: "):
        unpack_inr(pack_inr(inr)[:-1], origin="here")


# ---------------------------------------------------------------------------------------------- the second stage


def test_samples_are_inrs_of_the_first_stage(second: Path, tmp_path: Path) -> None:
    """Law: a sample's .inr belongs to the first modality and shows what the second run shows of it, at any size."""
    model = inrkit.load(second, device="cpu")
    prediction = model.sample(2, seed=1)
    inr = model.inr(prediction, 1)
    assert (inr.modality, inr.function) == ("image", "ANR")
    assert inr.provenance["run"] == "second"
    assert inr.provenance["first"]["run"] == "first"
    path = inrkit.save_inr(tmp_path / "sample.inr", inr)
    for request in ({}, {"size": "24x20"}):
        shown = render(load_inr(path), request)[0]
        (where,) = model.modality.display.places(request)
        assert torch.allclose(prediction.at(where)[1], shown, atol=1e-4)
    assert torch.allclose(
        model.modality.display.pictures(prediction.signal)[1], (render(inr)[0] + 1).div(2).clamp(0, 1), atol=1e-4
    )


@pytest.mark.parametrize("readout", ["direct", "two-headed"])
def test_read_outs_of_params(params: Path, readout: str) -> None:
    """Law: f(x, 0) = x; the finished INR, and a place in the first stage's world, show the params' signal."""
    torch.manual_seed(1)
    modality = modality_of(params)
    pipeline = modality.build(make_readout(readout))
    for weight in pipeline.parameters():
        torch.nn.init.normal_(weight, std=0.05)
    source = modality.source(params, "train")
    observation = modality.observe(source.read([0, 1]), Draws(0, 2), training=True).support
    with torch.no_grad():
        assert torch.allclose(pipeline(observation, torch.zeros(2)).observation.values, observation.values, atol=1e-5)
        prediction = pipeline(observation, torch.full((2,), 3.0))
        shown = prediction.at(modality.display.places({})[0])
    assert shown.shape == (2, 3, 16, 16)
    assert torch.allclose(modality.display.pictures(prediction.signal), modality.display.pictures(shown), atol=1e-5)


def test_inr_files_go_in_again(second: Path, tmp_path: Path) -> None:
    """A sample, kept as a file, can be read as a signal of the second run; params of something else cannot."""
    model = inrkit.load(second, device="cpu")
    prediction = model.sample(1)
    path = inrkit.save_inr(tmp_path / "a.inr", model.inr(prediction, 0))
    signals, names = model.modality.display.read([path])
    assert names == ["a"]
    observed = model.modality.observe(signals, Draws(0, 1), training=False).support
    assert torch.allclose(observed.values, prediction.signal, atol=1e-4)
    other = inrkit.InrFile(params={"tokens": torch.zeros(1, 2)}, function="ANR", modality="image")
    inrkit.save_inr(tmp_path / "b.inr", other)
    with pytest.raises(DataError, match=r"b\.inr: expected params of 'ANR'"):
        model.modality.display.read([tmp_path / "b.inr"])


def test_where_moves_between_devices() -> None:
    """A place in the first stage's world is moved with it; one that cannot move stays."""
    assert Shown(Grid((4, 4))).to("cpu").where.size == (4, 4)
    assert Shown(None).to("cpu").where is None


def test_errors_of_two_stages(params: Path, tmp_path: Path) -> None:
    """What is missing or foreign is one line."""
    with pytest.raises(UsageError, match="has no data of its own: make a file with `inrkit encode"):
        ParamsModality(ParamsOptions()).source(None, "train")
    with pytest.raises(UsageError, match=r"needs a read-out that shows the params: direct or two-headed"):
        modality_of(params).build(make_readout("literal"))
    with pytest.raises(UsageError, match=r"'options\.length' is 3"):
        modality_of(params, length=3)
    foreign = inrkit.write_store(tmp_path / "x.h5", "image", {"images": np.zeros((3, 2, 2, 1), np.uint8)})
    with pytest.raises(DataError, match="expected a store of modality 'params', found 'image'"):
        modality_of(foreign)


# ---------------------------------------------------------------------------------------------- the command line


def test_the_whole_way_on_the_command_line(first: Path, tmp_path: Path) -> None:
    """encode --data, train --modality params, sample, render: nothing needs to be said about the first run again."""
    file, out = tmp_path / "p.h5", tmp_path / "second"
    assert run("encode", first, "--data", "embedded", "-n", 12, "-o", file).output.strip() == str(file)
    sets = [f"options.denoiser_options.{key}={value}" for key, value in NETWORK.items()]
    flags = ["--set", "batch_size=4", *(word for text in sets for word in ("--set", text))]
    trained = run("train", "--modality", "params", "--data", file, "--out", out, "--steps", "2", *flags)
    assert trained.exit_code == 0, trained.output
    assert run("sample", out, "-n", "2", "-o", tmp_path / "new").exit_code == 0
    assert load_inr(tmp_path / "new" / "0001.inr").modality == "image"
    assert run("render", tmp_path / "new" / "0001.inr", "--size", "8x8", "-o", tmp_path / "a.png").exit_code == 0


@pytest.mark.parametrize("words", [[], ["--data", "embedded", "pyproject.toml"]])
def test_encode_wants_files_or_a_data_set(first: Path, words: list[str]) -> None:
    """Neither, or both, is a mistake of usage."""
    result = run("encode", first, *words)
    assert result.exit_code == 2
    assert "expected either files or a data set with --data" in result.output


def test_a_file_of_params_is_not_replaced(first: Path, params: Path) -> None:
    """It is refused before the work."""
    with pytest.raises(UsageError, match=r"params\.h5: expected a new file"):
        encode_set(inrkit.load(first, device="cpu"), None, params)


# ---------------------------------------------------------------------------------------------- functa


def functa(function: str = "siren", **options: Any) -> ImageModality:
    own = {"latent": 8, "width": 16, "depth": 3} if function == "siren" else {}
    given = ImageOptions(
        size=(8, 8),
        count=8,
        jitter="none",
        function=function,
        function_options={**own, **options.pop("function_options", {})},
        denoiser="functa",
        denoiser_options=options,
    )
    return ImageModality(given)


def faces(modality: ImageModality, count: int = 4) -> GridObservation:
    signals = modality.source(None, "train").read(range(count))
    return modality.observe(signals, Draws(0, count), training=False).support


def test_siren_shifts_its_layers() -> None:
    """Equation: x ← sin(ω (W x + b + shift)); a latent of zeros leaves the shared network."""
    function = make_function("siren", {"latent": 4, "width": 8, "depth": 3, "frequency": 5.0}, axes=2, channels=3)
    coords, latent = torch.rand(1, 9, 2), torch.randn(2, 1, 4)
    shifts = function.shifts(latent[1, 0])
    x = coords[0]
    for i, layer in enumerate(function.layers):
        x = torch.sin(5.0 * (layer(x) + shifts[8 * i : 8 * (i + 1)]))
    assert torch.allclose(function({"latent": latent}, coords)[1], function.last(x), atol=1e-5)
    assert function.param_shapes == {"latent": (1, 4)}


def test_activations_of_siren_keep_their_scale() -> None:
    """SIREN, section 3.2: whatever the depth, the outputs of a layer have the spread of an arcsine distribution."""
    function = make_function("siren", {"width": 256, "depth": 8}, axes=2, channels=3)
    x = torch.rand(500, 2) * 2 - 1
    for layer in function.layers:
        x = torch.sin(30.0 * layer(x))
    assert 0.6 < float(x.std().detach()) < 0.8


def test_functa_descends() -> None:
    """Law: its params are those of gradient descent by hand on half the squared distance."""
    modality = functa(steps=3, rate=0.7)
    pipeline = modality.build(make_readout("direct")).eval()
    observation = faces(modality)
    found = pipeline.encode(observation).params["latent"]
    latent = torch.zeros(4, 1, 8)
    coords = Grid((8, 8)).coords(0, 64)
    for _ in range(3):
        latent.requires_grad_()
        shown = pipeline.function({"latent": latent}, coords).transpose(1, 2)
        distance = 0.5 * (shown - observation.values.flatten(2)).square().mean(2).sum()
        latent = (latent - 0.7 * torch.autograd.grad(distance, latent)[0]).detach()
    assert not found.requires_grad
    assert torch.allclose(found, latent, atol=1e-5)


def test_functa_gets_nearer_with_every_step() -> None:
    """More steps of a small rate show the signal better."""
    observation = faces(functa())
    distances = []
    for steps in (0, 1, 4, 16):
        torch.manual_seed(0)
        pipeline = functa("grid", steps=steps, rate=10.0).build(make_readout("direct")).eval()
        distances.append(float((pipeline.encode(observation).signal - observation.values).square().mean()))
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.2 * distances[0]


def test_functa_learns_through_its_steps() -> None:
    """Gradients of second order reach the shared weights, the start and the rates; training lowers the loss."""
    modality = functa(rate=1.0)
    pipeline = modality.build(make_readout("direct")).train()
    observation = faces(modality, 8)
    optimizer = torch.optim.Adam(pipeline.parameters(), 2e-3)
    losses = []
    for _ in range(25):
        loss = (pipeline(observation, torch.zeros(8)).signal - observation.values).square().mean()
        optimizer.zero_grad()
        loss.backward()
        losses.append(float(loss.detach()))
        assert all(weight.grad is not None for weight in pipeline.parameters())
        optimizer.step()
    assert losses[-1] < 0.6 * losses[0]


def test_functa_is_a_part_of_a_run(tmp_path: Path) -> None:
    """Trained by the objective reconstruction, saved and loaded like any denoiser; its weights are its own."""
    modality = functa()
    pipeline = modality.build(make_readout("direct"))
    assert not any(".function." in name for name in pipeline.state_dict())
    phases = [{"objective": "reconstruction", "share": 1.0}]
    options = attrs.asdict(modality.options)
    model = inrkit.train(
        modality="image", out=tmp_path / "run", options=options, steps=2, batch_size=4, phases=phases, **QUIET
    )
    signals = model.modality.source(None, "test").read(range(3))
    again = inrkit.load(tmp_path / "run", device="cpu")
    assert torch.equal(model.encode(signals).signal, again.encode(signals).signal)
    path = encode_set(again, None, tmp_path / "functa.h5", limit=8)
    assert modality_of(path, multiple=16).options.length == 8


def test_functa_needs_no_labels() -> None:
    """Classes are for the second stage."""
    template = GridObservation(torch.zeros(1, 3, 8, 8), Grid((8, 8)))
    with pytest.raises(UsageError, match="leave that to stage two"):
        make_denoiser("functa", {}, template=template, shapes={"latent": (1, 8)}, classes=3)


def test_the_plugin_offers_its_names() -> None:
    """One of each kind."""
    registry = load_plugins()
    assert registry.modality("params") is ParamsModality
    assert registry.function("siren").head == "tokens"
    assert registry.denoiser("functa").Options().steps == 3
    assert SampleGrid is inrkit.SampleGrid
