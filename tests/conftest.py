"""One seed, one thread, and GPU tests that skip themselves."""

from collections.abc import Iterator

import pytest
import torch

torch.set_num_threads(1)  # tests are small: more threads only wait for each other on a busy machine


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INRKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
