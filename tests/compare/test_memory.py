"""The peak memory of a step, where one can tell it by hand."""

import pytest
import torch

from funcsci import random, tree
from funcsci.compare import TWINS
from funcsci.compare.forms import form_names, make_form
from funcsci.compare.memory import peak_memory
from funcsci.compare.pair import batches_of
from funcsci.optim.live_memory import peak_bytes

CPU, KEY = torch.device("cpu"), random.key(0)
NUMBERS = 10_000
SIZE = 8 * NUMBERS


def bytes_of(arrays: int):
    """So many arrays, and the few bytes in which torch wraps a Python number."""
    return pytest.approx(arrays * SIZE, abs=64)


def weights() -> torch.Tensor:
    return torch.zeros(NUMBERS, dtype=torch.float64)


def test_a_change_in_place_takes_what_is_held_and_what_it_makes_on_the_way() -> None:
    held = [weights(), weights()]

    def step() -> None:
        for one in held:
            one.add_(2 * one)

    assert peak_memory(step, lambda: held, CPU) == bytes_of(3)


def test_a_new_generation_stands_beside_the_old_one() -> None:
    now = [weights()]

    def step() -> None:
        now[0] = now[0] + 1

    assert peak_memory(step, lambda: now, CPU) == bytes_of(2)


def test_what_a_step_leaves_behind_of_itself_counts() -> None:
    held = [weights()]
    left = []

    def step() -> None:
        left[:] = [held[0] * 2]
        held[0].add_(left[0])

    # The product of the step before is still there while the new one is made.
    assert peak_memory(step, lambda: [*held, *left], CPU) == bytes_of(3)


def test_one_storage_counts_once() -> None:
    base = weights()
    views = [base[:10], base[10:], base]
    assert peak_memory(lambda: base.add_(1), lambda: views, CPU) == bytes_of(1)


def test_a_step_of_the_library_takes_what_counting_its_operations_says() -> None:
    twin = TWINS["sine"]
    batches = list(batches_of(twin, twin.samples(KEY, torch.float64, CPU), KEY, 1))
    form = make_form("functional, eager", twin, batches, KEY, torch.float64, CPU)
    form.step(batches[0])
    begun = sum(leaf.nbytes for leaf in form.held())
    counted = begun + peak_bytes(form.step, batches[0])
    # The state of the step before goes when the new one is there, and its constants are a few bytes.
    assert peak_memory(lambda: form.step(batches[0]), form.held, CPU) == pytest.approx(counted, rel=0.05)


@pytest.mark.parametrize("name", form_names(TWINS["sine"], compiled=False))
def test_a_form_holds_parameters_and_moments(name: str) -> None:
    twin = TWINS["sine"]
    batches = list(batches_of(twin, twin.samples(KEY, torch.float64, CPU), KEY, 1))
    form = make_form(name, twin, batches, KEY, torch.float64, CPU)
    form.step(batches[0])
    held = list(form.held())
    assert all(isinstance(one, torch.Tensor) for one in held)
    parameters = 8 * tree.size(twin.functional(KEY, torch.float64, CPU).now.params)
    gradients = parameters if name.startswith("nn.Module") else 0
    assert sum(one.nbytes for one in held) == pytest.approx(3 * parameters + gradients, rel=0.03)
