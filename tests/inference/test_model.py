"""A trained model in use: sampling, encoding, and INR files that render without it."""

import random
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from toy import ToyModality
from toy_run import train_toy

import inrkit
from inrkit.errors import DataError, UsageError
from inrkit.inference.model import BLOCK, Model
from inrkit.inference.opened import render
from inrkit.storage.checkpoint import list_checkpoints, load_checkpoint
from inrkit.storage.inrfile import load_inr, save_inr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "run"
    train_toy(path)
    return path


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    return inrkit.load(run, modality=ToyModality)


def test_the_averaged_weights_are_loaded(run: Path, model: Model) -> None:
    """In evaluation mode, from the newest checkpoint or the one asked for."""
    checkpoints = list_checkpoints(run / "checkpoints")
    average = load_checkpoint(checkpoints[-1]).tensors["ema"]
    for name, p in model.pipeline.named_parameters():
        torch.testing.assert_close(p, average[name], rtol=0, atol=0)
    assert not model.pipeline.training
    assert model.step == 20
    assert Model.load(run, step=15, modality=ToyModality).step == 15


def test_loading_changes_no_random_state(run: Path) -> None:
    """Neither does sampling: whoever uses a model keeps their own chance."""
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    Model.load(run, modality=ToyModality).sample(2)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert np.array_equal(before[2], np.random.get_state()[1])


def test_what_is_not_there_is_named(run: Path, tmp_path: Path) -> None:
    """A missing run, a missing step, a directory that is none."""
    with pytest.raises(DataError, match=r"expected a run directory with a config\.toml, found none"):
        Model.load(tmp_path / "none")
    with pytest.raises(DataError, match=r"config\.toml"):
        Model.load(tmp_path)
    with pytest.raises(DataError, match="step-00000003"):
        Model.load(run, step=3, modality=ToyModality)


def test_few_samples_are_the_first_of_many(model: Model) -> None:
    """Across blocks, and for any number of steps; other seeds give others."""
    few, many = model.sample(3, seed=1), model.sample(BLOCK + 3, seed=1)
    torch.testing.assert_close(few.signal, many.signal[:3], rtol=1e-5, atol=1e-6)
    assert many.signal.shape == many.observation.values.shape == (BLOCK + 3, 1, 16)
    assert not torch.allclose(model.sample(3, seed=2).signal, few.signal)
    assert not torch.allclose(many.signal[BLOCK:], many.signal[:3])
    assert model.sample(2, times=(80, 0.8)).t.tolist() == pytest.approx([0.8, 0.8])


def test_labels_and_numbers_are_checked(model: Model) -> None:
    """Before any work is done."""
    with pytest.raises(UsageError, match="'n' must be at least 1"):
        model.sample(0)
    with pytest.raises(UsageError, match="this run learned no classes"):
        model.sample(3, label=[1, 2])
    with pytest.raises(UsageError, match="'guidance' 2 needs a run that was trained with label dropout"):
        model.sample(3, guidance=2.0)


def test_files_and_signals_are_encoded_alike(model: Model, tmp_path: Path) -> None:
    """Paths are read by the modality; rows do not depend on each other."""
    signals = model.modality.source(None, "test").read(range(4))
    paths = [model.modality.display.write([row], tmp_path / f"{i}.txt") for i, row in enumerate(signals["values"])]
    together = model.encode(signals)
    torch.testing.assert_close(model.encode(paths).signal, together.signal, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.encode(paths[1]).signal[0], together.signal[1], rtol=1e-5, atol=1e-6)
    assert together.t.tolist() == [0] * 4


def test_an_inr_file_renders_as_the_model_does(model: Model, tmp_path: Path) -> None:
    """At any size, with the plugin but without the checkpoint; it says where it came from."""
    prediction = model.sample(2)
    inr = model.inr(prediction, 1, {"seed": 0})
    assert dict(inr.provenance)["step"] == 20
    inr = load_inr(save_inr(tmp_path / "one.inr", inr))
    for request in ({}, {"size": "64"}):
        (shown,) = render(inr, request, modality=ToyModality)
        expected = prediction.at(model.modality.display.places(request)[0])[1]
        torch.testing.assert_close(shown, expected, rtol=1e-5, atol=1e-6)


def test_a_foreign_inr_file_is_refused(model: Model) -> None:
    """A function that the modality does not build, or state that does not fit."""
    import attrs

    inr = model.inr(model.sample(1), 0)
    with pytest.raises(DataError, match="expected the function 'Siren', found that 'toy' builds"):
        render(attrs.evolve(inr, function="Siren"), modality=ToyModality)
    with pytest.raises(DataError, match="do not fit"):
        render(attrs.evolve(inr, function_state={}), modality=ToyModality)


def test_bf16_sampling_is_close(run: Path, model: Model) -> None:
    """Faster where the machine is; results are fp32 tensors either way."""
    fast = Model.load(run, precision="bf16", modality=ToyModality).sample(4)
    assert fast.signal.dtype is torch.float32
    torch.testing.assert_close(fast.signal, model.sample(4).signal, rtol=0.1, atol=0.1)


def test_training_values_can_be_given_by_name(tmp_path: Path) -> None:
    """`inrkit.train` takes config keys; not beside a finished config."""
    model = train_toy(tmp_path / "run", steps=2, options={"width": 8})
    assert (model.config.steps, model.config.options["width"]) == (2, 8)
    with pytest.raises(UsageError, match="found both"):
        inrkit.train(model.config, tmp_path / "other", steps=3)
    values = {"steps": 2, "options.width": 8}
    assert inrkit.resolve("image", overrides=values).config.options["width"] == 8
    for name, meant in (("sets", "overrides"), ("batchsize", "batch_size"), ("epochs", "steps")):
        with pytest.raises(UsageError, match=f"no keyword '{name}'.* Did you mean '{meant}'"):
            inrkit.train(modality="image", out=tmp_path / "other", **{name: values})


def test_an_inr_file_whose_options_are_not_the_modalitys_is_bad_data(model: Model) -> None:
    """What stands in a file is not the user's usage: it is refused as data that another version made, or altered."""
    inr = attrs.evolve(model.inr(model.sample(1), 0), modality_options={"no_such": 1})
    with pytest.raises(DataError, match=r"options: 'no_such'.*altered"):
        render(inr, modality=type(model.modality))


def test_an_inr_file_with_options_of_another_readout_is_bad_data(model: Model) -> None:
    """The option is named."""
    inr = attrs.evolve(model.inr(model.sample(1), 0), readout={"name": "direct", "no_such": 1.0})
    with pytest.raises(DataError, match="'no_such': no such key"):
        render(inr, modality=ToyModality)
