"""Rules of Taylor mode: how jets go through each aten operation."""

from collections.abc import Callable
from typing import Any

import torch

from funcsci.autodiff.compositions import COMPOSITIONS
from funcsci.autodiff.elementwise import ELEMENTWISE, aten, unary
from funcsci.autodiff.jet import Jet, added, bilinear, combined, linear, plain

Rule = Callable[..., Any]
"""Takes the operation and its arguments, some of them jets; returns a jet, or a tensor that is constant."""


def apply(target: Any, args: Any, kwargs: Any) -> Any:
    """An operation on arguments of which some are jets.

    Raises:
        NotImplementedError: if there is no rule for it.
    """
    rule = RULES.get(target.overloadpacket)
    if rule is None:
        name = target._schema.name.removeprefix("aten::")
        raise NotImplementedError(
            f"Taylor mode must have a rule for every operation on what is differentiated. Got {name}, "
            "for which there is none. Use derivatives='nested', or write the function with other operations."
        )
    return rule(target, *args, **kwargs)


def _linear(op: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
    """Linear in the first argument, with the others constant."""
    return linear(x, lambda one: op(one, *args, **kwargs), cheap=True)


def _bilinear(op: Any, a: Any, b: Any) -> Any:
    return bilinear(a, b, op)


def _mm(op: Any, a: Any, b: Any) -> Any:
    """A product that is no more than one of entries is taken as such: a compiler fuses that."""
    if plain(a).shape[1] == 1:
        return bilinear(a, b, torch.mul, cheap=True)
    if plain(b).shape[1] == 1 and not isinstance(b, Jet):
        return bilinear(a, b, lambda x, y: (x * y.t()).sum(1, keepdim=True), cheap=True)
    return bilinear(a, b, torch.mm)


def _mul(op: Any, a: Any, b: Any) -> Any:
    return bilinear(a, b, torch.mul, cheap=True)


def _add(op: Any, a: Any, b: Any, alpha: float = 1) -> Any:
    return added(a, b, alpha)


def _sub(op: Any, a: Any, b: Any, alpha: float = 1) -> Any:
    return added(a, b, -alpha)


def _rsub(op: Any, a: Any, b: Any, alpha: float = 1) -> Any:
    return added(b, a, -alpha)


def _affine(product: Rule) -> Rule:
    """A product with something added, as `addmm`."""

    def rule(op: Any, c: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        scaled = c if beta == 1 else bilinear(c, beta, torch.mul, cheap=True)
        return added(scaled, product(op, a, b), alpha)

    return rule


def _mv(op: Any, a: Any, b: Any) -> Any:
    return bilinear(a, b, torch.mv)


def _bmm(op: Any, a: Any, b: Any) -> Any:
    return bilinear(a, b, torch.bmm)


def _layer(op: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    product = bilinear(x, weight, torch.nn.functional.linear)
    return product if bias is None else added(product, bias)


def _elementwise(op: Any, x: Jet, *args: Any, **kwargs: Any) -> Jet:
    result: Jet = unary(op.overloadpacket, x, *args, **kwargs)
    return result


def _joined(op: Any, parts: list[Any], *args: Any, **kwargs: Any) -> Any:
    """Linear in a list of tensors, as `cat` and `stack`."""
    return combined(parts, lambda *ones: op(list(ones), *args, **kwargs))


def _split(op: Any, x: Jet, *args: Any, **kwargs: Any) -> list[Jet]:
    """Several linear functions, as `split` and `unbind`; each is one of its results."""

    def piece(place: int) -> Jet:
        return linear(x, lambda one: op(one, *args, **kwargs)[place], cheap=True)

    return [piece(place) for place in range(len(op(x.primal, *args, **kwargs)))]


def _copy(op: Any, into: Any, x: Any, non_blocking: bool = False) -> Any:
    """All of a tensor overwritten, which leaves its shape and dtype."""
    like = plain(into)
    if not isinstance(x, Jet):
        return op(like, x)
    return linear(x, lambda one: one.to(like.dtype).expand(like.shape), cheap=True)


def _constant(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Piecewise constant: its derivatives are zero."""
    return op(*map(plain, args), **kwargs)


def _packets(names: str) -> list[Any]:
    """Those that this version of torch has."""
    return [getattr(aten, name) for name in names.split() if hasattr(aten, name)]


LINEAR = _packets(
    "view _unsafe_view reshape t transpose permute expand unsqueeze squeeze select slice sum mean neg clone "
    "index_select _to_copy contiguous alias lift_fresh_copy lift_fresh positive flip roll cumsum diagonal "
    "diag_embed unfold index gather repeat movedim select_backward slice_backward expand_copy view_copy "
    "as_strided narrow constant_pad_nd trace _reshape_alias tril triu unsqueeze_copy squeeze_copy take "
    "deg2rad rad2deg"
)
CONSTANT = _packets(
    "sign floor ceil round trunc detach eq ne lt le gt ge isnan isinf isfinite logical_and logical_or "
    "logical_not zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty sgn signbit "
    "argmax argmin argsort heaviside floor_divide _new_zeros_with_same_feature_meta"
)
SPLIT = _packets("split split_with_sizes unbind chunk")
RULES: dict[Any, Rule] = {
    **dict.fromkeys(LINEAR, _linear),
    **dict.fromkeys(CONSTANT, _constant),
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    **dict.fromkeys(SPLIT, _split),
    **COMPOSITIONS,
    aten.mm: _mm,
    aten.mv: _mv,
    aten.bmm: _bmm,
    aten.dot: _bilinear,
    aten.matmul: _bilinear,
    aten.mul: _mul,
    aten.add: _add,
    aten.sub: _sub,
    aten.rsub: _rsub,
    aten.addmm: _affine(_mm),
    aten.addmv: _affine(_mv),
    aten.baddbmm: _affine(_bmm),
    aten.linear: _layer,
    aten.copy: _copy,
    aten.cat: _joined,
    aten.stack: _joined,
}
"""Each rule by its operation, whatever the overload."""
