"""What figures are called. They are checked before torch is imported, so a misspelt one is answered at once."""

from collections.abc import Sequence

from inrkit.errors import UsageError, did_you_mean

RECONSTRUCTION, PERCEPTUAL = ("psnr", "ssim"), "perceptual"
OF_SETS = ("frechet", "kid", "precision", "recall", "f1", "density", "coverage", "diversity", "sliced_wasserstein")
CLASSES = "classes"
CONSISTENCY = ("denoising", "trajectory")
METRICS = (
    *RECONSTRUCTION,
    PERCEPTUAL,
    *OF_SETS,
    CLASSES,
    "spread",
    "memorisation",
    "resolution",
    *CONSISTENCY,
)

SIGNALS = 16
"""How many signals figures are of, at least."""
ENOUGH = 300
"""Signals in each set from which on figures of sets are shown; a Fréchet distance needs more than it has features."""


def check_count(n: int) -> None:
    """`UsageError` for fewer signals than figures need."""
    if n < SIGNALS:
        raise UsageError(f"'n' must be at least {SIGNALS}, and {ENOUGH} for figures of sets such as Fréchet (got {n})")


def chosen_metrics(names: Sequence[str] | None) -> set[str]:
    """The metrics of these names, or all of them."""
    if names is None:
        return set(METRICS)
    chosen = {name.replace("-", "_") for name in names}
    for name in sorted(chosen - set(METRICS)):
        if name.lower() in ("fid", "inception"):
            raise UsageError(
                f"no metric named '{name}': 'frechet' is the same distance, but on features of a network with random "
                "weights instead of Inception's; reported beside its floor, and not comparable with published FIDs"
            )
        raise UsageError(f"no metric named '{name}'; there are {', '.join(METRICS)}.{did_you_mean(name, METRICS)}")
    return chosen
