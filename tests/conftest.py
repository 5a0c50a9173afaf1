"""One seed, one thread, and GPU tests that skip themselves."""

import os

import pytest
import torch

torch.set_num_threads(1)  # tests are small: more threads only wait for each other on a busy machine

GPU = os.environ.get("INRKIT_TEST_DEVICE", "cuda")
"""Where the tests marked gpu compute; "cpu" tries them on a machine that has none."""


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def gpu() -> torch.device:
    """The device of a test marked gpu."""
    return torch.device(GPU)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available() or GPU == "cpu":
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
