"""The embedded faces: a pure function of the seed, consistent across resolutions, varied."""

import itertools
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F

from inrkit import Dice, Grid, UsageError
from inrkit_image.embedded.ellipses import Canvas, Ellipses, coverage
from inrkit_image.embedded.faces import CLASS_NAMES, SPLITS, EmbeddedFaces, draw_faces, face_labels
from inrkit_image.embedded.portrait import describe


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Drawing is a great many short operations, in which threads on a busy machine mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


@pytest.mark.parametrize(("size", "decibels"), [((16, 16), 40), ((32, 32), 43), ((24, 40), 43), ((64, 64), 46)])
def test_resolutions_agree(size: tuple[int, int], decibels: float) -> None:
    """Averaging the areas of a render of twice the resolution gives the render itself."""
    seeds = torch.arange(40)
    fine = draw_faces(seeds, (2 * size[0], 2 * size[1]))
    assert psnr(F.avg_pool2d(fine, 2), draw_faces(seeds, size)) > decibels


def test_same_seed_same_face() -> None:
    """A face depends on its seed alone: not on its batch, nor on the order, nor on the global random state."""
    seeds = torch.tensor([5, 1 << 40, 7, -3, 123_456_789, 5])
    torch.manual_seed(0)
    together = draw_faces(seeds, (32, 32))
    torch.manual_seed(1)
    alone = torch.cat([draw_faces(seeds[i : i + 1], (32, 32)) for i in range(len(seeds))])
    assert torch.equal(together, alone)
    assert torch.equal(together[0], together[5])


@pytest.mark.parametrize("count", [2, 3, 17, 64, 100])
def test_faces_do_not_see_each_other(count: int) -> None:
    """Which parts other faces have decides what is drawn together, and changes no bit of a face."""
    seeds = torch.arange(100)
    faces = draw_faces(seeds, (24, 24))
    parts = [draw_faces(part, (24, 24)) for part in seeds.flip(0).split(count)]
    assert torch.equal(torch.cat(parts).flip(0), faces)


def test_threads_change_no_face() -> None:
    """Two threads draw the same bits as one."""
    one = draw_faces(torch.arange(40), (16, 16))
    torch.set_num_threads(2)  # for what is larger than 32,768 numbers
    assert torch.equal(draw_faces(torch.arange(40), (16, 16)), one)


def test_parts_are_drawn_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ellipses are asked for a fifth of the samples, at most, that all of them would have in every face."""
    asked: list[int] = []

    def counted(polynomials: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        asked.append(polynomials.shape[2] * len(x) * len(y))
        return coverage(polynomials, x, y)

    monkeypatch.setattr("inrkit_image.embedded.faces.coverage", counted)
    draw_faces(torch.arange(64), (32, 32))
    parts = len(describe(torch.arange(1)).names)
    assert sum(asked) < 0.2 * parts * 64 * 64 * 64


def test_global_random_state_is_left_alone() -> None:
    """Drawing faces neither uses nor moves torch's generator."""
    before = torch.get_rng_state()
    draw_faces(torch.arange(3), (8, 8))
    assert torch.equal(before, torch.get_rng_state())


def test_bands_of_rows_make_no_seams() -> None:
    """A picture too large to be drawn at once is the same picture."""
    tall = draw_faces(torch.tensor([3]), (300, 300))
    assert psnr(F.avg_pool2d(tall, 10), draw_faces(torch.tensor([3]), (30, 30), supersample=4)) > 45


def test_supersampling_converges() -> None:
    """More samples per pixel change a render less and less."""
    seeds = torch.arange(20)
    one, two, six = (draw_faces(seeds, (32, 32), supersample=n) for n in (1, 2, 6))
    assert psnr(two, six) > psnr(one, six) + 3
    assert psnr(two, six) > 43


def test_range_shape_and_empty_batch() -> None:
    """Values lie in [0, 1]; any size and an empty batch work; the face keeps its proportions in a wide picture."""
    wide = draw_faces(torch.arange(5), (16, 32))
    assert wide.shape == (5, 3, 16, 32)
    assert wide.dtype == torch.float32
    assert 0 <= wide.min() <= wide.max() <= 1
    assert draw_faces(torch.arange(0), (8, 8)).shape == (0, 3, 8, 8)
    torch.testing.assert_close(wide[..., 8:24], draw_faces(torch.arange(5), (16, 16)), atol=1e-4, rtol=0)


def test_faces_are_varied() -> None:
    """No two of many faces are near each other, and no few directions explain them."""
    images = draw_faces(torch.arange(400), (16, 16)).flatten(1)
    distance = torch.cdist(images, images) / images.shape[1] ** 0.5 + torch.eye(400)
    assert distance.min() > 0.03
    spectrum = torch.linalg.svdvals(images - images.mean(0)).square()
    assert spectrum.sum().square() / spectrum.square().sum() > 8  # participation ratio


def test_labels_are_hair_kinds_of_the_faces() -> None:
    """Labels cover all classes evenly, and bald heads alone have no hair on top."""
    labels = face_labels(torch.arange(4000))
    share = torch.bincount(labels, minlength=len(CLASS_NAMES)) / 4000
    assert labels.dtype == torch.int64
    assert ((share > 0.09) & (share < 0.16)).all()
    portrait = describe(torch.arange(200))
    scalp, shapes = portrait.names.index("scalp"), portrait.ellipses
    has_hair = torch.hypot(shapes.x[scalp], shapes.y[scalp] + 0.3) < shapes.b[scalp]
    assert torch.equal(has_hair, labels[:200] != CLASS_NAMES.index("bald"))


def test_splits_are_disjoint_and_index_independent() -> None:
    """Seeds of different splits never meet, and any order of indices gives the same faces."""
    test = EmbeddedFaces("test", 50, (16, 16))
    assert len(test) == 50
    starts = sorted(SPLITS.values())
    assert all(b - a >= 1 << 40 for a, b in itertools.pairwise(starts))
    signals = test.read([7, 3])
    assert torch.equal(signals["values"].flip(0), test.read([3, 7])["values"])
    assert torch.equal(signals["label"][:1], face_labels(torch.tensor([SPLITS["test"] + 7])))
    finer = test.at([7], Grid((8, 8)))
    assert finer is not None
    assert finer.shape == (1, 3, 8, 8)
    assert test.at([7], Grid((8, 8), index=torch.arange(3))) is None


def test_wrong_arguments_are_named() -> None:
    """A wrong size says what was expected."""
    with pytest.raises(UsageError, match="at least 1"):
        draw_faces(torch.arange(1), (0, 8))


def test_dice_are_uniform_and_unrelated() -> None:
    """Throws of consecutive seeds are uniform, and neither neighbours nor successive throws are correlated."""
    dice = Dice(torch.arange(20_000))
    a, b = dice.uniform(), dice.uniform()
    assert 0 <= a.min() <= a.max() < 1
    assert abs(a.mean() - 0.5) < 0.01
    assert abs(a.var() - 1 / 12) < 0.002
    assert abs(torch.corrcoef(torch.stack((a, b)))[0, 1]) < 0.03
    assert abs(torch.corrcoef(torch.stack((a[1:], a[:-1])))[0, 1]) < 0.03


def test_coverage_of_an_ellipse_adds_up_to_its_area() -> None:
    """The sum of coverage times sample area is the ellipse's area, at any resolution, all of it in its window."""
    one = Ellipses(*torch.tensor((0.1, -0.05, 0.6, 0.35, 0.4, 0.0, 1.0)).reshape(7, 1, 1))
    for n in (16, 64, 256):
        canvas = Canvas(range(n), (n, n), 2, torch.device("cpu"))
        polynomials = one.polynomials(canvas.step)[:, :, 0]
        everywhere = coverage(polynomials, canvas.x, canvas.y)
        assert everywhere.sum() * canvas.step**2 == pytest.approx(torch.pi * 0.6 * 0.35, rel=0.4 / n)
        seen, ((rows, columns, figures),) = canvas.windows(one)
        assert seen.all()
        assert figures == slice(0, 1)
        assert everywhere[rows, columns].count_nonzero() == everywhere.count_nonzero()
        assert everywhere[rows, columns].numel() < 0.55 * everywhere.numel()
