"""Of all candidates the best is the solution, whatever ends a solve; all of them stand in its history."""

import math
import time

import numpy as np
import pytest
import torch

from funcsci import pinn
from funcsci.pinn import attempts, methods

pytestmark = pytest.mark.filterwarnings("ignore:solve did not converge:RuntimeWarning")

WAVES = pinn.ode(
    lambda u, x: u.xx + (40 * math.pi) ** 2 * torch.sin(40 * math.pi * x), (0.0, 1.0), coordinate="x",
    conditions=pinn.dirichlet("x", 0.0), reference=lambda x: torch.sin(40 * math.pi * x),
)  # fmt: skip
DECAY = pinn.ode(lambda u: u.t + u**2, (0.0, 2.0), 1.0, reference=lambda t: 1 / (1 + t))


def residual_of(solution: pinn.Solution) -> float:
    t = np.linspace(*next(iter(solution.problem.domain.ranges.values())), 500)
    return float(np.sqrt(np.mean(solution.residual(t) ** 2)))


def test_wider_and_wider_layers_are_candidates_and_the_best_wins() -> None:
    solution = pinn.solve(WAVES, method="random_features", progress=False)
    tried = solution.history.candidates
    assert [one.hidden for one in tried] == [(128 * 2**power,) for power in range(len(tried))] and len(
        tried
    ) > 1
    assert {one.method for one in tried} == {"random_features"}
    best = min(tried, key=lambda one: one.residual)
    (stage,) = solution.parts[0].stages
    assert stage.shape.hidden == best.hidden and solution.verdict.worst_residual == best.residual
    assert best.error == max(solution.error_estimate.values())
    assert sorted(one.seconds for one in tried) == [one.seconds for one in tried]
    assert tried[-1].seconds <= solution.seconds


@pytest.mark.parametrize("last", ["adam", "soap", "levenberg_marquardt"])
def test_a_method_that_makes_it_worse_does_not_count(last: str) -> None:
    options = {"hidden": (12,), "tol": 1e-13, "progress": False, "backend": "eager"}
    first = pinn.solve(DECAY, method="random_features", **options)
    both = pinn.solve(DECAY, method=("random_features", last), steps=(None, 2), **options)
    assert [one.method for one in both.history.candidates] == ["random_features", last]
    assert both.verdict.worst_residual == min(one.residual for one in both.history.candidates)
    assert residual_of(both) <= residual_of(first) * (1 + 1e-6)


def test_the_default_is_no_worse_than_its_first_candidate() -> None:
    problem = pinn.pde(
        lambda u: u.t - 0.1 * u.xx + u**3,
        {"x": (0.0, 1.0), "t": (0.0, 0.5)},
        [pinn.initial(lambda x: torch.sin(math.pi * x)), pinn.dirichlet("x", 0.0)],
    )
    x, t = torch.rand(2, 500, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1.0], [0.5]])
    options = {"hidden": (20,), "points": 60, "tol": 1e-9, "progress": False, "backend": "eager"}
    first, default = (
        float(one.residual(x, t).square().mean().sqrt())
        for one in (
            pinn.solve(problem, method="random_features", **options),
            pinn.solve(problem, steps=2, **options),
        )
    )
    assert default <= first * (1 + 1e-6)


class Counted:
    """A function that is interrupted at one of its calls."""

    def __init__(self, function, at: int) -> None:
        self.function, self.left = function, at

    def __call__(self, *args, **options):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.function(*args, **options)


def test_an_interruption_keeps_the_best_so_far(monkeypatch) -> None:
    whole = pinn.solve(WAVES, method="random_features", hidden=(128,), estimate=False, progress=False)
    counted = Counted(attempts.solve_last_layer, 2)
    monkeypatch.setattr(attempts, "solve_last_layer", counted)
    solution = pinn.solve(WAVES, method="random_features", estimate=False, progress=False)
    assert solution.status.reason.startswith("interrupted; ") and len(solution.history.candidates) == 1
    assert solution(0.3) == whole(0.3)


def test_an_interruption_before_there_is_anything_is_one(monkeypatch) -> None:
    counted = Counted(attempts.solve_last_layer, 1)
    monkeypatch.setattr(attempts, "solve_last_layer", counted)
    with pytest.raises(KeyboardInterrupt):
        pinn.solve(WAVES, method="random_features", progress=False)


def test_an_interruption_of_a_later_method_keeps_the_first(monkeypatch) -> None:
    options = {"hidden": (12,), "tol": 1e-13, "progress": False, "backend": "eager"}
    first = pinn.solve(DECAY, method="random_features", **options)

    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setitem(methods.ON_ALL_PARAMETERS, "levenberg_marquardt", interrupted)
    solution = pinn.solve(DECAY, method=("random_features", "levenberg_marquardt"), **options)
    assert "interrupted" in solution.status.reason and solution(1.3) == first(1.3)


@pytest.mark.parametrize(
    ("problem", "options"),
    [
        (WAVES, {"method": "random_features"}),
        (WAVES, {"method": "levenberg_marquardt", "steps": 100_000, "hidden": (20,)}),
        (DECAY, {"method": "adam", "steps": 10_000_000, "tol": 1e-14, "hidden": (6,)}),
        (pinn.ode(lambda u: u.tt + 1e4 * torch.sin(u), (0.0, 30.0), 2.0, 0.0), {}),
    ],
    ids=["random features", "levenberg marquardt", "adam", "slabs"],
)
def test_a_time_limit_ends_a_solve_with_the_best_so_far(problem, options) -> None:
    begun = time.perf_counter()
    solution = pinn.solve(problem, time_limit=0.2, progress=False, backend="eager", **options)
    assert time.perf_counter() - begun < 30  # what was begun is ended first
    assert "the time limit was reached" in solution.status.reason
    assert not solution.status.converged and math.isfinite(float(solution(0.5)))


def test_a_time_limit_in_slabs_leaves_one_narrow_network_for_each_that_is_left() -> None:
    problem = pinn.ode(lambda u: u.tt + 1e4 * torch.sin(u), (0.0, 3.0), 2.0, 0.0)
    solution = pinn.solve(problem, method="random_features", slabs=6, time_limit=0.01, progress=False)
    assert solution.status.reason.startswith("the time limit was reached; ") and len(solution.parts) == 6
    assert {part.stages[0].shape.hidden for part in solution.parts} == {(128,)}
    assert math.isfinite(float(solution(2.9)))


def test_a_time_limit_that_is_not_reached_changes_nothing() -> None:
    one, other = (
        pinn.solve(DECAY, method="random_features", hidden=(24,), time_limit=limit, progress=False)
        for limit in (None, 1e6)
    )
    assert one(1.1) == other(1.1) and "time limit" not in other.status.reason
