"""CG and LSMR against NumPy's least squares and SciPy's LSMR."""

import numpy as np
import pytest
import scipy.sparse.linalg
import torch

from funcsci import random
from funcsci.optim.krylov import cg, lsmr

KEY = random.key(33)
SOLVERS = {"cg": cg, "lsmr": lsmr}


def solved(solver, matrix, b, **options):
    return SOLVERS[solver](lambda x: matrix @ x, lambda y: matrix.mT @ y, b, **options)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (9, 9)], ids=["tall", "wide", "square"])
@pytest.mark.parametrize("damping", [0.0, 1e-3, 5.0])
def test_the_damped_system_is_solved(solver, shape, damping):
    matrix = random.normal(KEY, shape)
    b = random.normal(random.fold_in(KEY, 1), shape[:1])
    stacked = np.vstack([matrix.numpy(), damping**0.5 * np.eye(shape[1])])
    expected = np.linalg.lstsq(stacked, np.concatenate([b.numpy(), np.zeros(shape[1])]), rcond=None)[0]
    found = solved(solver, matrix, b, damping=damping, tol=1e-13)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_of_many_solutions_the_shortest_is_found(solver):
    matrix = random.normal(KEY, (10, 3)) @ random.normal(random.fold_in(KEY, 1), (3, 7))
    b = random.normal(random.fold_in(KEY, 2), (10,))
    expected = np.linalg.lstsq(matrix.numpy(), b.numpy(), rcond=None)[0]
    np.testing.assert_allclose(solved(solver, matrix, b, tol=1e-12).numpy(), expected, rtol=1e-8)


@pytest.mark.parametrize("rounds", [1, 2, 5])
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_lsmr_takes_the_published_iterates(rounds, damping):
    matrix = random.normal(KEY, (20, 12))
    b = random.normal(random.fold_in(KEY, 1), (20,))
    theirs = scipy.sparse.linalg.lsmr(
        matrix.numpy(), b.numpy(), damp=damping**0.5, atol=0, btol=0, conlim=0, maxiter=rounds
    )[0]
    found = solved("lsmr", matrix, b, damping=damping, tol=0.0, most=rounds)
    np.testing.assert_allclose(found.numpy(), theirs, rtol=1e-11)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("tol", [1e-2, 1e-6])
def test_the_gradient_falls_to_the_share_asked_for(solver, tol):
    matrix = random.normal(KEY, (400, 100))
    b = random.normal(random.fold_in(KEY, 1), (400,))
    x = solved(solver, matrix, b, damping=1e-3, tol=tol)
    gradient = matrix.mT @ (matrix @ x - b) + 1e-3 * x
    assert 1e-3 * tol < float(gradient.norm() / (matrix.mT @ b).norm()) <= tol * (1 + 1e-6)


def test_the_diagonal_makes_badly_scaled_columns_harmless():
    """With orthogonal columns one iteration is enough, whatever their lengths."""
    columns, _ = torch.linalg.qr(random.normal(KEY, (20, 6)))
    matrix = columns * 10.0 ** torch.arange(6)
    b = random.normal(random.fold_in(KEY, 1), (20,))
    found = solved("cg", matrix, b, diagonal=(matrix**2).sum(0), tol=1e-12, most=1)
    np.testing.assert_allclose(
        found.numpy(), np.linalg.lstsq(matrix.numpy(), b.numpy(), rcond=None)[0], rtol=1e-9
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_right_side_out_of_reach_gives_zero(solver):
    matrix = torch.tensor([[1.0], [0.0]])
    assert torch.equal(solved(solver, matrix, torch.tensor([0.0, 3.0])), torch.zeros(1))
