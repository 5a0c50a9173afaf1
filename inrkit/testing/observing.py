"""From signals to observations."""

import torch

from inrkit.core.draws import Draws, seed_of
from inrkit.core.observation import Batch, Observation
from inrkit.testing.check import check, expect, expect_alike, expect_finite, expect_float32, expect_shape
from inrkit.testing.subject import Subject


@check
def observations_have_rows_and_channels(subject: Subject) -> None:
    """Support and query hold finite fp32 values (B, C, ...), one row for each signal."""
    for training in (False, True):
        batch = subject.observe(training=training)
        for name, seen in _both(batch):
            expect_float32(seen.values, name)
            expect(seen.values.ndim >= 3, f"{name}: expected values (B, C, ...), found {tuple(seen.values.shape)}")
            expect(len(seen) == subject.rows, f"{name}: expected {subject.rows} rows, found {len(seen)}")


@check
def values_are_scaled(subject: Subject) -> None:
    """Values lie within about [-1, 1], and differ."""
    values = subject.batch.support.values
    highest, spread = float(values.abs().max()), float(values.std())
    expect(highest <= 16, f"expected values within about [-1, 1], found one of {highest:.3g}")
    expect(0.005 <= spread <= 2, f"expected a standard deviation of order one, found {spread:.3g}")


@check
def labels_are_numbers_of_classes(subject: Subject) -> None:
    """A label is None, or a whole number (B,) for each row."""
    label = subject.batch.label
    if label is not None:
        expect_shape(label, (subject.rows,), "labels")
        expect(label.dtype == torch.int64, f"expected labels of int64, found {label.dtype}")


@check
def observing_depends_on_the_seed_alone(subject: Subject) -> None:
    """In training, equal draws give equal observations; otherwise nothing is drawn at all."""
    for training, seeds in ((True, (5, 5)), (False, (5, 6))):
        one, other = (subject.observe(training=training, seed=seed) for seed in seeds)
        for (name, a), (_, b) in zip(_both(one), _both(other), strict=True):
            expect_alike(a.values, b.values, f"{name}, observed twice (training={training})", 0.0)


@check
def observing_in_parts_is_the_same(subject: Subject) -> None:
    """Rows that another process observes are those that one process would have observed."""
    seed, rows = seed_of("parts"), subject.rows
    for training in (False, True):
        whole = subject.modality.observe(subject.signals, Draws(seed, rows), training=training)
        part = {name: values[1:] for name, values in subject.signals.items()}
        alone = subject.modality.observe(part, Draws(seed, rows, start=1), training=training)
        for (name, a), (_, b) in zip(_both(alone), _both(whole), strict=True):
            expect_alike(a.values, b.values[1:], f"{name}, rows 1 and on (training={training})", 1e-5)


@check
def observing_leaves_signals_alone(subject: Subject) -> None:
    """The tensors that a source gave are not changed."""
    before = {name: values.clone() for name, values in subject.signals.items()}
    subject.observe(training=True)
    for name, values in subject.signals.items():
        expect(torch.equal(values, before[name]), f"'{name}': expected to be left as it was, found it changed")


@check
def noise_touches_values_alone(subject: Subject) -> None:
    """A perturbed observation is measured in the same place; without noise its values are the same."""
    for name, seen in _both(subject.batch):
        noise = torch.ones_like(seen.values)
        noisy = seen.perturb(noise, torch.full((len(seen),), 2.0))
        expect(noisy.where is seen.where, f"{name}: expected the same 'where', found another")
        expect_alike(noisy.values, seen.values + 2, f"{name}: values plus 2", 1e-6)
        still = seen.perturb(noise, torch.zeros(len(seen)))
        expect_alike(still.values, seen.values, f"{name}: values without noise", 0.0)


@check
def noise_is_shared(subject: Subject) -> None:
    """The query's noise has the query's shape, is finite, and is the support's where both measure the same."""
    for training in (False, True):
        batch = subject.observe(training=training)
        support, query = batch.noise(Draws(3, subject.rows))
        expect_shape(support, batch.support.values.shape, "the support's noise")
        expect_shape(query, batch.query.values.shape, "the query's noise")
        expect_finite(query, "the query's noise")
    seen = subject.batch.support
    noise = torch.randn(seen.values.shape, generator=torch.Generator().manual_seed(0))
    expect_alike(seen.share_noise(noise, seen, Draws(0, subject.rows)), noise, "noise shared with itself", 0.0)


@check
def rows_can_be_chosen(subject: Subject) -> None:
    """Rows of an observation, by slice or by number, are those rows."""
    for name, seen in _both(subject.observe(training=True)):
        last = len(seen) - 1
        expect_alike(seen.rows(slice(last, None)).values, seen.values[last:], f"{name}: the last row", 0.0)
        index = torch.tensor([last, 0])
        expect_alike(seen.rows(index).values, seen.values[index], f"{name}: the last and the first row", 0.0)


@check
def observations_can_be_moved(subject: Subject) -> None:
    """An observation moves to another device as a whole: its values and what it needs to be measured."""
    place = "cuda" if torch.cuda.is_available() else "meta"
    for name, seen in _both(subject.observe(training=True)):
        moved = seen.to(place)
        expect(moved.values.device.type == place, f"{name}: expected values on {place}, found {moved.values.device}")
        expect(moved.values.shape == seen.values.shape, f"{name}: expected the same shape on another device")


@check
def the_template_is_like_the_support(subject: Subject) -> None:
    """Generated signals are observed as the support is, in any number."""
    wanted = subject.batch.support.values.shape[1:]
    for rows in (1, 4):
        expect_shape(subject.modality.template(rows).values, (rows, *wanted), "template")


@check
def sets_are_compared_by_equal_measurements(subject: Subject) -> None:
    """What sets of signals are compared by has the same shape for each of them."""
    seen = subject.modality.display.reference(subject.batch)
    expect(len(seen) == subject.rows, f"expected {subject.rows} rows, found {len(seen)}")
    expect_finite(seen.values, "what is compared")


def _both(batch: Batch) -> list[tuple[str, Observation]]:
    return [("support", batch.support), ("query", batch.query)]
