"""Noise levels: those of a sampler, and the middle one of two steps that is searched."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from toy import ToyModality

from inrkit.config.resolve import resolve
from inrkit.config.run import Phase, RunConfig
from inrkit.core.karras import karras_levels
from inrkit.core.pipeline import Prediction
from inrkit.core.sample import MIDDLE, ODE_LAST, ODE_STEPS, ConsistencySampler, EulerSampler, HeunSampler, Sampler
from inrkit.errors import DataError, UsageError
from inrkit.evaluation.evaluate import evaluate
from inrkit.evaluation.quick import QuickFrechet
from inrkit.evaluation.search import COARSE, FINE, charts, minimise, search_middle
from inrkit.inference.model import Model, build_model
from inrkit.inference.times import make_sampler, middle_of, sampler_of
from inrkit.report.sheets import write_report


def untrained(run: Path, **values: object) -> Model:
    """A toy in a run directory of its own."""
    return build_model(resolve(ToyModality, flags=values), run, 7, torch.device("cpu"))


# ---------------------------------------------------------------------------------------------- defaults


def test_a_run_samples_as_its_last_phase_learned() -> None:
    """A diffusion model has no f to jump with; whatever comes before or after decides nothing."""
    assert sampler_of(RunConfig(modality="toy")) == ConsistencySampler()
    assert sampler_of(RunConfig(modality="toy", objective="diffusion")) == HeunSampler()
    phases = (Phase("diffusion", 0.5), Phase("ect", 0.5))
    assert sampler_of(RunConfig(modality="toy", objective="diffusion", phases=phases)) == ConsistencySampler()
    assert sampler_of(RunConfig(modality="toy", phases=phases[::-1])) == HeunSampler()


def test_consistency_takes_few_steps() -> None:
    """One from 80, two by way of the middle level, more from 80 to .25."""
    times_of = ConsistencySampler().times
    assert times_of() == times_of(1) == (80.0,)
    assert times_of(2) == pytest.approx((80.0, MIDDLE))
    assert times_of(2, middle=1.5) == pytest.approx((80.0, 1.5))
    assert times_of(5, middle=1.5) == pytest.approx(times_of(5))
    assert times_of(5)[-1] == pytest.approx(0.25)


@pytest.mark.parametrize("sampler", [HeunSampler(), EulerSampler()])
def test_diffusion_goes_down_the_grid(sampler: Sampler) -> None:
    """Karras' levels from 80, 18 unless said otherwise."""
    assert len(sampler.times()) == ODE_STEPS == 18
    assert sampler.times(5) == pytest.approx(karras_levels(5, ODE_LAST, 80.0).tolist())
    assert sampler.times(1) == (80.0,)


@pytest.mark.parametrize("sampler", [ConsistencySampler(), HeunSampler(), EulerSampler()])
def test_no_steps_are_refused(sampler: Sampler) -> None:
    """At least one."""
    with pytest.raises(UsageError, match="'steps' must be at least 1"):
        sampler.times(0)


def test_an_unknown_sampler_is_refused() -> None:
    """The message names the nearest of those that there are."""
    with pytest.raises(UsageError, match=r"no sampler named 'hein'; installed: consistency .* Did you mean 'heun'?"):
        make_sampler("hein")


def test_a_diffusion_run_is_sampled_and_measured_along_its_path(tmp_path: Path) -> None:
    """Model, evaluation and report take the path by default; a single pass would show the mean of everything."""
    model = untrained(tmp_path, objective="diffusion")
    assert model.sampler == HeunSampler()
    assert model.sampler.times()[-1] == pytest.approx(ODE_LAST)
    assert model.sample(2).t.tolist() == [0.0, 0.0]  # the INRs encode where the path ends
    spaces = evaluate(model, n=16, metrics=["frechet"])["sets"]["spaces"]
    assert set(spaces["random-filters"]) == {"18 steps", "real", "noise"}
    report = write_report(model, tmp_path).read_text()
    assert "Generated in 18 steps" in report
    assert "36 network evaluations" in report
    assert "Generated in one step" not in report


# ---------------------------------------------------------------------------------------------- the search


@pytest.mark.parametrize("best", [0.12, 0.3, 0.821, 1.5, 4.0, 11.0])
def test_the_minimum_is_found(best: float) -> None:
    """Within a tenth, wherever it is, in as many tries as are announced."""
    tried = minimise(lambda t: math.log(t / best) ** 2, 0.1, 20)
    assert len(tried) == COARSE + FINE
    found, _ = min(tried, key=lambda point: point[1])
    assert found == pytest.approx(best, rel=0.1)


@pytest.mark.parametrize(("best", "end"), [(0.01, 0.1), (100.0, 20.0)])
def test_a_minimum_beyond_an_end_is_the_end(best: float, end: float) -> None:
    """The search stays within its bounds."""
    found, _ = min(minimise(lambda t: math.log(t / best) ** 2, 0.1, 20), key=lambda point: point[1])
    assert found == pytest.approx(end)


class Spread:
    """In place of a model: its two-step samples are real ones, but for noise that grows with |ln t / best|."""

    def __init__(self, model: Model, best: float) -> None:
        self._model, self.best = model, best

    def __getattr__(self, name: str) -> object:
        return getattr(self._model, name)

    def sample(self, n: int, seed: int, times: Sequence[float], *, guidance: float) -> Prediction:
        assert guidance == 1
        spread = abs(math.log(times[-1] / self.best)) if len(times) > 1 else 1.0
        generator = torch.Generator().manual_seed(seed)
        source = self._model.modality.source(None, "train")
        numbers = torch.randint(len(source), (n,), generator=generator).tolist()
        values = source.read(numbers)["values"]
        noisy = values + spread * torch.randn(values.shape, generator=generator)

        class Shown:
            def at(self, where: object) -> torch.Tensor:
                return noisy

        return Shown()  # type: ignore[return-value]


def test_the_level_of_the_best_samples_is_found(tmp_path: Path) -> None:
    """Of samples that are right at one level and noisy elsewhere, that level; all tries are kept and drawn."""
    found = search_middle(Spread(untrained(tmp_path), 2.0), n=48)  # type: ignore[arg-type]
    assert found["middle"] == pytest.approx(2.0, rel=0.15)
    assert len(found["curves"]["2 steps"]) == COARSE + FINE
    assert found["step"] == 7
    assert len(charts({"times": found})) == 1


def test_what_was_searched_is_used_and_kept(tmp_path: Path) -> None:
    """Two steps of this checkpoint go by the level that was found; a later evaluation keeps it, another step not."""
    model = untrained(tmp_path)
    assert middle_of(tmp_path, 7) == MIDDLE
    result = evaluate(model, n=16, metrics=["frechet"], search_times=True)
    middle = result["times"]["middle"]
    assert json.loads((tmp_path / "evaluation.json").read_text()) == result
    assert model.times(2) == pytest.approx((80.0, middle))
    assert f"2 steps (80, {middle:g})" in result["sets"]["spaces"]["random-filters"]
    assert evaluate(model, n=16, metrics=["psnr"])["times"] == result["times"]
    assert middle_of(tmp_path, 8) == MIDDLE


@pytest.mark.parametrize("text", ["", "{", "[]", '{"times": 3}', '{"times": {"middle": -1, "step": 7}}'])
def test_a_damaged_evaluation_changes_nothing(tmp_path: Path, text: str) -> None:
    """Sampling goes on with the default."""
    (tmp_path / "evaluation.json").write_text(text)
    assert middle_of(tmp_path, 7) == MIDDLE


def test_there_is_nothing_to_search_in_a_diffusion_run(tmp_path: Path) -> None:
    """One line."""
    with pytest.raises(UsageError, match="no intermediate noise level to search"):
        search_middle(untrained(tmp_path, objective="diffusion"))


def test_samples_that_are_not_finite_are_infinitely_far(tmp_path: Path) -> None:
    """A broken model loses every comparison, and a search over it says so."""
    model = untrained(tmp_path)
    quick = QuickFrechet(model, 16)
    assert math.isfinite(quick.distance(model, (80.0,)))
    assert quick.distance(model, (80.0,)) == quick.distance(model, (80.0,))
    model.pipeline.function.scale.data.fill_(float("nan"))
    assert quick.distance(model, (80.0,)) == float("inf")
    with pytest.raises(DataError, match="values that are not finite"):
        search_middle(model, n=16)
