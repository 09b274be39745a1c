"""What every test of the bridge shares."""

from collections.abc import Iterator

import pytest
import torch

from funcsci import random


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    """Torch's modules draw their weights from the global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def scrambled():
    """Gives a module numbers that no layer begins with: scales that are not 1, means that are not 0."""

    def scramble(module: torch.nn.Module) -> torch.nn.Module:
        with torch.no_grad():
            for index, one in enumerate((*module.parameters(), *module.buffers())):
                if one.is_floating_point():
                    one.copy_(
                        0.5 + 0.5 * random.uniform(random.fold_in(random.key(70), index), tuple(one.shape))
                    )
        return module

    return scramble
