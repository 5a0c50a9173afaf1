"""Evaluation: figures that mean what they say, the same for the same seed."""

import json
import math
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from toy import ToyModality, ToySource

import inrkit
from inrkit.config.resolve import resolve
from inrkit.drawing.page import Charts, Picture, Table
from inrkit.errors import DataError, UsageError
from inrkit.evaluation import generation
from inrkit.evaluation.evaluate import evaluate
from inrkit.evaluation.generation import Way, real_pictures
from inrkit.evaluation.names import ENOUGH, METRICS, chosen_metrics
from inrkit.evaluation.reconstruction import constant_answer, distribution_of, resolution_figures, similarity
from inrkit.evaluation.training import training_figures
from inrkit.inference.model import Model, build_model
from inrkit.inference.signalset import SignalSet, source_of
from inrkit.metrics.feature import extract
from inrkit.metrics.frechet import frechet_distance
from inrkit.progress import quiet
from inrkit.report.tables import evaluation_blocks, evaluation_sentence, evaluation_table
from inrkit.storage.storewriter import write_store
from inrkit.testing.check import Recorder

ONE = Way((80.0,))


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """An untrained toy in a run directory of its own."""
    return build_model(resolve(ToyModality), tmp_path, 7, torch.device("cpu"))


def signals(model: Model, split: str, count: int) -> SignalSet:
    """The first signals of a split."""
    return SignalSet(model, source_of(model, split), range(count))


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, dict[str, Any], Recorder]:
    """An untrained toy, all of its figures, and the progress of their making."""
    model = build_model(resolve(ToyModality), tmp_path_factory.mktemp("toy"), 7, torch.device("cpu"))
    recorder = Recorder("evaluate")
    return model, evaluate(model, n=16, progress=recorder), recorder


def test_an_evaluation_is_plain_json_and_is_written_down(evaluated: tuple[Model, dict[str, Any], Recorder]) -> None:
    """What is returned is what stands in the file; the nearest neighbours are on a sheet; progress reaches the end."""
    model, result, recorder = evaluated
    recorder.finish()
    assert json.loads((model.run / "evaluation.json").read_text()) == result
    assert (model.run / "nearest.png").is_file()
    assert result["step"] == 7
    assert {"encoding", "held-out signals", "noise levels"} <= set(recorder.calls)


def test_samples_by_way_of_levels_that_were_asked_for_stand_beside_the_models_own(model: Model) -> None:
    """Once each, under their levels, and they are what these levels give; a mistake in them shows before the work."""
    found = evaluate(model, n=16, metrics=["frechet"], times=[80, 4, 1])["sets"]["spaces"]
    kinds = ["1 step", "2 steps (80, 30)", "3 steps (80, 4, 1)"]
    assert all([name for name in rows if "step" in name] == kinds for rows in found.values())
    assert len({rows["3 steps (80, 4, 1)"]["frechet"] for rows in found.values()}) == len(found)
    again = evaluate(model, n=16, metrics=["frechet"], times=(80.0,))["sets"]["spaces"]
    assert all([name for name in rows if "step" in name] == kinds[:2] for rows in again.values())
    assert Way((80.0, 4.0), 3.0).name == "2 steps (80, 4), guidance 3"
    recorder = Recorder("evaluate")
    with pytest.raises(UsageError, match="'guidance' 3 needs a run that was trained with label dropout"):
        evaluate(model, n=16, guidance=3.0, progress=recorder)
    with pytest.raises(UsageError, match="must be positive and descend"):
        evaluate(model, n=16, times=(1.0, 80.0), progress=recorder)
    assert not recorder.calls


def test_held_out_signals_that_are_all_equal_are_no_set(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that names the figures which can be measured all the same; and they can."""
    read = ToySource.read
    monkeypatch.setattr(ToySource, "read", lambda source, numbers: read(source, [0] * len(numbers)))
    with pytest.raises(DataError, match=r"found 4 held-out signals that are all equal; '--metrics psnr,ssim'"):
        evaluate(model, n=16)
    assert "psnr" in evaluate(model, n=16, metrics=["psnr"])["reconstruction"]


def test_sets_of_equal_size_stand_beside_floor_and_noise(model: Model) -> None:
    """In every space there are rows for both kinds of samples, for real signals and for noise."""
    compared = evaluate(model, n=16, metrics=["frechet", "sliced-wasserstein", "recall"])["sets"]
    assert compared["count"] == 4  # as many as are held out
    assert set(compared["spaces"]) == {"values", "random-filters", "edge-filters", "principal-components"}
    for space, rows in compared["spaces"].items():
        assert set(rows) == {"1 step", "2 steps (80, 30)", "real", "noise"}
        figures = {"sliced_wasserstein"} if space == "values" else {"frechet", "recall"}
        assert all({name.removesuffix("_ratio") for name in row} == figures for row in rows.values())
        for name in ("frechet_ratio", "sliced_wasserstein_ratio"):
            assert rows["real"].get(name, 1.0) == 1.0


def test_the_same_seed_gives_the_same_figures(evaluated: tuple[Model, dict[str, Any], Recorder]) -> None:
    """Evaluating twice changes nothing, and disturbs no random state."""
    state, (model, first, _) = torch.get_rng_state(), evaluated
    assert evaluate(model, n=16) == first
    assert torch.equal(torch.get_rng_state(), state)


def test_only_what_is_asked_for_is_computed(model: Model, tmp_path: Path) -> None:
    """PSNR alone needs no samples."""
    stages = set()
    result = evaluate(model, n=16, metrics=["psnr"], progress=lambda done, total=None, what="": stages.add(what))
    assert stages == {"encoding"}
    assert set(result["reconstruction"]) == {"count", "psnr", "constant"}
    assert "sets" not in result
    assert not (tmp_path / "nearest.png").exists()


def test_similarity_is_of_pictures_where_values_have_no_room(model: Model) -> None:
    """A wave of 16 values is compared as it is, one of 8 by its picture; equal signals are at 1 either way."""
    for size in (16, 8):
        small = build_model(resolve(ToyModality, flags={"options": {"size": size}}), model.run, 7, model.device)
        truth = signals(small, "test", 4).reference().values
        assert similarity(small, truth, truth).tolist() == pytest.approx([1.0] * 4)
        assert similarity(small, -truth, truth).max() < 0.5


def test_unknown_metrics_are_corrected() -> None:
    """A name that is almost right is suggested; no names are all of them."""
    with pytest.raises(UsageError, match="Did you mean 'frechet'"):
        chosen_metrics(["frechte"])
    assert chosen_metrics(None) == set(METRICS)
    assert chosen_metrics(["sliced-wasserstein"]) == {"sliced_wasserstein"}


def test_too_few_signals_are_refused(model: Model) -> None:
    """Figures of a handful of signals mean nothing."""
    with pytest.raises(UsageError, match="at least 16"):
        evaluate(model, n=3)


def test_two_signals_are_no_set(model: Model) -> None:
    """Nothing is compared, and the note says what it would take."""
    held = generation.Reference(signals(model, "test", 2), 0)
    samples = {"1 step": generation.sampled_pictures(held.signals, ONE, 0)}
    found = generation.set_figures(held, samples, {"frechet", "recall"})
    assert (found["count"], found["spaces"]) == (2, {})
    table = evaluation_table({"sets": found})
    assert not table.rows
    assert f"they need {ENOUGH} signals in each set" in table.note
    assert "here are 2" in table.note


def test_signals_that_are_all_equal_are_told(model: Model) -> None:
    """Nothing varies that sets could be compared by."""
    held = generation.Reference(signals(model, "test", 4), 0)
    held.real = torch.zeros_like(held.real)
    held.spaces = generation.spaces_of(held.real)
    with pytest.raises(UsageError, match="at least two different rows; all of them are equal"):
        generation.set_figures(held, {"1 step": held.real}, {"frechet"})


def test_copies_are_found(model: Model) -> None:
    """Whoever hands out training signals is at distance 0 from them, all of it suspicious."""
    real = torch.cat(list(real_pictures(signals(model, "test", 4))))
    training = signals(model, "train", len(source_of(model, "train")))
    copies = torch.cat(list(real_pictures(training[:8])))
    figures, shown = generation.memorisation_figures(copies, real, training)
    assert figures["samples"]["median"] == 0
    assert figures["suspicious"] == 1
    assert figures["held_out"]["least"] > 0
    assert figures["ratio"] == 0
    assert torch.allclose(shown["sample"], shown["nearest"], atol=1e-6)


def test_places_are_the_same_when_all_their_parts_are(model: Model) -> None:
    """Of one kind, and tensor by tensor."""
    grid = inrkit.Grid((4, 4))
    assert generation.same_place(grid, inrkit.Grid((4, 4)))
    assert not generation.same_place(grid, inrkit.Grid((4, 5)))
    where = signals(model, "test", 2).reference().where
    assert generation.same_place(where, signals(model, "test", 2).reference().where)
    assert not generation.same_place(where, grid)


def test_the_floor_is_what_training_signals_show(model: Model) -> None:
    """Where places are equal, the floor consists of the signals as they are read."""
    training = signals(model, "train", 4)
    floor = generation.floor_pictures(training, signals(model, "test", 4))
    assert torch.equal(floor, torch.cat(list(real_pictures(training))))


def test_values_that_are_not_finite_are_an_error(model: Model) -> None:
    """A broken model is named as such, and not measured."""
    with torch.no_grad():
        model.pipeline.function.scale.fill_(float("nan"))
    with pytest.raises(DataError, match="not finite"):
        evaluate(model, n=16, metrics=["memorisation"])


def test_large_pictures_are_averaged_down() -> None:
    """At most 64 a side, with the same mean; small ones only change their range."""
    pictures = torch.rand(2, 3, 128, 96)
    found = generation.small(pictures)
    assert found.shape == (2, 3, 64, 48)
    assert torch.allclose(found.mean(), pictures.mean() * 2 - 1, atol=1e-6)
    assert torch.equal(generation.small(pictures[:, :, :8, :8]), pictures[:, :, :8, :8] * 2 - 1)


def test_spaces_fit_what_varies() -> None:
    """Components are no more than the directions that real signals vary in; none where nothing varies."""
    one_way = torch.linspace(-1, 1, 80)[:, None, None, None] * torch.ones(1, 3, 8, 8)
    assert generation.spaces_of(one_way)["principal-components"].dim == 1
    assert "principal-components" not in generation.spaces_of(torch.zeros(80, 3, 8, 8))
    assert "random-filters" not in generation.spaces_of(torch.rand(80, 3, 4, 16))


def test_spread_is_of_finite_values() -> None:
    """An infinite PSNR is counted but not averaged."""
    found = distribution_of([1.0, 3.0, math.inf])
    assert found["finite"] == pytest.approx(2 / 3)
    assert (found["mean"], found["std"], found["median"]) == (2.0, 1.0, 2.0)
    assert distribution_of([math.inf]) == {"finite": 0.0}


def test_every_figure_has_its_place_in_the_report(
    evaluated: tuple[Model, dict[str, Any], Recorder], tmp_path: Path
) -> None:
    """One table, curves over noise levels, the sheet of neighbours."""
    model, found, _ = evaluated
    blocks = evaluation_blocks(found, model.run)
    assert [type(block) for block in blocks] == [Table, Charts, Picture]
    assert all("nan" not in block.html() for block in blocks)
    assert evaluation_blocks({}, tmp_path) == []


def test_samples_are_measured_as_held_out_signals_are(model: Model) -> None:
    """Sets are compared by pictures of equal shape, on [-1, 1]; the first of many samples are those of few."""
    held_out = signals(model, "test", 4)
    real = torch.cat(list(real_pictures(held_out)))
    samples = generation.sampled_pictures(held_out, ONE, 0)
    assert real.shape == samples.shape
    assert -1 <= real.min() <= real.max() <= 1
    fewer = generation.sampled_pictures(held_out[:2], ONE, 0)
    assert torch.allclose(samples[:2], fewer, atol=1e-5)


def test_the_best_constant_answer_is_the_mean_of_training_signals(model: Model) -> None:
    """No other constant is nearer to the training signals, in the mean of squares."""
    values = signals(model, "train", min(len(source_of(model, "train")), 1000)).reference().values
    constant = constant_answer(model)
    best = (values - constant).square().mean()
    for other in (constant + 0.01, constant - 0.01, torch.zeros_like(constant)):
        assert best <= (values - other).square().mean()


def test_a_result_is_told_in_words_and_one_table(model: Model) -> None:
    """It says how many signals were asked for and taken; no figure of sets is told of four signals."""
    found = evaluate(model, n=100, metrics=["psnr", "frechet"])
    psnr, constant = (found["reconstruction"][name]["mean"] for name in ("psnr", "constant"))
    assert evaluation_sentence(found) == (
        f"Reconstruction {psnr:.1f} dB on 4 held-out signals (100 were asked for; constant answer {constant:.1f}). "
        "Measured at step 7, seed 0."
    )
    assert "dB on 1 held-out signal (" in evaluation_sentence({**found, "taken": 1})
    table = evaluation_table(found)
    assert list(table.head) == ["", "held-out signals"]
    assert f"they need {ENOUGH} signals in each set" in table.note


def test_figures_of_sets_are_shown_from_as_many_signals_as_they_need() -> None:
    """With their standard errors and the floor; with fewer signals than features a Fréchet distance is left out."""
    row = {"frechet": 3.0, "frechet_error": 0.1, "frechet_ratio": 1.5, "kid": 0.02}
    spaces = {"random-filters": {"1 step": row, "real": {"frechet": 2.0, "kid": 0.01}}}
    sets = {"count": 1000, "needed": {"random-filters": 337}, "spaces": spaces}
    enough = {"step": 7, "seed": 0, "asked": 1000, "held_out": 1000, "taken": 1000, "sets": sets}
    assert "3.000 ± 0.100 (1.500 x floor)" in evaluation_table(enough).rows[0]
    assert evaluation_sentence(enough) == (
        "One-step samples 1.5 times as far from held-out signals as training signals are. Measured at step 7, seed 0, "
        "over 1,000 held-out signals, by the Fréchet distance in random filters, 1,000 signals in each set."
    )
    few = evaluation_table({**enough, "sets": {**sets, "count": 320}})
    assert [name for name, *_ in few.rows] == ["KID, random filters ↓"]
    assert "random filters 337; here are 320" in few.note


def test_any_number_of_samples_is_held_against_training_signals(model: Model) -> None:
    """More than there are held-out signals, by sums; the first of them are those that held-out signals are beside."""
    held_out = signals(model, "test", 4)
    reference = generation.Reference(held_out, 0)
    reference.spaces = {"few": generation.spaces_of(reference.floor)["principal-components"]}
    shown, found = training_figures(reference, [ONE], 230, 0)
    assert (shown["1 step"].shape[0], found["samples"]) == (4, 230)
    many = attrs.evolve(held_out, numbers=[held_out.numbers[i % 4] for i in range(230)])
    samples = generation.sampled_pictures(many, ONE, 0)
    assert torch.equal(shown["1 step"], samples[:4])
    training = signals(model, "train", len(source_of(model, "train")))
    a, b = (extract(reference.spaces["few"], x) for x in (samples, torch.cat(list(real_pictures(training)))))
    row = found["spaces"]["few"]["1 step"]
    assert row["frechet"] == pytest.approx(frechet_distance(a, b))
    assert row["frechet_error"] > 0
    assert "few ↓" in evaluation_table({"training": found}).rows[0][0]


def test_shares_have_an_error_and_need_signals_for_each_class() -> None:
    """All of ten signals is not certainty; the rarest of two classes is not told of ten."""
    row = {"count": 10, "sure": 1.0, "rarest": 0.5, "shares": [0.5, 0.5]}
    rows = evaluation_table({"classes": {"resnet20": {"1 step": row}}}).rows
    assert [cells[1] for cells in rows] == ["100.0% ± 9.4%"]
    rows = evaluation_table({"classes": {"resnet20": {"1 step": {**row, "count": 20}}}}).rows
    assert [cells[1] for cells in rows] == ["100.0% ± 5.6%", "50.0% ± 10.2%"]


def test_who_asks_for_fid_is_led_to_what_there_is() -> None:
    """And told that its features are not Inception's, so that nobody compares the two."""
    for name in ("fid", "FID"):
        with pytest.raises(UsageError, match=r"'frechet' is the same distance.*instead of Inception's"):
            chosen_metrics([name])


def test_larger_renders_are_held_against_the_truth_where_it_is_known(tmp_path: Path) -> None:
    """A synthetic face is known at any size, what a store holds is not; and agreeing with itself is another figure."""
    small = ["size=16,16", "width=16", "heads=2", "hidden=16", "depth=1", "decoder_depth=1", "inr_width=16", "count=8"]
    made = build_model(
        resolve("image", overrides=[f"options.{text}" for text in small]), tmp_path, 0, torch.device("cpu")
    )
    found = evaluate(made, n=16, metrics=["resolution"])
    assert set(found["larger"]) == set(found["resolution"]) == {"2x", "4x", "8x"}
    one = signals(made, "test", 1)
    where = made.places({"size": "32x32"})[0]
    shown, known = one.encode().prediction.at(where), made.modality.display.truth(one.source, [0], where)
    assert known is not None
    wanted = -10 * math.log10(float(((shown.clamp(-1, 1) - known) / 2).square().mean()))
    again = resolution_figures(one, quiet)["larger"]["2x"]["mean"]
    assert again == pytest.approx(wanted, abs=0.01)
    rows = {row[0] for row in evaluation_table(found).rows}
    assert {"PSNR of the 2x render against the truth, dB ↑", "PSNR of the 2x render averaged down, dB ↑"} <= rows
    write_store(tmp_path / "few.h5", "image", {"images": np.full((40, 16, 16, 3), 90, np.uint8)})
    assert "larger" not in evaluate(made, n=16, metrics=["resolution"], data=tmp_path / "few.h5")
