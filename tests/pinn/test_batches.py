"""Batches of first-order methods: each covers the domain and asks every condition, whatever the sampling."""

import itertools
from collections.abc import Iterator
from itertools import islice

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import example, given, settings
from torch import Tensor

from funcsci import pinn, random
from funcsci.pinn.first_order import BLOCK, Balance, batches
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.requirements import Points
from funcsci.pinn.sampling import SAMPLINGS
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import Task, make_task

NAMES = ("t", "x", "y")
CASES = st.tuples(
    st.sampled_from(sorted(SAMPLINGS)), st.integers(1, 3), st.sampled_from([1, 2, 3, 5, 16, 64, 100, 300])
)


def problem(dimensions: int, hard: bool = False):
    """Every coordinate has conditions, which are not built in."""
    box = {name: (-1.0, 1.0 + place) for place, name in enumerate(NAMES[:dimensions])}
    conditions = [
        pinn.initial(0.5, hard=hard),
        *(pinn.dirichlet(name, 0.5, hard=hard) for name in box if name != "t"),
    ]
    return pinn.pde(lambda u: u.t - sum(u.d(name, 2) for name in box if name != "t") + u, box, conditions)


def task_of(name: str | None, dimensions: int, points: int | None, seed: int = 0) -> Task:
    where = Settings(random.key(seed), points=points, sampling=name)
    return make_task(problem(dimensions), where, NetworkSettings((8,)))


def started(task: Task) -> Iterator[tuple[Points, ...]]:
    return batches(Balance(task, task.trial.init(random.key(1), **task.settings.where)))


def parts_hit(unit: Tensor, parts: int) -> list[int]:
    """How many of so many equal parts of each coordinate have points."""
    return [len((one * parts).floor().clamp(0, parts - 1).unique()) for one in unit.unbind(1)]


def resolved(name: str, count: int, dimensions: int) -> int:
    """Parts of a coordinate that all have points, in each set of so many points."""
    side = round(count ** (1 / dimensions))
    fine = {
        "latin_hypercube": count,
        "grid": side,
        "chebyshev": side // 3,  # whose points are sparse in the middle
        "sobol": 2 ** (count.bit_length() - 1),
        "uniform": count // 30,  # but once in a million million
    }[name]
    return (fine + 1) // 2


@settings(max_examples=25)
@example(("grid", 2, 64))
@example(("chebyshev", 1, 64))
@example(("latin_hypercube", 1, 3))
@given(CASES)
def test_every_batch_covers_the_domain(case: tuple[str, int, int]) -> None:
    name, dimensions, count = case
    task = task_of(name, dimensions, count)
    domain = task.problem.domain
    for batch in islice(started(task), 0, 2 * BLOCK, 13):
        inside = (batch[0].x - torch.tensor(domain.lower)) / torch.tensor(domain.lengths)
        assert len(inside) >= count and float(inside.min()) >= 0 and float(inside.max()) <= 1
        for parts in range(2, min(resolved(name, count, dimensions), 8) + 1):
            assert parts_hit(inside, parts) == [parts] * dimensions
        for face, points in zip(task.soft, batch[1:], strict=True):
            others = [place for place in range(dimensions) if place != face.index]
            ends = (points.x - torch.tensor(domain.lower)) / torch.tensor(domain.lengths)
            assert torch.equal(points.x[:, face.index], torch.full((len(ends),), face.end(domain)))
            for parts in range(2, min(resolved(name, len(ends), max(dimensions - 1, 1)), 8) + 1):
                assert parts_hit(ends[:, others], parts) == [parts] * len(others)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("name", sorted(set(SAMPLINGS) - {"latin_hypercube"}))
def test_every_corner_of_the_domain_has_points_in_every_batch(name: str, dimensions: int) -> None:
    task = task_of(name, dimensions, 1000)
    for batch in islice(started(task), BLOCK):
        half = batch[0].x > torch.tensor(task.problem.domain.lower) + 0.5 * torch.tensor(
            task.problem.domain.lengths
        )
        assert len(half.unique(dim=0)) == 2**dimensions


@settings(max_examples=12)
@given(CASES)
def test_every_condition_has_points_and_its_weight_in_every_batch(case: tuple[str, int, int]) -> None:
    task = task_of(*case)
    balance = Balance(task, task.trial.init(random.key(1), **task.settings.where))
    for batch in islice(batches(balance), 0, BLOCK, 9):
        assert len(batch) == len(task.requirements)
        whole = balance.task.training(1000, random.key(0), "uniform")
        for points, (_, wanted) in zip(batch, whole, strict=True):
            assert len(points.x) == len(points.target) == len(points.weight) >= 1
            assert float(points.weight.sum()) == pytest.approx(float(wanted.weight.sum()), rel=1e-12)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("name", SAMPLINGS)
def test_batches_are_new_and_depend_on_the_key_and_their_number(name: str, dimensions: int) -> None:
    first, again = (
        [batch[0].x for batch in islice(started(task_of(name, dimensions, 20)), BLOCK + 2)] for _ in "ab"
    )
    assert all(itertools.starmap(torch.equal, zip(first, again, strict=True)))
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(first, 2))
    other = next(started(task_of(name, dimensions, 20, seed=1)))[0].x
    assert not torch.equal(first[0], other)


@pytest.mark.parametrize("name", SAMPLINGS)
def test_over_many_batches_every_place_is_asked_alike(name: str) -> None:
    """The mean of the coordinate's square is that of its density."""
    task = task_of(name, 1, 16)
    points = torch.cat([batch[0].x for batch in islice(started(task), 4 * BLOCK)])[:, 0]  # on (-1, 1)
    assert float(points.square().mean()) == pytest.approx(0.5 if name == "chebyshev" else 1 / 3, abs=0.02)
    assert float(points.mean()) == pytest.approx(0.0, abs=0.04)


@pytest.mark.parametrize("name", [None, *SAMPLINGS])
def test_every_batch_of_a_stiff_problem_has_points_in_the_layer_and_beyond(name: str | None) -> None:
    stiff = pinn.ode(lambda u: u.t + 1000 * u, (0.0, 1.0), 1.0)
    task = make_task(stiff, Settings(random.key(0), sampling=name), NetworkSettings((8,)))
    drawn = [batch[0].x[:, 0] for batch in islice(started(task), BLOCK + 1)]
    for x in drawn:
        assert len(x) == 64 and int((x < 1e-2).sum()) >= 5
        assert parts_hit(x[:, None], 4) == [4]
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(drawn, 2))
