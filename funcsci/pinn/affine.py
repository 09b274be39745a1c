"""Whether equations are affine in the fields: proved from their graph."""

import operator
from collections.abc import Iterable
from enum import IntEnum
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx
from torch.func import vmap

from funcsci.autodiff.rules import LINEAR, SPLIT
from funcsci.compile.trace import trace
from funcsci.pinn.equations import Equations

aten = torch.ops.aten

POINTS = 2
"""Points for which equations are traced: under `vmap`, as a solve calls them."""

Formula: TypeAlias = tuple[tuple[str, ...], ...]
"""A sum of products of arguments, by name."""


class Dependence(IntEnum):
    """How a number depends on the fields and their derivatives at a point."""

    NONE = 0
    AFFINE = 1
    OTHER = 2


PRODUCTS = {
    "add": "self + other",
    "sub": "self + other",
    "rsub": "self + other",
    "mul": "self * other",
    "div": "self",
    "addcmul": "self + tensor1 * tensor2",
    "addcdiv": "self + tensor1",
    "lerp": "self * weight + end * weight",
    "where": "self + other",
    "masked_fill": "self + value",
    "dot": "self * tensor",
    "vdot": "self * other",
    "mv": "self * vec",
    "mm": "self * mat2",
    "bmm": "self * mat2",
    "matmul": "self * other",
    "addmv": "self + mat * vec",
    "addmm": "self + mat1 * mat2",
    "addbmm": "self + batch1 * batch2",
    "baddbmm": "self + batch1 * batch2",
    "addr": "self + vec1 * vec2",
    "linear": "input * weight + bias",
    "convolution": "input * weight + bias",
    "linalg_cross": "self * other",
    "complex": "real + imag",
    "view_as_real": "self",
    "_conj": "self",
    "cat": "tensors",
    "stack": "tensors",
    "copy": "src",
    "index_put": "self + values",
    "index_add": "self + source",
    "scatter": "self + src",
    "scatter_add": "self + src",
    "select_scatter": "self + src",
    "slice_scatter": "self + src",
    "diagonal_scatter": "self + src",
}
"""Operations as sums of products, up to constant factors and signs.

They are affine where each product has at most one factor that depends on the fields, and that one is affine.
An argument that is not named, such as the condition of `where`, must not depend on the fields.
"""
SHAPED = (
    *("zeros_like", "ones_like", "full_like", "empty_like"),
    *("new_zeros", "new_ones", "new_full", "new_empty"),
)
"""Operations that take nothing but the shape from their first argument."""


def _packets(names: Iterable[str]) -> dict[str, Any]:
    """The operations of these names that this version of torch has."""
    return {name: getattr(aten, name) for name in names if hasattr(aten, name)}


FORMULAS: dict[Any, Formula] = {
    packet: tuple(tuple(product.split(" * ")) for product in PRODUCTS[name].split(" + "))
    for name, packet in _packets(PRODUCTS).items()
}
"""`PRODUCTS` by operation."""
IN_FIRST = {*LINEAR, *SPLIT}
"""Operations that are linear in their first argument, for constant others."""
CONSTANT = set(_packets(SHAPED).values())
"""`SHAPED` by operation."""


def affine(equations: Equations) -> bool:
    r"""Whether equations are affine in the fields: $F(x, d) = A(x)\, d + b(x)$ for all values $d$.

    The graph of the equations is followed from the fields to the residuals. What is not affine by the form of
    its operations counts as nonlinear: $|u|$, a choice that depends on $u$, but also $(u + 1)^2 - u^2$. So do
    equations that cannot be traced.

    Args:
        equations: the equations $F$.

    Returns:
        True where the equations are proved to be affine.

    Example:
        >>> from funcsci.pinn import Domain
        >>> domain = Domain.of({"t": (0.0, 1.0)})
        >>> affine(Equations.of(lambda u, t: u.tt + t * u - 1, domain))
        True
        >>> affine(Equations.of(lambda u: u.t + abs(u), domain))
        False
    """
    points = equations.domain.unscaled(torch.full((POINTS, equations.domain.dimensions), 0.5).double())
    values = points.new_full((POINTS, len(equations.requests)), 0.5)

    def at_point(stacked: Tensor, x: Tensor) -> Tensor:
        return equations.residuals(dict(zip(equations.requests, stacked.unbind(), strict=True)), x)

    try:
        graph = trace(lambda *inputs: [vmap(at_point)(*inputs)], [values, points], ["fields", "points"]).graph
    except (TypeError, RuntimeError):
        return False
    return _of_graph(graph) is not Dependence.OTHER


def _of_graph(graph: fx.Graph) -> Dependence:
    """The worst dependence of a graph's results on its first input."""
    found: dict[fx.Node, Dependence] = {}
    for node in graph.nodes:
        if node.op == "output":
            return _worst(node.args, found)
        if node.op == "placeholder":
            found[node] = Dependence.NONE if found else Dependence.AFFINE
        else:
            found[node] = _of_node(node, found)
    raise AssertionError("a graph has an output")


def _of_node(node: fx.Node, found: dict[fx.Node, Dependence]) -> Dependence:
    """The dependence of an operation's result."""
    target: Any = node.target
    worst = _worst((node.args, node.kwargs), found)
    if worst is Dependence.NONE or target is operator.getitem:  # of one of several results
        return worst
    if not isinstance(target, torch._ops.OpOverload):
        return Dependence.OTHER
    packet, names = target.overloadpacket, [one.name for one in target._schema.arguments]
    given: dict[str, Any] = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
    if packet in CONSTANT or (packet is aten.mul and any(_is(0, one) for one in given.values())):
        return Dependence.NONE
    if packet is aten.pow and _is(0, given["exponent"]):
        return Dependence.NONE
    if packet is aten.pow and _is(1, given["exponent"]):
        return worst
    formula = ((names[0],),) if packet in IN_FIRST else FORMULAS.get(packet, ())
    if target is aten.view.dtype or given.get("rounding_mode") is not None or not _is_floating(node):
        return Dependence.OTHER
    return _of_formula(formula, {name: _worst(one, found) for name, one in given.items()})


def _of_formula(formula: Formula, given: dict[str, Dependence]) -> Dependence:
    """The dependence of a sum of products, which has no constant terms."""
    others = set(given).difference(*formula)
    degrees = [sum(given.get(name, Dependence.NONE) for name in product) for product in formula]
    straight = max(degrees, default=0) <= 1 and not any(given[name] for name in others)
    return Dependence.AFFINE if straight else Dependence.OTHER


def _worst(items: Any, found: dict[fx.Node, Dependence]) -> Dependence:
    """The worst dependence among the nodes in some arguments."""
    nodes: list[fx.Node] = []
    fx.node.map_arg(items, nodes.append)
    return max((found[node] for node in nodes), default=Dependence.NONE)


def _is(number: int, item: Any) -> bool:
    """Whether an argument is this number; under `vmap` it may be a tensor filled with it."""
    if isinstance(item, fx.Node) and item.target is aten.full.default:
        item = item.args[1]
    return isinstance(item, int | float) and item == number


def _is_floating(node: fx.Node) -> bool:
    """Whether a result is not rounded to an integer."""
    dtype = getattr(node.meta.get("tensor_meta"), "dtype", torch.float64)  # none for several results
    return bool(dtype.is_floating_point or dtype.is_complex)
