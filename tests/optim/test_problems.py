"""least_squares on the published problems of Moré, Garbow and Hillstrom, which stand in conftest.py."""

import numpy as np
import pytest
import scipy.optimize
import torch

from funcsci.optim import least_squares


@pytest.mark.parametrize("solver", ["cholesky", "qr", "svd"])
def test_finds_a_published_minimum_as_scipy_does(published, solver):
    residual, start, minima = published
    first = torch.tensor(start, dtype=torch.float64)
    # Quicker than a trace for so few calls of such small functions.
    found = least_squares(residual, first, residual_tol=1e-15, solver=solver, backend="eager")
    assert found.status.converged
    squares = 2 * float(found.value)
    assert any(squares == pytest.approx(minimum, rel=1e-5, abs=1e-25) for minimum in minima)

    def numbers(x):
        return residual(torch.tensor(x)).numpy()

    def jacobian(x):
        return torch.func.jacrev(residual)(torch.tensor(x)).numpy()

    tight = dict.fromkeys(("xtol", "ftol", "gtol"), 1e-15)
    theirs = 2 * scipy.optimize.least_squares(numbers, np.array(start), jacobian, method="lm", **tight).cost
    if min(minima, key=lambda one: abs(one - theirs)) == min(minima, key=lambda one: abs(one - squares)):
        assert squares <= theirs * (1 + 1e-9) + 1e-25
    else:  # the two ended in different minima; ours must not be the worse one
        assert squares < theirs


@pytest.mark.parametrize(
    ("method", "solver"),
    [
        pytest.param("levenberg_marquardt", "lsmr", marks=pytest.mark.slow),
        ("gauss_newton", "cholesky"),
        pytest.param("gauss_newton", "svd", marks=pytest.mark.slow),
    ],
)
def test_what_falls_short_of_a_minimum_does_not_say_that_it_converged(published, method, solver):
    """Neither is for every start; what counts is that the status tells."""
    residual, start, minima = published
    first = torch.tensor(start, dtype=torch.float64)
    found = least_squares(
        residual,
        first,
        method=method,
        solver=solver,
        residual_tol=1e-15,
        steps=60,
        backend="eager",
        warn=False,
    )
    squares = 2 * float(found.value)
    assert squares <= float((residual(first) ** 2).sum())
    if found.status.converged:
        assert any(squares == pytest.approx(minimum, rel=1e-5, abs=1e-25) for minimum in minima)
