"""Residuals as functions of flat parameters, run in micro-batches as programs."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap

from funcsci.compile import jit
from funcsci.optim import micro_batches
from funcsci.optim.jacobian import Rows, assembled, blocks, rows_at_points, rows_by_number
from funcsci.tree import PyTree


class Parts(NamedTuple):
    """How residuals come in parts.

    Attributes:
        points: the points, one for each part; or the numbers of the residuals.
        rows: the pure function of `(flat, points, *rest)` for the rows that belong to some of them.
        by_point: whether the function is one of a point.
        total: how many parts there are.
        residuals: how many of them there are.
        cost: of the derivatives of a part.
    """

    points: PyTree
    rows: Callable[..., Rows]
    by_point: bool
    total: int
    residuals: int
    cost: micro_batches.Cost


class Residuals(NamedTuple):
    r"""All residuals $r$ and their derivatives $J$; each function takes flat parameters first, `*rest` last.

    Attributes:
        evaluate: $r$.
        rows: $r$ and $J$ as one matrix.
        blocks: both, one micro-batch after the other.
        apply: $J v$, where $v$ is the second argument.
        transpose: $J^\top w$, where $w$ is the second argument.
    """

    evaluate: Callable[..., Tensor]
    rows: Callable[..., Rows]
    blocks: Callable[..., Iterator[Rows]]
    apply: Callable[..., Tensor]
    transpose: Callable[..., Tensor]


def in_parts(function: Callable[..., Tensor], flat: Tensor, points: PyTree | None, *rest: PyTree) -> Parts:
    """Find out how many residuals there are, and what memory their derivatives need.

    Args:
        function: `function(flat, point, *rest)`, the residuals at one point; without points
            `function(flat, *rest)`, all of them.
        flat: parameters at which it can be called.
        points: the points, or None.
        *rest: further arguments of the function.

    Raises:
        TypeError: if the residuals have another dtype than the parameters.
        ValueError: if there are none.
    """
    by_point = points is not None
    with torch.no_grad():
        if points is None:
            r = function(flat, *rest).reshape(-1)
            count = len(r)
            points, rows = torch.arange(count, device=r.device), partial(rows_by_number, function)
        else:
            r = vmap(lambda point: function(flat, point, *rest).reshape(-1))(micro_batches.first(points, 1))
            count = r.numel() * micro_batches.count(points)
            rows = partial(rows_at_points, function)
    if r.dtype != flat.dtype:
        raise TypeError(
            f"residual must return the dtype of params, {flat.dtype}. Got {r.dtype}. "
            "Cast points and constants to it."
        )
    if count == 0:
        raise ValueError("residual must return at least one number. Got an empty tensor. Add an equation.")
    cost = micro_batches.cost(lambda some: rows(flat, some, *rest), points)
    return Parts(points, rows, by_point, micro_batches.count(points), count, cost)


def parted(function: Callable[..., Tensor], parts: Parts, size: int, **how: Any) -> Residuals:
    """The functions of a residual, each a program that is made when it is first called.

    Args:
        function: as in `in_parts`.
        parts: what that returned.
        size: of a micro-batch.
        **how: as in `jit`.
    """
    return (_by_point if parts.by_point else _whole)(function, parts, size, **how)


def together(blocks: Sequence[Residuals], sizes: Sequence[int]) -> Residuals:
    """Several kinds of residuals as one: the rows of the first kind, then those of the next.

    Args:
        blocks: the kinds.
        sizes: how many residuals each has.
    """
    if len(blocks) == 1:
        return blocks[0]

    def rows(flat: Tensor, *rest: PyTree) -> Rows:
        r, jacobian = zip(*(block.rows(flat, *rest) for block in blocks), strict=True)
        return torch.cat(r), torch.cat(jacobian)

    def all_blocks(flat: Tensor, *rest: PyTree) -> Iterator[Rows]:
        for block in blocks:
            yield from block.blocks(flat, *rest)

    def transpose(flat: Tensor, w: Tensor, *rest: PyTree) -> Tensor:
        total = torch.zeros_like(flat)
        for block, some in zip(blocks, torch.split(w, list(sizes)), strict=True):
            total = total + block.transpose(flat, some, *rest)
        return total

    return Residuals(
        lambda flat, *rest: torch.cat([block.evaluate(flat, *rest) for block in blocks]),
        rows,
        all_blocks,
        lambda flat, v, *rest: torch.cat([block.apply(flat, v, *rest) for block in blocks]),
        transpose,
    )


def _whole(function: Callable[..., Tensor], parts: Parts, size: int, **how: Any) -> Residuals:
    """The functions of a residual that is computed all at once; only its rows come in parts."""

    def at_once(flat: Tensor, *rest: PyTree) -> Tensor:
        return function(flat, *rest).reshape(-1)

    def along(flat: Tensor, v: Tensor, *rest: PyTree) -> Tensor:
        ahead: Tensor = jvp(lambda flat: at_once(flat, *rest), (flat,), (v,))[1]
        return ahead

    def against(flat: Tensor, w: Tensor, *rest: PyTree) -> Tensor:
        back: Tensor = vjp(lambda flat: at_once(flat, *rest), flat)[1](w)[0]
        return back

    return Residuals(jit(at_once, **how), *_rows(parts, size, **how), jit(along, **how), jit(against, **how))


def _by_point(function: Callable[..., Tensor], parts: Parts, size: int, **how: Any) -> Residuals:
    """The functions of a residual at a point; all come in micro-batches."""

    def at_points(flat: Tensor, points: PyTree, *rest: PyTree) -> Tensor:
        return vmap(lambda point: function(flat, point, *rest).reshape(-1))(points).reshape(-1)

    def along(flat: Tensor, v: Tensor, points: PyTree, *rest: PyTree) -> Tensor:
        ahead: Tensor = jvp(lambda flat: at_points(flat, points, *rest), (flat,), (v,))[1]
        return ahead

    def against(flat: Tensor, w: Tensor, points: PyTree, *rest: PyTree) -> Tensor:
        back: Tensor = vjp(lambda flat: at_points(flat, points, *rest), flat)[1](w)[0]
        return back

    values, forward, backward = jit(at_points, **how), jit(along, **how), jit(against, **how)
    number = parts.residuals // parts.total

    def joined(at: Callable[[PyTree], Tensor]) -> Tensor:
        found = [
            at(batch)[repeated * number :] for _, repeated, batch in micro_batches.batches(parts.points, size)
        ]
        return found[0] if len(found) == 1 else torch.cat(found)

    def evaluate(flat: Tensor, *rest: PyTree) -> Tensor:
        return joined(lambda batch: values(flat, batch, *rest))

    def apply(flat: Tensor, v: Tensor, *rest: PyTree) -> Tensor:
        return joined(lambda batch: forward(flat, v, batch, *rest))

    def transpose(flat: Tensor, w: Tensor, *rest: PyTree) -> Tensor:
        total = torch.zeros_like(flat)
        for begin, repeated, batch in micro_batches.batches(parts.points, size):
            start, new = begin * number, (begin + repeated) * number
            some = torch.cat([w.new_zeros(new - start), w[new : start + size * number]])
            total = total + backward(flat, some, batch, *rest)
        return total

    return Residuals(evaluate, *_rows(parts, size, **how), apply, transpose)


def _rows(parts: Parts, size: int, **how: Any) -> tuple[Callable[..., Rows], Callable[..., Iterator[Rows]]]:
    program = jit(parts.rows, **how)

    def run(flat: Tensor, *rest: PyTree) -> Callable[[PyTree], Rows]:
        return lambda batch: program(flat, batch, *rest)

    return (
        lambda flat, *rest: assembled(run(flat, *rest), parts.points, size),
        lambda flat, *rest: blocks(run(flat, *rest), parts.points, size),
    )
