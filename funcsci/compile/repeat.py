"""A program called again and again, each time with what it gave before."""

from collections.abc import Callable
from typing import Any, TypeAlias

from torch import Tensor

from funcsci import checks, tree
from funcsci.compile.jit import Jitted
from funcsci.compile.kind import facts_of
from funcsci.tree import PyTree

Step: TypeAlias = Jitted[..., tuple[PyTree, PyTree]]
"""`step(carry, *operands) -> (carry, output)`."""


def repeat(
    step: Step, n: int, carry: PyTree, *operands: PyTree, after: Callable[[], object] | None = None
) -> tuple[PyTree, list[PyTree]]:
    r"""Call a jitted function `n` times, as `jax.lax.scan` does, $(c_{i+1}, y_i) = f(c_i, \dots)$.

    Arguments are compared with the program's kind until the carry comes out as it went in, from where on the
    program is called with nothing in between: a tenth of a millisecond less for a tree of fifty leaves. Where
    there is no program, as inside a transform, it is a loop of calls.

    Args:
        step: takes the carry and the operands, and returns the next carry and an output.
        n: how often; 0 does nothing.
        carry: what is handed on.
        *operands: what stays the same.
        after: called after each step, such as a progress bar's `update`.

    Returns:
        The carry after the last step, and the outputs in their order.

    Raises:
        TypeError: if `step` is not jitted, or `n` is no integer.
        ValueError: if `n` is negative, or the carry comes out in another structure.

    Example:
        >>> import torch
        >>> from funcsci.compile import jit
        >>> double = jit(lambda x, factor: (factor * x, x.sum()), backend="trace")
        >>> repeat(double, 4, torch.ones(2), torch.tensor(2.0))
        (tensor([16., 16.]), [tensor(2.), tensor(4.), tensor(8.), tensor(16.)])

    Differs from: `jax.lax.scan` in that the loop is Python's: outputs are a list, and nothing is compiled
        but one step.
    """
    if not isinstance(step, Jitted):
        raise TypeError(checks.message("be jitted", "step", step, "Try step=compile.jit(step)."))
    checks.integer(least=0, n=n)
    outputs: list[PyTree] = []
    while len(outputs) < n:
        before, (carry, output) = carry, step(carry, *operands)
        outputs.append(output)
        if after is not None:
            after()
        steady = _alike(before, carry) and _of_tensors(carry, output)
        program = step.program(carry, *operands) if steady else None
        if program is not None:
            carry, more = _run(program, n - len(outputs), carry, output, operands, after)
            outputs += more
    return carry, outputs


def _run(
    program: Callable[..., list[Tensor]],
    n: int,
    carry: PyTree,
    output: PyTree,
    operands: tuple[PyTree, ...],
    after: Callable[[], object] | None,
) -> tuple[PyTree, list[PyTree]]:
    """The program itself, on flat tensors."""
    flat, structure = tree.flatten((carry, output))
    places, _ = tree.flatten_in_order(tree.unflatten(structure, list(range(len(flat))))[0])
    constants = [leaf for leaf in tree.flatten_in_order(operands)[0] if isinstance(leaf, Tensor)]
    outputs = []
    for _ in range(n):
        flat = program(*(flat[place] for place in places), *constants)
        carry, output = tree.unflatten(structure, flat)
        outputs.append(output)
        if after is not None:
            after()
    return carry, outputs


def _alike(before: PyTree, after: PyTree) -> bool:
    """Whether two carries are of one kind; another structure is refused."""
    old, new = tree.flatten_in_order(before), tree.flatten_in_order(after)
    if old[1] != new[1]:
        raise ValueError(
            f"step must return a carry of the structure it took. Got {new[1]} for {old[1]}. "
            "Return (carry, output)."
        )
    return [_kind(leaf) for leaf in old[0]] == [_kind(leaf) for leaf in new[0]]


def _of_tensors(*trees: PyTree) -> bool:
    """Whether all leaves are tensors: a program takes and gives no others."""
    return all(isinstance(leaf, Tensor) for leaf in tree.leaves(trees))


def _kind(leaf: Any) -> Any:
    return (facts_of(leaf), leaf.stride()) if isinstance(leaf, Tensor) else leaf
