"""Feature extractors: laws of the random network, and what standardising and whitening promise."""

import pytest
import torch
from torch import Tensor

from inrkit.errors import UsageError
from inrkit.metrics.feature import RandomConvFeatures, Standardised, WhitenedPCA, extract
from inrkit.metrics.frechet import frechet_distance


@pytest.mark.parametrize(("size", "dim"), [((40,), 240), ((8, 8), 336), ((13, 21), 336), ((8, 9, 10), 528)])
@pytest.mark.parametrize("channels", [1, 3, 7])
def test_any_channels_and_axes(size: tuple[int, ...], dim: int, channels: int) -> None:
    """One to three axes of at least 8 and any number of channels; ``dim`` is what comes out."""
    features = RandomConvFeatures(channels, size)
    found = features(torch.randn(4, channels, *size))
    assert found.shape == (4, features.dim) == (4, dim)
    assert found.isfinite().all()


def test_same_seed_same_features() -> None:
    """The seed decides the weights; the global random state neither matters nor moves."""
    values = torch.randn(3, 2, 16, 16)
    before = torch.get_rng_state()
    first = RandomConvFeatures(2, (16, 16), seed=5)(values)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    assert torch.equal(first, RandomConvFeatures(2, (16, 16), seed=5)(values))
    assert not torch.allclose(first, RandomConvFeatures(2, (16, 16), seed=6)(values))


def test_weights_are_the_same_on_every_machine() -> None:
    """A weight is (2u - 1) bound, u from Python's own sequence; the fourth is the second filter's first."""
    features = RandomConvFeatures(1, (16,), seed=0)
    bound = (3 / 3 * 2 / 1.25) ** 0.5
    assert features.get_buffer("weight0").flatten()[3].item() == pytest.approx((2 * 0.25891675029296335 - 1) * bound)


def test_random_features_are_positively_homogeneous() -> None:
    """features(a x) = a features(x) for a > 0: no unit of the values is special."""
    features, values = RandomConvFeatures(3, (16, 16)), torch.randn(4, 3, 16, 16)
    assert torch.equal(features(128 * values), 128 * features(values))  # a power of two rounds nothing


def test_random_features_tell_a_signal_from_its_negative() -> None:
    """The nonlinearity is not even."""
    features, values = RandomConvFeatures(3, (16, 16)), torch.rand(4, 3, 16, 16)
    apart = (features(values) - features(-values)).norm() / features(values).norm()
    assert apart > 0.3


def test_random_features_know_where() -> None:
    """The same content at another place has other features."""
    values = torch.zeros(1, 1, 16, 16)
    values[..., 3:6, 3:6] = 1
    features = RandomConvFeatures(1, (16, 16))
    moved = features(values.roll(8, dims=3))
    assert (moved - features(values)).norm() > 0.1 * features(values).norm()


@pytest.mark.parametrize("size", [(16,), (8, 8), (8, 8, 8)])
def test_every_second_filter_answers_to_differences_only(size: tuple[int, ...]) -> None:
    """Constants vanish under half of the first filters, and only under those."""
    features = RandomConvFeatures(3, size, edges=True)
    found = features(torch.ones(1, 3, *size))[0, :9]  # the channels of the first stage that are averaged everywhere
    assert found[::2].abs().max() < 1e-5
    assert found[1::2].abs().min() > 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_no_random_feature_is_dead(seed: int) -> None:
    """Every feature varies over smooth signals, whatever the seed."""
    coarse = torch.randn(64, 3, 4, 4)
    values = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear")
    found = RandomConvFeatures(3, (32, 32), seed=seed)(values)
    assert found.std(dim=0).min() > 0.01 * found.std(dim=0).max()


def test_signal_is_neither_lost_nor_blown_up_by_depth() -> None:
    """He scaling: the stages' pooled activations are of similar size."""
    found = RandomConvFeatures(3, (32, 32))(torch.ones(1, 3, 32, 32).normal_())
    sizes = [part.square().mean().sqrt() for part in found.split([24 + 32, 48 + 64, 72 + 96], dim=1)]
    assert max(sizes) < 3 * min(sizes)


def test_rows_do_not_see_each_other() -> None:
    """Extracting in chunks gives what all at once gives."""
    features, values = RandomConvFeatures(2, (12, 12)), torch.randn(10, 2, 12, 12)
    torch.testing.assert_close(extract(features, values, chunk=3), features(values).double(), rtol=1e-5, atol=1e-5)
    assert extract(features, values).dtype == torch.float64


def test_wrong_shapes_are_refused() -> None:
    """The message says what the extractor was built for."""
    with pytest.raises(UsageError, match="at least 8"):
        RandomConvFeatures(3, (4, 16))
    with pytest.raises(UsageError, match=r"expects values \(B, 3, ...\) with 2 spatial axes"):
        RandomConvFeatures(3, (16, 16))(torch.zeros(2, 1, 16, 16))
    with pytest.raises(UsageError, match=r"must return \(B, D\)"):
        extract(lambda values: values, torch.zeros(2, 3, 4))


def test_standardised_features_have_mean_zero_and_deviation_one() -> None:
    """On the data they were fitted on, in every feature."""
    real = 5 * torch.randn(200, 2, 16, 16) + 3
    found = extract(Standardised.fit(RandomConvFeatures(2, (16, 16)), real), real)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(336, dtype=torch.float64), rtol=0, atol=1e-3)
    torch.testing.assert_close(found.std(dim=0), torch.ones(336, dtype=torch.float64), rtol=1e-3, atol=0)


def test_standardised_distance_does_not_depend_on_the_unit() -> None:
    """Values in [0, 255] and in [0, 1] give the same Fréchet distance."""
    real, other = torch.rand(2, 100, 1, 16, 16)

    def distance(scale: float) -> float:
        features = Standardised.fit(RandomConvFeatures(1, (16, 16)), scale * real)
        return frechet_distance(extract(features, scale * real), extract(features, scale * other))

    assert distance(255) == pytest.approx(distance(1), rel=1e-3)


def test_a_collapsed_set_is_about_dim_away() -> None:
    """All samples equal to the mean feature are at tr C = D."""
    real = torch.randn(100, 1, 16)
    features = Standardised.fit(RandomConvFeatures(1, (16,)), real)
    found = extract(features, real)
    assert frechet_distance(found, torch.zeros_like(found)) == pytest.approx(features.dim, rel=1e-3)


def test_a_constant_feature_does_not_become_infinite() -> None:
    """Features that never vary are divided by a thousandth of the widest, or by one if none varies."""

    def first_only(values: Tensor) -> Tensor:
        return torch.stack([values[:, 0], torch.ones(len(values))], dim=1)

    real = torch.randn(50, 3)
    fitted = Standardised.fit(first_only, real)
    assert fitted.scale[1].item() == pytest.approx(1e-3 * real[:, 0].std().item())
    assert Standardised.fit(first_only, torch.zeros(5, 3)).scale.tolist() == [1, 1]
    with pytest.raises(UsageError, match="at least 2 signals"):
        Standardised.fit(first_only, real[:1])


@pytest.mark.parametrize("shape", [(400, 2, 6), (40, 3, 8, 8)])
def test_whitened_components_have_unit_covariance(shape: tuple[int, ...]) -> None:
    """With more signals than values and with fewer."""
    real = torch.randn(shape) @ torch.randn(shape[-1], shape[-1]) + 2
    pca = WhitenedPCA.fit(real, 6)
    found = extract(pca, real)
    assert pca.dim == 6
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-4)
    torch.testing.assert_close(found.T.cov(), torch.eye(6, dtype=torch.float64), rtol=0, atol=1e-3)


def test_first_component_is_the_direction_of_most_variance() -> None:
    """Data stretched along one axis; the sign makes the largest entry positive."""
    real = torch.randn(500, 4) * torch.tensor([1.0, 0.5, 10.0, 0.1])
    direction = WhitenedPCA.fit(real, 1).basis[:, 0]
    assert direction.abs().argmax() == 2
    assert direction[2].item() == pytest.approx(1 / real[:, 2].std().item(), rel=0.01)


def test_whitened_distance_is_blind_to_the_shape_of_the_data() -> None:
    """An affine map of all values changes nothing when all components are kept."""
    real, other = torch.randn(2, 300, 5, dtype=torch.float64)
    mix = torch.randn(5, 5, dtype=torch.float64) + 3 * torch.eye(5)

    def distance(a: Tensor, b: Tensor) -> float:
        pca = WhitenedPCA.fit(a, 5)
        return frechet_distance(extract(pca, a), extract(pca, b))

    assert distance(real @ mix + 1, other @ mix + 1) == pytest.approx(distance(real, other), rel=1e-3)


def test_whitening_refuses_more_components_than_the_data_have() -> None:
    """Unit variance cannot be made from none."""
    flat = torch.randn(50, 2) @ torch.randn(2, 9)
    assert WhitenedPCA.fit(flat, 2).dim == 2
    with pytest.raises(UsageError, match="1 to 2, the rank of the 50 signals"):
        WhitenedPCA.fit(flat, 3)
    with pytest.raises(UsageError, match="fitted on 9 values"):
        WhitenedPCA.fit(flat, 2)(torch.zeros(3, 8))


def test_fitted_features_travel_with_their_state() -> None:
    """A state dict carries weights, mean and scale, so that figures of two runs are comparable."""
    real, values = torch.randn(2, 30, 1, 16)
    fitted = Standardised.fit(RandomConvFeatures(1, (16,), seed=1), real)
    other = Standardised.fit(RandomConvFeatures(1, (16,), seed=2), values)
    other.load_state_dict(fitted.state_dict())
    assert torch.equal(other(values), fitted(values))
