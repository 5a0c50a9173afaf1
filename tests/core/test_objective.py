"""Objectives: their terms, who sees what, and what a split of the batch may not change."""

import copy
import itertools
import math
from typing import Any

import attrs
import pytest
import torch
from gaussian import Linear, batch_of, linear_pipeline, observed, transformer_pipeline
from torch import Tensor

from inrkit import (
    Batch,
    CmFunc,
    Ct,
    Diffusion,
    DirectReadout,
    Draws,
    Ect,
    Grid,
    GridObservation,
    Ict,
    Inrct,
    LiteralReadout,
    Loss,
    Objective,
    Pipeline,
    Preconditioning,
    Readout,
    Reconstruction,
    SigmoidPairing,
    Step,
    TwoHeadedReadout,
    UsageError,
    at_least,
    load_plugins,
    option,
)
from inrkit.core.objective.base import clean_rows
from inrkit.core.objective.pair import consistency_pair
from inrkit.core.train import backward_step

ALL = [
    Inrct(),
    Inrct(lambda_diff=0.5, weight_recon="1/t"),
    Reconstruction(),
    Reconstruction(t_recon=0.1),
    Ect(),
    Ect(distance="pseudo-huber", c=0.1, weight="edm"),
    Diffusion(),
    Ct(s1=20),
    Ct(s1=20, distance="l2", weight="truncated-snr"),
    Ict(s1=40),
    CmFunc(s1=20, weight="snr+1"),
]
READOUTS = [LiteralReadout(), TwoHeadedReadout(), DirectReadout()]


def passes(pipeline: Pipeline) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    """What the toy's denoiser was shown, pass by pass, with c_in taken off and t from c_noise."""
    assert isinstance(pipeline.denoiser, Linear)
    shown = []
    for values, level, label in pipeline.denoiser.seen:
        t = (4 * level).exp()
        shown.append((values * (0.25 + t**2).sqrt()[:, None, None], t, label))
    return shown


def two_toys() -> tuple[Pipeline, Pipeline]:
    """A student and a teacher that remember their passes apart."""
    return linear_pipeline(), linear_pipeline()


# ------------------------------------------------------------------------------------------------- the pair


def test_student_and_teacher_see_the_same_noise() -> None:
    """Law: x_t - x = t z and x_r - x = r z with one z; the query's noise is the support's."""
    student, teacher = two_toys()
    batch, t, r = batch_of(torch.randn(4, 1, 2)), torch.tensor([0.5, 1, 2, 3]), torch.tensor([0.1, 0.9, 1, 2.5])
    prediction, target = consistency_pair(Step(student, teacher, batch, Draws(0, 4)), t, r)
    (x_t, t_seen, _), (x_r, r_seen, _) = passes(student)[0], passes(teacher)[0]
    assert torch.allclose(t_seen, t)
    assert torch.allclose(r_seen, r)
    x = batch.support.values
    z = (x_t - x) / t[:, None, None]
    assert torch.allclose((x_r - x) / r[:, None, None], z, atol=1e-4)
    assert torch.allclose(x_t - x_r, (t - r)[:, None, None] * z, atol=1e-4)
    skip = DirectReadout().c_skip(t)[:, None, None]
    query = (prediction.observation.values - (1 - skip) * prediction.signal) / skip
    assert torch.allclose(query, x_t, atol=1e-2)
    skip = DirectReadout().c_skip(r)[:, None, None]
    assert torch.allclose(target, skip * x_r + (1 - skip) * teacher(observed(x_r), r).signal, atol=1e-5)


def test_target_is_clean_where_r_is_zero() -> None:
    """Law: with r = 0 the target is the clean query and the teacher sees only the other rows, with their labels."""
    student, teacher = two_toys()
    batch = batch_of(torch.randn(4, 1, 2), torch.arange(4))
    t, r = torch.full((4,), 2.0), torch.tensor([0.0, 1.0, 0.0, 0.5])
    _, target = consistency_pair(Step(student, teacher, batch, Draws(0, 4)), t, r)
    assert torch.equal(target[[0, 2]], batch.query.values[[0, 2]])
    assert not torch.isclose(target[[1, 3]], batch.query.values[[1, 3]]).any()
    (_, level, label) = passes(teacher)[0]
    assert torch.allclose(level, r[[1, 3]])
    assert label is not None
    assert label.tolist() == [1, 3]
    student_label = passes(student)[0][2]
    assert student_label is not None
    assert student_label.tolist() == [0, 1, 2, 3]


def test_no_teacher_pass_while_every_r_is_zero() -> None:
    """Law: one student pass, and no teacher pass at all when all targets are clean."""
    student, teacher = two_toys()
    consistency_pair(Step(student, teacher, batch_of(torch.randn(3, 1, 2)), Draws(0, 3)), torch.ones(3), torch.zeros(3))
    assert len(passes(student)) == 1
    assert passes(teacher) == []


def test_a_teacher_that_is_not_finite_is_kept_for_the_blame() -> None:
    """Nothing is made of its NaN in silence: the loss is not finite, and says what it was compared with."""
    student, teacher = two_toys()
    with torch.no_grad():
        teacher.denoiser.get_parameter("bias").fill_(math.nan)
    loss = Ect(curriculum=SigmoidPairing(offset=3)).loss(
        Step(student, teacher, batch_of(torch.randn(2, 1, 2)), Draws(0, 2))
    )
    assert loss.target is not None
    assert loss.target.isnan().any()
    assert loss.total.isnan()


def test_query_elsewhere_is_the_target() -> None:
    """With a query of some places only, prediction and target are there."""
    index = torch.tensor([1, 5])
    values = torch.randn(3, 1, 8)
    batch = Batch(observed(values), GridObservation(values[:, :, index], Grid((8,), index)))
    pipeline = transformer_pipeline()
    prediction, target = consistency_pair(
        Step(pipeline, pipeline, batch, Draws(0, 3)), torch.ones(3), torch.full((3,), 0.5)
    )
    assert prediction.observation.values.shape == target.shape == (3, 1, 2)


# ------------------------------------------------------------------------------------------------- the objectives


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("objective", ALL, ids=repr)
def test_one_student_pass(objective: Objective, progress: float) -> None:
    """Law: every loss is made of one student pass and at most one teacher pass."""
    student, teacher = two_toys()
    objective.loss(Step(student, teacher, batch_of(torch.randn(20, 1, 2)), Draws(0, 20), progress))
    assert len(passes(student)) == 1
    assert len(passes(teacher)) <= 1
    if isinstance(objective, Inrct | Ect):
        assert len(passes(teacher)) == (progress > 0)
    elif isinstance(objective, Ct | CmFunc | Ict):  # the cleanest level of a grid is not 0
        assert len(passes(teacher)) == 1
    else:
        assert passes(teacher) == []


@pytest.mark.parametrize("progress", [0.0, 1.0])
@pytest.mark.parametrize("objective", ALL, ids=repr)
def test_teacher_gets_no_gradient(objective: Objective, progress: float) -> None:
    """Law: the target is constant: the teacher's weights get no gradient."""
    student, teacher = two_toys()
    objective.loss(Step(student, teacher, batch_of(torch.randn(20, 1, 2)), Draws(0, 20), progress)).total.backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None for p in student.parameters())


def test_own_weights_as_teacher_are_constant_too() -> None:
    """Law: a student that teaches itself has the gradient it would have with a copy for a teacher."""
    pipeline = transformer_pipeline()
    twin = copy.deepcopy(pipeline)
    batch, draws = batch_of(torch.randn(8, 1, 8)), (Draws(0, 8), Draws(0, 8))
    Ect().loss(Step(pipeline, pipeline, batch, draws[0], 1.0)).total.backward()
    Ect().loss(Step(twin, copy.deepcopy(twin), batch, draws[1], 1.0)).total.backward()
    for a, b in zip(pipeline.parameters(), twin.parameters(), strict=True):
        assert a.grad is not None
        assert torch.allclose(a.grad, b.grad)


@pytest.mark.parametrize("cuts", [(0, 5, 10), (0, 1, 4, 10)])
@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("objective", ALL, ids=repr)
def test_loss_splits_over_micro_batches(objective: Objective, progress: float, cuts: tuple[int, ...]) -> None:
    """Law: the loss of a batch, its parts and its gradient are the weighted means over any split; dropout included."""
    pipeline = transformer_pipeline(dropout=0.3).train()
    batch = batch_of(torch.randn(10, 1, 8))
    whole = objective.loss(Step(pipeline, pipeline, batch, Draws(2, 10), progress))
    expected = torch.autograd.grad(whole.total, list(pipeline.parameters()), materialize_grads=True)
    total, terms = torch.zeros(()), dict.fromkeys(whole.terms, 0.0)
    for a, b in itertools.pairwise(cuts):
        rows = batch.rows(slice(a, b))
        part = objective.loss(Step(pipeline, pipeline, rows, Draws(2, 10, start=a, stop=b), progress))
        total = total + part.total * (b - a) / 10
        terms = {name: terms[name] + float(part.terms[name].detach()) * (b - a) / 10 for name in terms}
    assert torch.allclose(total, whole.total, rtol=1e-4)
    assert terms == pytest.approx(
        {name: float(term.detach()) for name, term in whole.terms.items()}, rel=1e-4, abs=1e-7
    )
    found = torch.autograd.grad(total, list(pipeline.parameters()), materialize_grads=True)
    for a_grad, b_grad in zip(found, expected, strict=True):
        assert torch.allclose(a_grad, b_grad, rtol=1e-2, atol=1e-2 * float(b_grad.abs().max()) + 1e-9)


@pytest.mark.parametrize("objective", ALL, ids=repr)
def test_same_seed_same_loss(objective: Objective) -> None:
    """Law: a loss is a function of weights, batch, seed and progress."""
    pipeline, batch = transformer_pipeline(dropout=0.3).train(), batch_of(torch.randn(10, 1, 8))
    first, again, other = (
        float(objective.loss(Step(pipeline, pipeline, batch, Draws(seed, 10), 0.5)).total.detach())
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("objective", ALL, ids=repr)
@pytest.mark.parametrize("readout", READOUTS, ids=lambda readout: readout.name)
def test_gradient_agrees_with_finite_differences(objective: Objective, readout: Readout) -> None:
    """Law: the gradient of the loss is its slope along a random direction (student only; the teacher stays)."""
    student, teacher = linear_pipeline(readout), linear_pipeline(readout)
    with torch.no_grad():
        for p in [*student.parameters(), *teacher.parameters()]:
            p.normal_()
    batch = batch_of(torch.randn(20, 1, 2))
    direction = [torch.randn_like(p) for p in student.parameters()]

    def loss() -> Tensor:
        return objective.loss(Step(student, teacher, batch, Draws(3, 20), 1.0)).total

    slope = sum(
        float((g * d).sum())
        for g, d in zip(torch.autograd.grad(loss(), list(student.parameters())), direction, strict=True)
    )
    ends = []
    for step in (1e-2, -2e-2):
        with torch.no_grad():
            for p, d in zip(student.parameters(), direction, strict=True):
                p += step * d
        ends.append(float(loss().detach()))
    assert (ends[0] - ends[1]) / 2e-2 == pytest.approx(slope, rel=0.06, abs=1e-3)


@pytest.mark.parametrize(
    ("share", "total", "count"), [(0.2, 40, 8), (0.2, 3, 1), (0.25, 32, 8), (0.5, 7, 4), (1.0, 5, 5), (0.0, 9, 0)]
)
def test_clean_rows_are_spread_evenly(share: float, total: int, count: int) -> None:
    """Law: every stretch of rows has its share of clean ones, give or take one, so that any split is fair."""
    clean = clean_rows(torch.arange(total), share)
    assert int(clean.sum()) == count
    for start in range(total):
        for stop in range(start + 1, total + 1):
            assert abs(int(clean[start:stop].sum()) - share * (stop - start)) < 1 + 1e-5


def test_clean_rows_belong_to_the_global_batch() -> None:
    """Law: which rows are clean depends on their global numbers alone."""
    whole = clean_rows(torch.arange(30), 0.3)
    assert torch.equal(torch.cat([clean_rows(torch.arange(a, a + 10), 0.3) for a in (0, 10, 20)]), whole)


def test_clean_rows_are_encoded_without_noise() -> None:
    """Clean rows go in at t = 0, untouched; the others at their own t."""
    student, teacher = two_toys()
    batch = batch_of(torch.randn(10, 1, 2))
    Inrct(clean_share=0.5).loss(Step(student, teacher, batch, Draws(0, 10), 0.0))
    values, level, _ = passes(student)[0]
    clean = clean_rows(torch.arange(10), 0.5)
    assert torch.allclose(level[clean], torch.full((5,), 0.003))
    assert passes(teacher) == []
    scaled = values[clean] / math.sqrt(0.25 + 0.003**2) * 0.5
    assert torch.allclose(scaled, batch.support.values[clean], atol=1e-5)
    assert not torch.isclose(values[~clean], batch.support.values[~clean]).any()


def by_hand(objective: Inrct, pipeline: Pipeline, batch: Batch, seed: int) -> dict[str, Tensor]:
    """INRCT's three terms for direct comparison, row by row, while every r is 0."""
    draws = Draws(seed, len(batch))
    clean = clean_rows(draws.rows, objective.clean_share)
    t = torch.exp(2 * draws.normal() - 1.1)
    noise = draws.normal(*batch.support.values.shape[1:])
    terms = {"gene": torch.zeros(()), "recon": torch.zeros(()), "diff": torch.zeros(())}
    for i in range(len(batch)):
        row, level = batch.rows(slice(i, i + 1)), t[i : i + 1] * ~clean[i]
        x = row.support.values
        prediction = pipeline(observed(x + level * noise[i]), level)
        gap = (prediction.observation.values - x).norm()
        shown = (prediction.signal - x).norm()
        if clean[i]:
            terms["recon"] = terms["recon"] + shown
        else:
            terms["gene"] = terms["gene"] + gap / level[0]
            weight = 1 / level[0] if objective.weight_recon == "1/t" else 1.0
            terms["recon"] = terms["recon"] + weight * shown * (t[i] < objective.t_recon)
            terms["diff"] = terms["diff"] + gap / level[0] * (t[i] < objective.t_diff)
    return {name: term / len(batch) for name, term in terms.items()}


@pytest.mark.parametrize("readout", [DirectReadout(), LiteralReadout(offset=0.1)], ids=lambda readout: readout.name)
@pytest.mark.parametrize(("t_recon", "weight"), [(0.007, "uniform"), (0.3, "uniform"), (0.3, "1/t")])
def test_inrct_terms_by_hand(t_recon: float, weight: Any, readout: Readout) -> None:
    """L = λ_gene L_gene + λ_recon L_recon + λ_diff L_diff, each a mean over all rows of the batch.

    Clean rows count for L_recon alone, with weight one.
    """
    objective = Inrct(
        lambda_gene=0.7, lambda_recon=1.3, lambda_diff=0.4, t_recon=t_recon, t_diff=0.5, weight_recon=weight
    )
    pipeline, batch = transformer_pipeline(readout), batch_of(torch.randn(20, 1, 8))
    loss = objective.loss(Step(pipeline, pipeline, batch, Draws(4, 20), 0.0))
    terms = by_hand(objective, pipeline, batch, 4)
    for name, term in loss.terms.items():
        assert torch.allclose(term, terms[name], rtol=1e-4), name
    total = 0.7 * terms["gene"] + 1.3 * terms["recon"] + 0.4 * terms["diff"]
    assert torch.allclose(loss.total, total, rtol=1e-4)


def test_generation_can_be_scaled_by_the_curriculum() -> None:
    """After a stages L_gene counts q^(-gene_decay a); the term that is logged stays as it is."""
    pipeline, batch = transformer_pipeline(), batch_of(torch.randn(20, 1, 8))
    curriculum = SigmoidPairing(q=3.0, stages=4, offset=1)
    for progress, stages in ((0.0, 0), (0.6, 2), (1.0, 3)):
        step = Step(pipeline, pipeline, batch, Draws(4, 20), progress)
        loss = Inrct(gene_decay=0.5, lambda_gene=0.7, lambda_recon=0.0, curriculum=curriculum).loss(step).detached()
        assert float(loss.total) == pytest.approx(0.7 * 3 ** (-stages / 2) * float(loss.terms["gene"]))


def test_denoising_acts_on_a_quarter_of_the_levels() -> None:
    """Without a bound of its own, that is below the 25 % quantile of p(t), which is .0864 for ECT's."""
    assert Inrct().denoised_below() == pytest.approx(0.0864, abs=1e-4)
    assert Inrct(p_mean=0.0, p_std=1.8).denoised_below() == pytest.approx(math.exp(-0.6745 * 1.8), rel=1e-3)
    assert Inrct(t_diff=0.2).denoised_below() == 0.2


def test_terms_carry_no_graph() -> None:
    """What is logged holds no graph, what is differentiated does."""
    for objective in ALL:
        pipeline = linear_pipeline()
        step = Step(pipeline, pipeline, batch_of(torch.randn(10, 1, 2)), Draws(0, 10), 0.5)
        assert objective.loss(step).total.requires_grad
        loss = backward_step(objective, step)
        assert not any(value.requires_grad for value in (loss.total, *loss.terms.values()))


def test_diffusion_is_ect_without_a_curriculum() -> None:
    """Denoising is ECT at exponent 0 with the same distance, weight and levels."""
    pipeline, batch = transformer_pipeline(), batch_of(torch.randn(10, 1, 8))
    ect = Ect(distance="squared", weight="1/t")
    diffusion = Diffusion(weight="1/t", p_mean=-1.1, p_std=2.0, lambda_recon=0)
    a, b = (
        float(one.loss(Step(pipeline, pipeline, batch, Draws(0, 10), 0.0)).total.detach()) for one in (ect, diffusion)
    )
    assert a == pytest.approx(b)


def test_a_diffusion_model_also_encodes() -> None:
    """A share of the batch comes without noise and is compared with what its INRs show; the rest is denoised."""
    pipeline, batch = transformer_pipeline(DirectReadout()), batch_of(torch.randn(10, 1, 8))
    step = Step(pipeline, pipeline, batch, Draws(0, 10), 0.0)
    loss = Diffusion(lambda_recon=3.0, clean_share=0.3).loss(step)
    clean = clean_rows(torch.arange(10), 0.3)
    assert loss.t is not None
    assert torch.equal(loss.t == 0, clean)
    shown = pipeline.encode(batch.support.rows(clean)).signal
    recon = (shown - batch.query.values[clean]).flatten(1).norm(dim=1).sum() / 10
    assert torch.allclose(loss.terms["recon"], recon, rtol=1e-4)
    assert torch.allclose(loss.total, loss.terms["gene"] + 3 * recon, rtol=1e-4)


@pytest.mark.parametrize("t_recon", [0.0, 0.007])
def test_reconstruction_shows_nearly_clean_signals(t_recon: float) -> None:
    """t ~ U(0, t_recon): exactly clean for 0."""
    student, teacher = two_toys()
    batch = batch_of(torch.randn(50, 1, 2))
    Reconstruction(t_recon=t_recon).loss(Step(student, teacher, batch, Draws(0, 50), 0.0))
    assert passes(student)[0][1].max() <= max(t_recon, 0.003) * 1.001


def test_offset_stage_needs_a_teacher_at_once() -> None:
    """Warm starts have exponent 1 from the first step."""
    student, teacher = two_toys()
    Ect(curriculum=SigmoidPairing(offset=1)).loss(
        Step(student, teacher, batch_of(torch.randn(40, 1, 2)), Draws(0, 40), 0.0)
    )
    assert len(passes(teacher)) == 1
    assert passes(teacher)[0][0].shape[0] < 20


@pytest.mark.parametrize("name", ["inrct", "reconstruction", "ect", "ict", "ct", "cm-func", "cd", "diffusion"])
def test_objectives_are_found_by_name(name: str) -> None:
    """As those of plugins are."""
    assert load_plugins().objective(name).name == name


@attrs.frozen
class Twice(Objective):
    """The mean of two losses, each with a pass of its own."""

    name = "twice"
    one: Objective = attrs.field(factory=Ect)

    def loss(self, step: Step) -> Loss:
        first, again = self.one.loss(step), self.one.loss(attrs.evolve(step, draws=step.draws.fork("again")))
        return Loss((first.total + again.total) / 2, first.terms)


def test_a_student_may_be_asked_twice() -> None:
    """The gradients of its passes add up."""
    pipeline, batch = transformer_pipeline(), batch_of(torch.randn(6, 1, 8))
    both = torch.autograd.grad(
        Twice().loss(Step(pipeline, pipeline, batch, Draws(1, 6), 0.5)).total, list(pipeline.parameters())
    )
    parts = [
        torch.autograd.grad(Ect().loss(Step(pipeline, pipeline, batch, draws, 0.5)).total, list(pipeline.parameters()))
        for draws in (Draws(1, 6), Draws(1, 6).fork("again"))
    ]
    for found, a, b in zip(both, *parts, strict=True):
        assert torch.allclose(found, (a + b) / 2, rtol=1e-3, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own use of it
def test_a_teacher_has_forward_mode_derivatives() -> None:
    """Of f along a path, x moving with its noise and t with time, through the whole flow."""
    pipeline, x, z = transformer_pipeline(), torch.randn(3, 1, 8), torch.randn(3, 1, 8)
    t = torch.tensor([0.5, 1.0, 2.0])

    def f(noisy: Tensor, level: Tensor) -> Tensor:
        return pipeline(observed(noisy), level).observation.values

    _, slope = torch.func.jvp(f, (x + z * t[:, None, None], t), (z, torch.ones(3)))
    ends = [f(x + z * (t + h)[:, None, None], t + h) for h in (1e-2, -1e-2)]
    assert torch.allclose(slope, (ends[0] - ends[1]) / 2e-2, rtol=0.05, atol=1e-2 * float(slope.detach().abs().max()))


# ------------------------------------------------------------------------------------------------- on a grid


def test_neighbours_on_a_grid_are_compared() -> None:
    """Student and teacher are shown neighbouring levels of the same noise, whatever the grid."""
    student, teacher = two_toys()
    batch = batch_of(torch.randn(30, 1, 2))
    objective = Ct(s0=5, s1=5, sigma_min=0.01, sigma_max=10.0)
    objective.loss(Step(student, teacher, batch, Draws(0, 30), 0.0))
    (x_t, t, _), (x_r, r, _) = passes(student)[0], passes(teacher)[0]
    levels = objective.levels(0.0).float()
    index = (t[:, None] - levels).abs().argmin(1)
    assert torch.allclose(levels[index + 1], r, rtol=1e-4)
    assert len(index.unique()) == len(levels) - 1
    x = batch.support.values
    assert torch.allclose((x_t - x) / t[:, None, None], (x_r - x) / r[:, None, None], atol=1e-2)


@pytest.mark.parametrize("objective", [Ct(s0=6, s1=6), Ict(s0=6, s1=6)], ids=lambda objective: objective.name)
def test_grid_loss_by_hand(objective: Ct | Ict) -> None:
    """L = mean of λ(t, r) d(f(x_t, t), sg f(x_r, r)): squared and unweighted in ct; pseudo-Huber / (t - r) in ict."""
    student, teacher = transformer_pipeline(), transformer_pipeline(LiteralReadout())
    batch = batch_of(torch.randn(12, 1, 8))
    loss = objective.loss(Step(student, teacher, batch, Draws(3, 12), 0.5))
    draws = Draws(3, 12)
    t, r = objective.times(0.5, draws)
    z, x = draws.normal(1, 8), batch.support.values
    f_t = student(observed(x + t[:, None, None] * z), t).observation.values
    f_r = teacher(observed(x + r[:, None, None] * z), r).observation.values
    gap = (f_t - f_r).square().sum((1, 2))
    if isinstance(objective, Ict):
        c = 0.00054 * math.sqrt(8)
        gap = ((gap + c**2).sqrt() - c) / (t - r)
    assert torch.allclose(loss.total, gap.mean(), rtol=1e-4)
    assert float(loss.terms["gene"].detach()) == float(loss.total.detach())


def test_weight_of_denoising_follows_the_data() -> None:
    """EDM's weight is that of the σ_data which the network reckons with."""
    batch = batch_of(torch.randn(6, 1, 8))
    losses = []
    for sigma in (0.5, 0.2):
        pipeline = transformer_pipeline(DirectReadout())
        pipeline.preconditioning = Preconditioning(sigma_data=sigma)
        found = Diffusion(lambda_recon=0).loss(Step(pipeline, pipeline, batch, Draws(0, 6), 0.0))
        draws = Draws(0, 6)
        t, z = torch.exp(1.2 * draws.normal() - 1.2), draws.normal(1, 8)
        noisy = batch.support.perturb(z, t)
        gap = (pipeline(noisy, t).observation.values - batch.support.values).square().sum((1, 2))
        expected = (gap * (t**2 + sigma**2) / (sigma * t) ** 2).mean()
        assert torch.allclose(found.total, expected, rtol=1e-4)
        losses.append(float(expected.detach()))
    assert losses[0] != losses[1]


def test_an_option_takes_further_validators() -> None:
    """As any field of attrs does, beside the check that it was declared with or without."""

    @attrs.frozen
    class Range:
        low: float = option(0.0, "the least value")
        high: float = option(1.0, "the greatest value", at_least(0))

        @high.validator
        def _above(self, attribute: object, value: float) -> None:
            if value <= self.low:
                raise UsageError("'high' must be above 'low'")

    assert Range(high=2.0).high == 2.0
    with pytest.raises(UsageError, match="'high' must be above 'low'"):
        Range(low=3.0)
    with pytest.raises(UsageError, match="'high' must be at least 0"):
        Range(low=-3.0, high=-1.0)
