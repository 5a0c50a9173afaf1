"""Images with classes: learned, forgotten for a share of them, asked for by name or number, and leaned towards."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from PIL import Image
from torch import Tensor

import inrkit
from inrkit import Model, Stroke, UsageError, load_inr, write_store
from inrkit.cli.root import main
from inrkit.evaluation.evaluate import evaluate
from inrkit.metrics.feature import Classifier

NAMES = ["red", "green", "blue"]
TINY = {"size": [8, 8], "patch": 4, "width": 32, "depth": 1, "decoder_depth": 1, "heads": 2, "hidden": 64}
OPTIONS = {**TINY, "token_patch": 4, "inr_width": 16, "inr_inner": 16, "inr_heads": 1, "classes": 3}
COMMON = {"batch_size": 12, "device": "cpu", "precision": "fp32", "warmup": 5, "lr": 5e-3, "optimizer": "muon"}
QUIET: dict[str, Any] = {"progress": False, "on_sample": lambda *_: None, "on_end": lambda *_: None}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of one colour each, as bright as chance has it; the class is the colour."""
    generator = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = np.zeros((120, 8, 8, 3), dtype=np.uint8)
    images[np.arange(120), :, :, labels] = generator.integers(120, 255, (120, 1, 1))
    arrays = {"images": images, "labels": labels.astype(np.int64)}
    return write_store(tmp_path_factory.mktemp("colours") / "colours.h5", "image", arrays, {"class_names": NAMES})


def trained(store: Path, out: Path, steps: int = 2, **values: Any) -> Model:
    values = {"label_dropout": 0.25, "options": OPTIONS, **COMMON, **QUIET, **values}
    return inrkit.train(modality="image", data=str(store), out=out, steps=steps, **values)


@pytest.fixture(scope="module")
def model(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A diffusion model of the colours, trained long enough to know them."""
    levels = {"p_mean": 0.5, "p_std": 1.5}  # what the class decides is decided at high levels
    values = {"objective": "diffusion", "objective_options": levels, "sample_every": 200}
    return trained(store, tmp_path_factory.mktemp("runs") / "colours", 200, **values)


def strongest(signal: Tensor) -> list[int]:
    """The channel of each picture that is brightest."""
    return signal.mean(dim=(2, 3)).argmax(1).tolist()


# ---------------------------------------------------------------------------------------------- sampling


def test_samples_are_of_the_class_that_was_asked_for(model: Model) -> None:
    """By number, by name, or taking turns."""
    assert strongest(model.sample(6, label=1).signal) == [1] * 6
    assert strongest(model.sample(6, label="blue").signal) == [2] * 6
    assert strongest(model.sample(6, label=["red", 1, "2"]).signal) == [0, 1, 2, 0, 1, 2]


def test_without_a_label_classes_are_drawn(model: Model) -> None:
    """Evenly at random, by the seed; the first of many are those of few; a network without "no class" has no other."""
    drawn = model.labels(300, seed=4)
    assert drawn is not None
    assert drawn.bincount().min() > 70
    few = model.labels(5, seed=4)
    assert few is not None
    assert torch.equal(few, drawn[:5])
    assert not torch.equal(model.labels(300, seed=5), drawn)  # type: ignore[arg-type]
    samples = model.sample(8, seed=4)
    assert torch.equal(samples.signal, model.sample(8, seed=4, label=drawn[:8].tolist()).signal)
    assert strongest(samples.signal) == drawn[:8].tolist()


def test_guidance_leans_towards_the_class(model: Model) -> None:
    """More weight, a purer colour, in one step by as much again; weight 1 changes nothing, 0 forgets the class."""

    def purity(guidance: float, **values: Any) -> float:
        found = model.sample(12, 2, label="green", guidance=guidance, **values).observation.values.mean(dim=(0, 2, 3))
        return float(found[1] - found[[0, 2]].mean())

    assert purity(0.0) < purity(1.0)
    none, one, two = (purity(weight, sampler="consistency", times=(80.0,)) for weight in (0.0, 1.0, 2.0))
    assert none < one < two
    assert two - one == pytest.approx(one - none, rel=1e-3)
    plain = model.sample(3, label=0)
    assert torch.equal(plain.signal, model.sample(3, label=0, guidance=1.0).signal)
    free = model.sample(3, label="none", times=(80.0,))
    forgotten = model.sample(3, label=0, guidance=0.0, times=(80.0,))
    assert torch.allclose(forgotten.observation.values, free.observation.values, atol=1e-5)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"label": 3}, r"'label' must be 0 to 2 or a name \(red, green, blue\), or none \(got 3\)"),
        ({"label": -2}, "'label' must be 0 to 2"),
        ({"label": "gren"}, "no class named 'gren'; there are red, green, blue. Did you mean 'green'"),
        ({"label": []}, "'label' must be 1 to 4 classes for 4 samples"),
        ({"label": [0] * 5}, "'label' must be 1 to 4 classes for 4 samples"),
        ({"guidance": -1.0}, "'guidance' must be a number from 0"),
        ({"guidance": float("nan")}, "'guidance' must be a number from 0"),
    ],
)
def test_impossible_wishes_are_refused(model: Model, wanted: dict[str, Any], message: str) -> None:
    """One line that says what there is."""
    with pytest.raises(UsageError, match=message):
        model.sample(4, **wanted)


def test_a_run_that_always_saw_the_class_cannot_be_guided(store: Path, tmp_path: Path) -> None:
    """Neither "no class" nor guidance means anything to it; a class is drawn where none is asked for."""
    model = trained(store, tmp_path, label_dropout=0.0)
    with pytest.raises(UsageError, match="'label_dropout' above 0"):
        model.sample(2, guidance=1.5)
    with pytest.raises(UsageError, match="knows no 'none'; train it with 'label_dropout' above 0"):
        model.sample(2, label="none")
    assert model.sample(2).signal.isfinite().all()


def test_encodes_and_edits_can_be_told_the_class(model: Model) -> None:
    """A label changes what the network makes of a signal; raw signals that carry one need no other."""
    values = torch.full((2, 3, 8, 8), 0.5)
    told = model.encode({"values": values}, label=["red", "blue"])
    assert torch.equal(told.signal, model.encode({"values": values, "label": torch.tensor([0, 2])}).signal)
    assert not torch.equal(told.signal, model.encode({"values": values}).signal)
    stroke = Stroke((30.0, 5.0))
    one, other = (strongest(model.edit({"values": values}, stroke, label=name).signal) for name in ("red", "blue"))
    assert one == [0, 0]
    assert other == [2, 2]
    between = model.interpolate({"values": values}, 3, level=5.0, label="green")
    assert between.signal.shape[0] == 3


# ---------------------------------------------------------------------------------------------- training


def test_label_dropout_does_not_depend_on_how_the_batch_is_split(store: Path, tmp_path: Path) -> None:
    """Law: micro-batches drop the same labels as the whole batch; none dropped is another training."""

    def learned(name: str, **values: Any) -> Tensor:
        model = trained(store, tmp_path / name, steps=3, label_dropout=values.pop("label_dropout", 0.5), **values)
        return torch.cat([p.flatten() for p in model.pipeline.parameters()])

    whole = learned("whole")
    torch.testing.assert_close(learned("parts", accumulate=3), whole, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(learned("none", label_dropout=0.0), whole, atol=1e-3)


def test_label_dropout_without_classes_is_refused(store: Path, tmp_path: Path) -> None:
    """There is nothing to drop."""
    with pytest.raises(UsageError, match="'label_dropout' needs labels"):
        trained(store, tmp_path, options={**OPTIONS, "classes": 0})


def test_classes_are_those_of_the_data(store: Path, tmp_path: Path) -> None:
    """Fewer or more are refused before training."""
    for classes in (2, 4):
        with pytest.raises(UsageError, match=f"'options.classes' is {classes}, but the data have 3"):
            trained(store, tmp_path, options={**OPTIONS, "classes": classes})


class Brightest(Classifier):
    """Says which channel is the brightest, and may know further classes that nothing is of."""

    name = "brightest"

    def __init__(self, further: int = 0) -> None:
        super().__init__()
        self.further = further

    @property
    def dim(self) -> int:
        return 3

    @classmethod
    def build(cls, options: Any) -> "Brightest":
        return cls()

    def forward(self, values: Tensor) -> Tensor:
        return values.mean(dim=(2, 3))

    def logits(self, features: Tensor) -> Tensor:
        return F.pad(100 * features, (0, self.further), value=-1000)


def test_samples_are_held_against_the_class_that_was_asked_for(model: Model) -> None:
    """Of classes drawn at random; a classifier of another number of classes says nothing of it."""
    networks = {"brightest": Brightest(), "other": Brightest(further=1)}
    found = evaluate(model, n=16, metrics=["classes"], networks=networks)["classes"]
    rows = found["brightest"]
    samples = next(row for name, row in rows.items() if "steps" in name)
    assert samples["accuracy"] == rows["held_out"]["accuracy"] == 1
    assert samples["commonest"] < 1
    assert "accuracy" not in rows["real"]
    assert not any("accuracy" in row for row in found["other"].values())


# ---------------------------------------------------------------------------------------------- the command


def invoke(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(arg) for arg in args])
    return result.exit_code, result.output


def test_the_command_knows_classes_and_guidance(model: Model, tmp_path: Path) -> None:
    """Files say what they were made with."""
    code, output = invoke(
        "sample", model.run, "-n", 4, "--label", "blue,0", "--guidance", 1.5, "--device", "cpu", "-o", tmp_path / "s"
    )
    assert code == 0, output
    provenance = [load_inr(tmp_path / "s" / f"{i:04d}.inr").provenance for i in range(4)]
    assert [made["label"] for made in provenance] == [2, 0, 2, 0]
    assert {(made["guidance"], made["sampler"], len(made["times"])) for made in provenance} == {(1.5, "heun", 18)}


def test_files_are_encoded_and_edited_as_a_class(model: Model, tmp_path: Path) -> None:
    """``--label`` of encode and edit; a name that is none is one line and exit code 2."""
    picture = tmp_path / "grey.png"
    Image.new("RGB", (8, 8), (120, 120, 120)).save(picture)
    common = ("--device", "cpu", "-o", tmp_path / "out")
    for command in (("encode",), ("edit", "--task", "stroke")):
        code, output = invoke(command[0], model.run, picture, *command[1:], "--label", "blue", *common)
        assert code == 0, output
        code, output = invoke(command[0], model.run, picture, *command[1:], "--label", "9", *common)
        assert code == 2
        assert "'--label' must be 0 to 2" in output
        assert len(output.splitlines()) == 1
    code, output = invoke("encode", model.run, "--data", "embedded", "--label", "0")
    assert code == 2
    assert "a data set has its own labels" in output


def test_the_command_takes_another_sampler(model: Model, tmp_path: Path) -> None:
    """A diffusion model can be asked for a single pass as well."""
    code, output = invoke(
        "sample", model.run, "-n", 1, "--sampler", "euler", "--steps", 3, "--device", "cpu", "-o", tmp_path / "s"
    )
    assert code == 0, output
    assert load_inr(tmp_path / "s" / "0000.inr").provenance["sampler"] == "euler"
