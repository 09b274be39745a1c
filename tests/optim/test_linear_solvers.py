"""Dense solvers of the damped equations against NumPy's least squares of the stacked matrix."""

import numpy as np
import pytest
import torch

from funcsci import random
from funcsci.optim.linear_solvers import DENSE

KEY = random.key(32)
SHAPES = {"tall": (12, 5), "wide": (5, 12), "square": (6, 6), "one row": (1, 4), "one column": (4, 1)}


def stacked_solution(jacobian, r, scale, damping):
    """The scaled step that minimizes |J v + r|^2 + damping |D v|^2, times D."""
    stacked = np.vstack([jacobian.numpy() / scale.numpy(), damping**0.5 * np.eye(len(scale))])
    return np.linalg.lstsq(stacked, np.concatenate([-r.numpy(), np.zeros(len(scale))]), rcond=None)[0]


def system(shape, rank=None):
    keys = random.split(KEY, 3)
    jacobian = random.normal(keys[0], shape)
    if rank is not None:
        left, values, right = torch.linalg.svd(jacobian, full_matrices=False)
        jacobian = (left[:, :rank] * values[:rank]) @ right[:rank]
    return jacobian, random.normal(keys[1], shape[:1]), 0.5 + random.uniform(keys[2], shape[1:])


@pytest.mark.parametrize("solver", DENSE)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("damping", [1e-6, 1e-2, 10.0])
def test_the_damped_system_is_solved(solver, shape, damping):
    jacobian, r, scale = system(shape)
    factor = DENSE[solver](jacobian, scale)(damping)
    assert not factor.failed
    expected = stacked_solution(jacobian, r, scale, damping)
    np.testing.assert_allclose(factor.solve(r).numpy(), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("solver", DENSE)
@pytest.mark.parametrize("shape", [(12, 6), (6, 12)], ids=["tall", "wide"])
def test_rank_deficient_systems_are_solved(solver, shape):
    jacobian, r, scale = system(shape, rank=3)
    step = DENSE[solver](jacobian, scale)(1e-6).solve(r)
    np.testing.assert_allclose(step.numpy(), stacked_solution(jacobian, r, scale, 1e-6), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("solver", ["qr", "svd"])
def test_conditions_that_normal_equations_cannot_bear(solver):
    """The smallest singular value is 1e-9, and its square below round-off."""
    left, _ = torch.linalg.qr(random.normal(KEY, (10, 3)))
    right, _ = torch.linalg.qr(random.normal(random.fold_in(KEY, 1), (3, 3)))
    jacobian = (left * torch.tensor([1.0, 1e-3, 1e-9])) @ right.mT
    wanted = torch.tensor([1.0, -2.0, 3.0])
    step = DENSE[solver](jacobian, torch.ones(3))(1e-30).solve(-jacobian @ wanted)
    torch.testing.assert_close(step, wanted, rtol=1e-5, atol=0)


def test_a_cholesky_factor_that_does_not_exist_is_told():
    factor = DENSE["cholesky"](torch.ones(3, 2), torch.ones(2))(-10.0)
    assert factor.failed


@pytest.mark.parametrize("solver", DENSE)
@pytest.mark.parametrize("shape", [(5, 3), (3, 5)], ids=["tall", "wide"])
def test_pure_under_vmap_and_on_meta(solver, shape):
    jacobians = random.normal(KEY, (4, *shape))
    rs = random.normal(random.fold_in(KEY, 1), (4, shape[0]))
    scale = torch.ones(shape[1])

    def solve(jacobian, r):
        return DENSE[solver](jacobian, scale)(0.1).solve(r)

    together = torch.func.vmap(solve)(jacobians, rs)
    apart = torch.stack([solve(jacobian, r) for jacobian, r in zip(jacobians, rs, strict=True)])
    torch.testing.assert_close(together, apart, rtol=1e-10, atol=1e-12)
    meta = torch.empty(shape, device="meta")
    factor = DENSE[solver](meta, torch.empty(shape[1], device="meta"))(0.1)
    step = factor.solve(torch.empty(shape[0], device="meta"))
    assert (step.device.type, step.shape, factor.failed.shape) == ("meta", shape[1:], ())
