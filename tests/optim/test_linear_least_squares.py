"""linear_least_squares against LAPACK's gelsd: the same residual, and the same unique solution."""

import re

import pytest
import torch
from torch.func import vmap

from funcsci import random
from funcsci.compile import jit
from funcsci.optim import linear_least_squares
from funcsci.optim.linear_least_squares import RIDGE

KEY = random.key(21)


def problem(rows: int, columns: int, rank: int | None = None, *, dtype=torch.float64, decades: float = 0.0):
    """A random matrix, of lower rank or with columns of very different sizes where asked for."""
    keys = random.split(KEY, 4)
    matrix = random.normal(keys[0], (rows, columns))
    if rank is not None:
        matrix = random.normal(keys[1], (rows, rank)) @ random.normal(keys[2], (rank, columns))
    matrix = matrix * 10 ** torch.linspace(-decades / 2, decades / 2, columns)
    return matrix.to(dtype), random.normal(keys[3], (rows,)).to(dtype)


def gelsd(matrix, target, eps=1e-15):
    """The solution for which D x is smallest among those with the least residual."""
    norms = torch.linalg.vector_norm(matrix, dim=0)
    norms = torch.where(norms > 0, norms, 1.0)
    solved = torch.linalg.lstsq(matrix / norms, target[:, None], rcond=100 * eps, driver="gelsd")
    return solved.solution[:, 0] / norms


def norm(vector) -> float:
    return float(torch.linalg.vector_norm(vector.double()))


SHAPES = {
    "square": (12, 12, None),
    "tall": (40, 7, None),
    "wide": (7, 40, None),
    "one column": (5, 1, None),
    "one row": (1, 5, None),
}
DEFICIENT = {"tall, rank 4": (40, 9, 4), "wide, rank 4": (9, 40, 4), "square, rank 1": (8, 8, 1)}


@pytest.mark.parametrize("decades", [0.0, 12.0])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_full_rank_equals_gelsd(shape, decades):
    matrix, target = problem(*shape, decades=decades)
    expected = gelsd(matrix, target)
    found = linear_least_squares(matrix, target)
    norms = torch.linalg.vector_norm(matrix, dim=0)
    torch.testing.assert_close(found * norms, expected * norms, rtol=1e-10, atol=1e-10)


dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)


@dtypes
@pytest.mark.parametrize("shape", [*SHAPES.values(), *DEFICIENT.values()], ids=[*SHAPES, *DEFICIENT])
def test_the_residual_is_the_least_and_the_solution_bounded(shape, dtype):
    """A ridge e bounds the scaled coefficients by |b| / (2 e), whatever the matrix."""
    matrix, target = problem(*shape, dtype=dtype)
    eps = torch.finfo(dtype).eps
    exact = gelsd(matrix.double(), target.double(), eps)
    found = linear_least_squares(matrix, target)
    assert found.dtype == dtype
    size = norm(target)
    assert (
        norm(matrix.double() @ found.double() - target)
        <= norm(matrix.double() @ exact - target) + 300 * eps * size
    )
    scaled = found * torch.linalg.vector_norm(matrix, dim=0)
    assert norm(scaled) <= size / (2 * 4.5 * eps * shape[1] ** 0.5)


@dtypes
@pytest.mark.parametrize("shape", DEFICIENT.values(), ids=DEFICIENT)
def test_of_the_many_exact_solutions_a_small_one_is_found(shape, dtype):
    matrix, _ = problem(*shape)
    target = matrix @ torch.ones(shape[1])
    exact = gelsd(matrix, target)
    found = linear_least_squares(matrix.to(dtype), target.to(dtype))
    eps = torch.finfo(dtype).eps
    assert norm(matrix @ found.double() - target) <= 300 * eps * norm(target)
    assert norm(found) <= 10 * norm(exact)


def test_columns_of_zeros_get_no_weight():
    matrix, target = problem(10, 3)
    padded = torch.cat([matrix, torch.zeros(10, 2)], 1)
    found = linear_least_squares(padded, target)
    torch.testing.assert_close(found[:3], linear_least_squares(matrix, target), rtol=1e-12, atol=0)
    assert torch.equal(found[3:], torch.zeros(2))
    assert torch.equal(linear_least_squares(torch.zeros(4, 2), torch.ones(4)), torch.zeros(2))


def test_nearly_dependent_columns_lose_no_accuracy_of_the_fit():
    """Monomials up to degree 40 on [0, 1]: a condition number beyond 1/eps, a smooth target."""
    x = torch.linspace(0, 1, 200)
    matrix = x[:, None] ** torch.arange(41)
    target = torch.sin(6 * x)
    found = linear_least_squares(matrix, target)
    assert float((matrix @ found - target).abs().max()) < 1e-13


def test_refinement_brings_the_gradient_closer_to_zero():
    """Beside QR alone, written out here, on random features and a target they cannot reach."""
    s = torch.linspace(-1, 1, 200)
    refined = plain = 0.0
    for keys in (random.split(random.key(seed)) for seed in range(16)):
        slopes = random.uniform(keys[0], (100,), minval=-12.0, maxval=12.0)
        matrix = torch.tanh(slopes * (s[:, None] - random.uniform(keys[1], (100,), minval=-1.0, maxval=1.0)))
        target = torch.sin(5 * s) + torch.sign(s)

        norms = torch.linalg.vector_norm(matrix, dim=0)
        ridge = RIDGE * torch.finfo(torch.float64).eps * 10
        extended = torch.cat([matrix / norms, ridge * torch.eye(100)])
        rhs = torch.cat([target, torch.zeros(100)])
        orthogonal, upper = torch.linalg.qr(extended)
        once = torch.linalg.solve_triangular(upper, (orthogonal.T @ rhs)[:, None], upper=True)[:, 0]

        refined += norm(extended.T @ (rhs - extended @ (norms * linear_least_squares(matrix, target))))
        plain += norm(extended.T @ (rhs - extended @ once))
    assert refined < plain / 2  # about a third, as round-off will have it on one processor or another


def test_works_under_vmap_and_jit():
    matrix, target = problem(9, 4)
    targets = torch.stack([target, 2 * target, target - 1])
    expected = torch.stack([linear_least_squares(matrix, one) for one in targets])
    together = vmap(linear_least_squares, in_dims=(None, 0))(matrix, targets)
    torch.testing.assert_close(together, expected, rtol=1e-12, atol=1e-13)
    compiled = jit(linear_least_squares, backend="trace")(matrix, target)
    torch.testing.assert_close(compiled, expected[0], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("shape", [(9, 4), (4, 9)])
def test_runs_on_meta(shape):
    matrix, target = problem(*shape)
    found = linear_least_squares(matrix.to("meta"), target.to("meta"))
    assert found.shape == shape[1:]
    assert found.device.type == "meta"


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("matrix", "target", "error", "message"),
    [
        (torch.ones(3, 2), torch.ones(2), ValueError, "Got matrix of shape (3, 2), target of shape (2,)."),
        (torch.ones(3), torch.ones(3), ValueError, "matrix and target must have as many rows."),
        (torch.ones(3, 2).double(), torch.ones(3).float(), TypeError, "Got torch.float64 and torch.float32."),
        (torch.ones(3, 2).int(), torch.ones(3).int(), TypeError, "must have one floating-point dtype."),
    ],
)
def test_wrong_arguments_say_what_must_hold(matrix, target, error, message):
    with pytest.raises(error, match=re.escape(message)):
        linear_least_squares(matrix, target)
