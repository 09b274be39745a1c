"""The Jacobian of residuals, sample by sample, within a memory bound."""

import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vjp, vmap

from funcsci import checks, tree
from funcsci.compile import jit
from funcsci.optim import micro_batches
from funcsci.tree import Params, PyTree

Rows: TypeAlias = tuple[Tensor, Tensor]
"""Some residuals, shape `(rows,)`, and their derivatives by flat parameters, `(rows, parameters)`."""


def per_sample_jacobian(
    residual: Callable[..., Tensor], *, memory: int | None = None, backend: str | None = "trace"
) -> Callable[[Params, PyTree], Float[Tensor, "residuals parameters"]]:
    r"""The Jacobian of every sample's residual, $J_{nk} = \partial r(\theta, z_n) / \partial \theta_k$.

    It is `vmap(jacrev)` in micro-batches of one size, by one program, each written into its place in the
    result. So the memory beside the result does not grow with the number of points; and work that
    stays within a CPU's caches is faster than all of it at once.

    Args:
        residual: `residual(params, point)`, the residual at one point, scalar or vector.
        memory: the most bytes of tensors that may be alive at once, the result included. None allows
            8 MiB beside the result on a CPU and 1 GiB elsewhere; more is not used. What a point
            needs is counted once, by running the residual's derivative eagerly on 16 of them.
        backend: as in `jit`.

    Returns:
        `jacobian(params, points)`, where `params` is a tree of floating-point tensors of one dtype and
        `points` one with the points along the first dimension of its tensors. The result has the shape
        `(points * residuals of a point, tree.size(params))`, with the columns in the order of `tree.ravel`.

    Raises:
        TypeError: if `memory` is not an integer; (when called) if a leaf is not a tensor.
        ValueError: if `memory` is not positive; (when called) if it does not hold the result and the work
            on one point, or there are several numbers of points.

    Example:
        >>> import torch
        >>> line = lambda params, x: params["slope"] * x + params["offset"]
        >>> jacobian = per_sample_jacobian(line)
        >>> jacobian({"slope": torch.tensor(1.0), "offset": torch.tensor(0.0)}, torch.tensor([2.0, 3.0]))
        tensor([[1., 2.],
                [1., 3.]])

    Differs from `autodiff.per_sample_gradient`, which returns a tree and computes all samples at once.
    """
    if memory is not None:
        checks.integer(memory=memory, least=1)

    def rows(params: Params, points: PyTree) -> Rows:
        flat, unravel = tree.ravel(params)
        return rows_at_points(lambda flat, point: residual(unravel(flat), point), flat, points)

    program = jit(rows, backend=backend)
    sizes: dict[Hashable, int] = {}

    def jacobian(params: Params, points: PyTree) -> Tensor:
        total = micro_batches.count(points)
        tree.check_tensors(params=params)
        kind = tuple((leaf.shape, leaf.dtype, leaf.device) for leaf in tree.leaves((params, points)))
        if kind not in sizes:
            one = rows(params, micro_batches.first(points, 1))[1]
            cost = micro_batches.cost(functools.partial(rows, params), points)
            result = total * bytes_of(len(one), 1 + one.shape[1], dtype=one.dtype)
            left = _left(memory, result, cost.one)
            sizes[kind] = micro_batches.fitting(total, cost, left, one.device.type)
        return assembled(functools.partial(program, params), points, sizes[kind])[1]

    return jacobian


def _left(memory: int | None, result: int, one: int) -> int | None:
    """What a bound leaves for the work beside the result."""
    if memory is None:
        return None
    if memory < result + one:
        must = f"hold the {result} bytes of residuals and Jacobian and the {one} that work on one point needs"
        remedy = f"Try memory={result + micro_batches.PROBED * one}."
        raise ValueError(checks.message(must, "memory", memory, remedy))
    return memory - result


def bytes_of(*shape: int, dtype: torch.dtype) -> int:
    """The bytes of a dense tensor."""
    return torch.Size(shape).numel() * torch.finfo(dtype).bits // 8


def rows_at_points(at_point: Callable[..., Tensor], flat: Tensor, points: PyTree, *rest: PyTree) -> Rows:
    """The rows of some points, for `at_point(flat, point, *rest)`; pure, to be traced."""

    def twice(flat: Tensor, point: PyTree) -> Rows:
        r = at_point(flat, point, *rest).reshape(-1)
        return r, r

    transformed = jacrev(twice, has_aux=True)
    jacobian, r = vmap(lambda point: transformed(flat, point))(points)
    return r.reshape(-1), jacobian.reshape(-1, flat.numel())


def rows_by_number(function: Callable[..., Tensor], flat: Tensor, numbers: Tensor, *rest: PyTree) -> Rows:
    """The rows of these numbers, for `function(flat, *rest)` that returns all residuals at once; pure."""
    made: Any = vjp(lambda flat: function(flat, *rest).reshape(-1), flat)
    r, pull = made
    places = torch.arange(len(r), device=numbers.device)

    def row(number: Tensor) -> Tensor:
        gradient: Tensor = pull((places == number).to(r.dtype))[0]
        return gradient

    return r.index_select(0, numbers), vmap(row)(numbers)


def blocks(program: Callable[[PyTree], Rows], points: PyTree, size: int) -> Iterator[Rows]:
    """The rows of all points, one micro-batch after the other.

    Whoever takes them should let go of each (`del`) before asking for the next.
    """
    for _, repeated, batch in micro_batches.batches(points, size):
        yield _after(repeated, size, *program(batch))


def _after(repeated: int, size: int, r: Tensor, jacobian: Tensor) -> Rows:
    """The rows without those of a batch's first points."""
    start = repeated * (len(r) // size)
    return r[start:], jacobian[start:]


def assembled(program: Callable[[PyTree], Rows], points: PyTree, size: int) -> Rows:
    """The rows of all points in one matrix, which is allocated once and filled."""
    total = micro_batches.count(points)
    if size == total:
        return program(points)
    parts = blocks(program, points, size)
    some, rows = next(parts)
    number = len(some) // size * total
    r, jacobian = some.new_empty(number), rows.new_empty((number, rows.shape[1]))
    _write((r, jacobian), 0, (some, rows))
    start = len(some)
    del some, rows
    for some, rows in parts:
        _write((r, jacobian), start, (some, rows))
        start += len(some)
        del some, rows
    return r, jacobian


def _write(whole: Rows, start: int, part: Rows) -> None:
    """Put rows into their place; in memory that no traced function sees."""
    for into, what in zip(whole, part, strict=True):
        into[start : start + len(what)] = what
