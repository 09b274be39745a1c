"""Each rule of Taylor mode against nested `torch.func.grad`, up to the fourth order."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

from funcsci.autodiff import partials
from funcsci.autodiff.elementwise import ELEMENTWISE

X = torch.tensor([0.31, -0.47, 0.83], dtype=torch.float64)
W = torch.tensor([[0.3, -0.5, 0.2], [0.1, 0.7, -0.4]], dtype=torch.float64)
B = torch.tensor([0.2, -1.3], dtype=torch.float64)
OPERATORS = (((),), ((1, 1, 1, 1),), ((0, 0, 1),), ((0, 0), (1, 1), (2, 2)))


def curved(x: Tensor) -> Tensor:
    """Something that has all derivatives, mixed ones too, and entries of both signs."""
    return torch.stack([x[0] + x[1] * x[2], x[0] * x[2] - 0.3 * x[1] ** 3, 0.7 * x[1] * torch.sin(x[0])])


def above(x: Tensor) -> Tensor:
    return 1.3 + curved(x) ** 2


def within(x: Tensor) -> Tensor:
    return 0.4 * torch.tanh(curved(x))


def inner_gradient(name: str) -> Callable[[Tensor], Tensor]:
    """The gradient of a layer, whose graph holds the backward operation of its activation."""
    activation = getattr(F, name) if hasattr(F, name) else getattr(torch, name)
    return lambda x: grad(lambda z: (activation(W @ curved(z)) * B).sum())(x)


def called(name: str) -> Callable[[Tensor], Tensor]:
    """torch's function of an operation."""
    place = next(one for one in (torch, F, torch.special) if hasattr(one, name.removeprefix("special_")))
    return getattr(place, name.removeprefix("special_"))


DOMAINS = dict.fromkeys(["log", "log1p", "log2", "log10", "sqrt", "rsqrt", "acosh"], above)
DOMAINS |= dict.fromkeys(["asin", "acos", "atanh", "erfinv"], within)
DOMAINS |= dict.fromkeys(["lgamma", "digamma", "special_entr"], above)
TABLE = {packet._qualified_op_name.removeprefix("aten::"): packet for packet in ELEMENTWISE}
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    name: lambda x, name=name: called(name)(DOMAINS.get(name, curved)(x)) for name in TABLE
}
del FUNCTIONS["hardsigmoid"]  # of which torch has first derivatives alone
FUNCTIONS |= {
    # activations
    "softplus": lambda x: F.softplus(curved(x)),
    "softplus, sharper": lambda x: F.softplus(4 * curved(x), beta=2.5, threshold=1.0),
    "gelu": lambda x: F.gelu(curved(x)),
    "gelu, by tanh": lambda x: F.gelu(curved(x), approximate="tanh"),
    "elu": lambda x: F.elu(curved(x), 1.3),
    "selu": lambda x: F.selu(curved(x)),
    "celu": lambda x: F.celu(curved(x), 0.5),
    "leaky_relu": lambda x: F.leaky_relu(curved(x), 0.1) * x,
    "mish": lambda x: F.mish(curved(x)),
    "logsigmoid": lambda x: F.logsigmoid(curved(x)),
    "hardtanh": lambda x: F.hardtanh(curved(x), -0.1, 0.2) * x,
    "softsign": lambda x: F.softsign(curved(x)),
    # powers and quotients
    "cube": lambda x: curved(x) ** 3,
    "sixth": lambda x: curved(x) ** 6,
    "first and none": lambda x: curved(x) ** 1 * x + curved(x) ** 0,
    "root of a cube": lambda x: above(x) ** -1.5,
    "power of two": lambda x: 2.0 ** curved(x),
    "power of itself": lambda x: above(x) ** curved(x),
    "power of a number": lambda x: above(x) ** torch.tensor(1.7),
    "power of numbers": lambda x: above(x) ** torch.tensor([1.7, 2.0, -0.3]),
    "quotient": lambda x: curved(x) / above(x),
    "quotient by a constant": lambda x: curved(x) / torch.tensor([1.0, 2.0, 3.0]),
    "inverse": lambda x: 1 / above(x),
    "remainder": lambda x: torch.remainder(curved(x), 0.3) * torch.frac(3 * curved(x)),
    "atan2": lambda x: torch.atan2(curved(x), 0.3 * above(x)) + torch.atan2(-above(x), curved(x)),
    "hypot": lambda x: torch.hypot(curved(x), above(x)),
    # sums and shapes
    "broadcast": lambda x: curved(x)[0] * curved(x) + curved(x)[1] - torch.ones(2, 3) * x[0],
    "broadcast of a constant": lambda x: torch.ones(2, 3) + curved(x)[0] ** 2,
    "alpha": lambda x: torch.sub(x**2, curved(x), alpha=2) + torch.rsub(curved(x), 3.0, alpha=3),
    "addcmul": lambda x: torch.addcmul(x, curved(x), x, value=0.3),
    "addcdiv": lambda x: torch.addcdiv(x, curved(x), above(x), value=0.3),
    "lerp": lambda x: torch.lerp(x, curved(x), 0.3) + torch.lerp(x, curved(x), torch.tanh(x)),
    "mean and variance": lambda x: curved(x).mean() + torch.var(curved(x)) * torch.std(curved(x)),
    "cumsum": lambda x: torch.cumsum(curved(x), 0) * x,
    "prod": lambda x: torch.prod(curved(x)) + torch.prod(curved(x)[:, None] * x, 0, keepdim=True),
    "prod with a zero": lambda x: torch.prod(curved(x) - curved(X)),
    "views": lambda x: (curved(x)[:, None] * x).T.reshape(9)[::2].flip(0).roll(1).view(5, 1).expand(5, 2),
    "permute and squeeze": lambda x: (
        (curved(x)[:, None, None] * x[None, :, None]).permute(1, 2, 0).squeeze(1)
    ),
    "indices": lambda x: curved(x)[torch.tensor([2, 0])] * curved(x).gather(0, torch.tensor([1, 0])),
    "triangles": lambda x: (
        torch.diag(curved(x)) + torch.outer(curved(x), x).tril() * torch.outer(x, x).trace()
    ),
    "pad and repeat": lambda x: F.pad(curved(x), (1, 2)) * curved(x).repeat(2),
    "cat": lambda x: torch.cat([curved(x), x[:1], torch.ones(2)]) ** 2,
    "stack": lambda x: torch.stack([x[0] * x[1], x[2], torch.ones(())]),
    "split": lambda x: sum(a * b for a, b in zip(curved(x).split([1, 2])[1], x.unbind()[1:], strict=True)),
    "chunk": lambda x: torch.cat([a * a for a in torch.cat([curved(x), x]).chunk(2)]),
    # products
    "matrix on a vector": lambda x: W @ curved(x),
    "linear": lambda x: F.linear(curved(x), W, B),
    "linear on a batch": lambda x: F.linear(curved(x)[None].expand(2, 3), W, B),
    "linear from one": lambda x: F.linear(curved(x)[:1], W[:, :1], B),
    "linear to one": lambda x: F.linear(curved(x), W[:1], B[:1]),
    "weights that depend on x": lambda x: F.linear(curved(x), W * curved(x), B * x[1]),
    "outer": lambda x: torch.outer(curved(x), x),
    "mm": lambda x: (curved(x)[:, None] * x) @ (x[:, None] * curved(x)),
    "bmm": lambda x: torch.bmm((curved(x)[:, None] * x).expand(2, 3, 3), torch.stack([W.T, 2 * W.T])),
    "dot": lambda x: torch.dot(curved(x), x) + torch.dot(curved(x), torch.arange(3.0)),
    "addmm": lambda x: torch.addmm(W[:, :2] * x[0], W * x[0], W.T * x[1] ** 2, beta=0.5, alpha=2.0),
    "addmv": lambda x: torch.addmv(B * x[0], W, curved(x), beta=0.5, alpha=2.0),
    "einsum": lambda x: torch.einsum("i,jk,k->ij", curved(x), W, x),
    # choices
    "where": lambda x: torch.where(x > 0.1, curved(x), x**3),
    "maximum": lambda x: torch.maximum(curved(x), x * x) + torch.minimum(curved(x), torch.zeros(3)) * x,
    "clamp": lambda x: (
        curved(x).clamp(-0.1, 0.3) * x + curved(x).clamp_min(0.1) * x + curved(x).clamp_max(0.1)
    ),
    "masked_fill": lambda x: curved(x).masked_fill(x > 0.5, 2.0) * x,
    "steps": lambda x: torch.sign(x) * curved(x) + torch.floor(5 * x) * x**2 + (x > 0) * x**3,
    "detach": lambda x: x.detach() * curved(x),
    "constant": lambda x: torch.ones(3),
    "identity": lambda x: x,
    # normalisations
    "softmax": lambda x: torch.softmax(curved(x), 0) * torch.log_softmax(curved(x), 0),
    "logsumexp": lambda x: torch.logsumexp(curved(x), 0),
    "norm": lambda x: torch.linalg.vector_norm(curved(x)) * torch.linalg.vector_norm(x, dim=0, keepdim=True),
    # transforms inside
    "inner jacrev": lambda x: jacrev(lambda z: torch.tanh(W @ curved(z)))(x),
    "inner vmap": lambda x: vmap(lambda a: torch.tanh(a * x[0]))(curved(x)),
    "inner gradient of a norm": lambda x: grad(lambda z: torch.linalg.vector_norm(curved(z)))(x),
    "inner gradient of softmax": lambda x: grad(lambda z: torch.softmax(curved(z), 0)[0])(x),
    "inner gradient of a choice": lambda x: grad(lambda z: torch.where(z > 0, z**3, curved(z)).sum())(x),
    "inner gradient of cat": lambda x: grad(lambda z: (torch.cat([curved(z), z]) ** 3).sum())(x),
}
FUNCTIONS |= {
    f"inner gradient of {name}": inner_gradient(name)
    for name in ("tanh", "sigmoid", "softplus", "silu", "gelu", "elu", "leaky_relu", "logsigmoid", "relu")
}
NEEDS_LATER_TORCH = {
    "inner jvp": lambda x: jvp(lambda z: torch.tanh(W @ curved(z)), (x,), (torch.ones(3),))[1],
    "inner jacfwd": lambda x: jacfwd(lambda z: torch.tanh(W @ curved(z)))(x),
    "inner hessian": lambda x: hessian(lambda z: torch.tanh(W @ curved(z)).sum())(x),
}
"""Of which torch 2.1 cannot trace the forward mode."""
if torch.__version__ >= "2.6":
    FUNCTIONS |= NEEDS_LATER_TORCH


def weighted(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """One number that depends on all entries, as nested derivatives of each would take long."""

    def number(x: Tensor) -> Tensor:
        y = function(x)
        return (y * torch.linspace(0.5, 1.5, max(y.numel(), 1)).reshape(y.shape)).sum()

    return number


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_rule_gives_the_nested_derivatives(name: str) -> None:
    function = FUNCTIONS[name]
    wanted = partials(weighted(function), OPERATORS, derivatives="nested")(X)
    found = partials(function, OPERATORS)(X)
    torch.testing.assert_close(found[0], function(X))
    for one, other in zip(found, wanted, strict=True):
        assert one.shape == found[0].shape
        torch.testing.assert_close(weighted(lambda _, one=one: one)(X), other, rtol=1e-10, atol=1e-11)


def test_layer_norm_is_that_of_its_formula() -> None:
    """torch's own third derivatives of it are wrong, so the formula is the witness."""

    def formula(x: Tensor) -> Tensor:
        off = curved(x) - curved(x).mean()
        return off / torch.sqrt((off**2).mean() + 1e-5) * torch.tensor([1.0, 2.0, 3.0]) + 1

    def built_in(x: Tensor) -> Tensor:
        return F.layer_norm(curved(x), (3,), torch.tensor([1.0, 2.0, 3.0]), torch.ones(3))

    wanted = partials(weighted(formula), OPERATORS, derivatives="nested")(X)
    found = [weighted(lambda _, one=one: one)(X) for one in partials(built_in, OPERATORS)(X)]
    torch.testing.assert_close(found, list(wanted), rtol=1e-10, atol=1e-11)


def test_a_branch_that_is_not_chosen_does_no_harm() -> None:
    def function(x: Tensor) -> Tensor:
        return torch.where(x > -10, curved(x), torch.sqrt(-1 - x * x))

    assert torch.equal(torch.cat(partials(function, OPERATORS)(X)), torch.cat(partials(curved, OPERATORS)(X)))


def test_an_operation_without_a_rule_is_named() -> None:
    with pytest.raises(
        NotImplementedError,
        match=r"must have a rule .* Got i0, for which there is none\. Use derivatives=",
    ):
        partials(torch.i0, (((0,),),))(X)
    kept = partials(lambda x: x * torch.i0(torch.zeros(3)), (((0,),),))(X)[0]  # no jet reaches it
    assert torch.equal(kept, torch.tensor([1.0, 0.0, 0.0]))
