"""Micro-batches: a long row of points worked off in equal parts, as large as a memory bound allows."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from funcsci import tree
from funcsci.optim.live_memory import peak_bytes
from funcsci.tree import PyTree

PROBED = 16
"""Points on which the memory that one of them needs is counted."""
CPU_WORK, DEVICE_WORK = 2**23, 2**30
"""Bytes of work that are enough: on a CPU about what its caches hold, beyond which more is slower."""


def count(points: PyTree) -> int:
    """How many points a tree holds along the first dimension of its tensors.

    Raises:
        TypeError: if a leaf is not a tensor.
        ValueError: if there are no points, or the tensors hold several numbers of them.
    """
    tree.check_tensors(points=points)
    lengths = {leaf.shape[0] if leaf.dim() else 0 for leaf in tree.leaves(points)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(
            "points must hold one number of points, above zero, along the first dimension of its tensors. "
            f"Got shapes {[tuple(leaf.shape) for leaf in tree.leaves(points)]}. Stack the points along it."
        )
    return int(lengths.pop())


def first(points: PyTree, number: int) -> PyTree:
    """The first few of the points."""
    return tree.map(lambda leaf: leaf[:number], points)


def batches(points: PyTree, size: int) -> Iterator[tuple[int, int, PyTree]]:
    """The points in parts of one size, so that one program serves them all.

    Args:
        points: a tree with the points along the first dimension of its tensors.
        size: points in a part, at most as many as there are.

    Yields:
        Where a part begins, how many of its points the part before had too, and the part. The last
        one reaches back to be whole, so only there is the second number above zero.
    """
    total = count(points)
    if size == total:
        yield 0, 0, points
        return
    for start in range(0, total, size):
        begin = min(start, total - size)
        part = slice(begin, begin + size)
        yield begin, start - begin, tree.map(lambda leaf, part=part: leaf[part], points)


class Cost(NamedTuple):
    """The live memory of work on points.

    Attributes:
        one: the bytes that work on one point needs.
        each: a bound, for each of them, on what work on many needs.
    """

    one: int
    each: int


def cost(function: Callable[[PyTree], Any], points: PyTree) -> Cost:
    r"""Count the live memory of work on one point, and on a few.

    After each operation the work on $b$ points holds $a + c b$ bytes with $a \ge 0$. So what it needs for
    each of them only falls with their number, and what was counted bounds every larger number.
    """
    few = min(PROBED, count(points))
    each = -(-peak_bytes(function, first(points, few)) // few)
    return Cost(peak_bytes(function, first(points, 1)), each)


def fitting(total: int, cost: Cost, memory: int | None, device_type: str) -> int:
    """The size of a micro-batch, such that all are nearly equal and one fits a bound.

    Args:
        total: how many points there are.
        cost: of the work.
        memory: the bytes there are for a batch, or None for enough.
        device_type: of the points.

    Returns:
        At least 1.
    """
    enough = CPU_WORK if device_type in ("cpu", "meta") else DEVICE_WORK
    work = enough if memory is None else min(enough, memory)
    size = work // max(1, cost.each)
    if size < PROBED:  # of which nothing was counted but the work on one
        size = work // max(1, cost.one)
    parts = -(-total // max(1, size))
    return -(-total // parts)
