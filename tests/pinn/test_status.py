"""A solve that did not converge says so, and why: in its status, by one warning, never by a wrong answer."""

import math
import re

import pytest
import torch

from funcsci import pinn
from funcsci.pinn import Solution


def ode(equation, u0=1.0, **options) -> pinn.Problem:
    return pinn.ode(equation, (0.0, 1.0), u0, **options)


def not_converged(story: str, solve) -> Solution:
    with pytest.warns(RuntimeWarning, match=rf"^solve did not converge: .*{story}"):
        solution = solve()
    assert not solution.status.converged and re.search(story, solution.status.reason)
    assert str(solution.status) == f"not converged: {solution.status.reason}"
    assert not solution.verdict.meets(solution.settings.tol)
    return solution


@pytest.mark.parametrize(
    ("method", "story"),
    [
        ("random_features", r"on 4 random features: estimated error .* \(tol 1\.0e-08\)"),
        ("levenberg_marquardt", r"Levenberg-Marquardt on .* parameters: estimated error .*"),
        ("lbfgs", r"L-BFGS on .* parameters: estimated error .*"),
        ("adam", r"Adam on .* parameters: estimated error .*"),
    ],
)
def test_a_solve_that_did_not_converge_says_so(method: str, story: str) -> None:
    problem = ode(lambda u: u.tt + 40 * torch.sin(u), 2.0, du0=0.0)
    not_converged(
        story,
        lambda: pinn.solve(problem, method=method, hidden=(4,), steps=2, progress=False, backend="eager"),
    )


NONE = {
    "blown up": ode(lambda u: u.t - 2 * u**2),  # 1 / (1 - 2 t)
    "both ends": ode(
        lambda u: u.t + u, conditions=[pinn.dirichlet("t", 2.0, side="upper")], well_posed=False
    ),
    "both ends in the loss": ode(
        lambda u: u.t + u,
        None,
        conditions=[pinn.dirichlet("t", v, side=s, hard=False) for v, s in ((1.0, "lower"), (2.0, "upper"))],
        well_posed=False,
    ),
}


@pytest.mark.parametrize("name", NONE)
def test_a_solution_that_does_not_exist_is_not_found(name: str) -> None:
    options = {"method": "random_features", "hidden": (64,), "progress": False}
    not_converged("residual", lambda: pinn.solve(NONE[name], **options))


@pytest.mark.parametrize("method", [None, "random_features", "levenberg_marquardt"])
def test_an_equation_that_is_not_finite_is_not_solved(method: str | None) -> None:
    problem = ode(lambda u: u.t + torch.log(u - 5), 1.0)
    solution = not_converged(
        "not finite", lambda: pinn.solve(problem, method=method, hidden=(8,), backend="eager", progress=False)
    )
    assert max(solution.residuals.values()) == math.inf and not solution.estimate_trusted
