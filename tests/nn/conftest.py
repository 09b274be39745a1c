"""What every test of the layers shares."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _global_generator_untouched() -> Iterator[None]:
    """No test of this folder may move torch's global generator, so neither does the code under it."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)
