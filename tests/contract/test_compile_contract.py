"""What `jit` promises of every function: the function's own results, and nothing compiled twice."""

import functools
import itertools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.func import grad, jacfwd, jacrev, jvp, vmap

from funcsci import tree
from funcsci.compile import jit


class Pair(NamedTuple):
    left: Any
    right: Any


class Case(NamedTuple):
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = MappingProxyType({})


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Numbers in (-1, 1) that look random and are the same everywhere."""
    count = torch.arange(1, 1 + torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(count * count * 0.7 + seed).reshape(shape).to(dtype)


def network(params: dict[str, Tensor], t: Tensor) -> Tensor:
    hidden = torch.tanh(params["weight"] @ t[None] + params["bias"])
    return (params["last"] @ hidden)[0]


def physics_loss(params: dict[str, Tensor], points: Tensor) -> Tensor:
    def residual(t: Tensor) -> Tensor:
        return grad(grad(network, 1), 1)(params, t) + network(params, t)

    return vmap(residual)(points).square().mean()


def descend(params: dict[str, Tensor], points: Tensor, *, rate: Tensor) -> tuple[Any, Tensor]:
    gradient = grad(physics_loss)(params, points)
    return tree.map(lambda p, g: p - rate * g, params, gradient), physics_loss(params, points)


def fill_by_slices(x: Tensor) -> tuple[Tensor, Tensor]:
    made = torch.zeros(4, 3, dtype=x.dtype, device=x.device)
    made[1] = x[0]
    made[:, 2] += x[:, 1].sum()
    made.mul_(2).clamp_(min=-1)
    return made, made[1:]


def integers(n: Tensor) -> tuple[Tensor, ...]:
    mixed = (n ^ (n << 13)) & 0xFFFFFFFF
    return mixed, n // 3, n % 5, n.to(torch.int32), n > 2


MATRIX = numbers(4, 3)
PARAMS = {"weight": numbers(8, 1), "bias": numbers(8, seed=1), "last": numbers(1, 8, seed=2)}
CONSTANT = numbers(3, seed=5)

SMOOTH: dict[str, Case] = {
    "affine": Case(lambda x: 2 * x + 1, (MATRIX,)),
    "constant": Case(lambda x: (x * CONSTANT, CONSTANT + 1), (MATRIX,)),
    "scalar": Case(torch.sin, (torch.tensor(0.3, dtype=torch.float64),)),
    "empty": Case(lambda x: (x.exp(), x.sum(), x @ MATRIX), (numbers(0, 4),)),
    "reductions": Case(lambda x: (x.sum(0), x.mean(), x.amax(1, keepdim=True), x.prod(-1)), (MATRIX,)),
    "broadcast": Case(
        lambda x, y: (x[:, None] * y[None], x[:, None].expand(-1, 3) + y), (numbers(4), numbers(3))
    ),
    "indexing": Case(lambda x: (x[torch.tensor([2, 0])], x[1:, ::2], x[..., -1], x.flip(0)), (MATRIX,)),
    "views": Case(
        lambda x: (x.t(), x.t().t() * 1, x[None, :, None].transpose(0, 3), x.reshape(-1)), (MATRIX,)
    ),
    "view chains": Case(
        lambda x: x.t()[1:].unsqueeze(0).transpose(1, 2).unsqueeze(1).expand(1, 2, 4, 2), (MATRIX,)
    ),
    "aliases": Case(lambda x: (x, x, x + 1, x[0]), (MATRIX,)),
    "shared results": Case(lambda x: (lambda y: (y, y.t(), y))(x * 2), (MATRIX,)),
    "equal results": Case(lambda x: (x + 1, x + 1, (x + 1).t(), (x + 1).t()), (MATRIX,)),
    "ones": Case(
        lambda x: (x * torch.ones_like(x), torch.ones_like(x) * x[:2].sum(), x / torch.ones(3)), (MATRIX,)
    ),
    "split": Case(lambda x: tuple(part * torch.ones(2, 3) for part in x.split(2)), (MATRIX,)),
    "in place": Case(fill_by_slices, (MATRIX,)),
    "statics": Case(
        lambda x, n, flag, *, name: {"x": x * n if flag else x, "n": n, "name": name},
        (MATRIX, 3, True),
        {"name": "u"},
    ),
    "trees": Case(
        lambda d, p: Pair([d["b"], None], {"z": d["a"] * p.left, "y": (p.right[0],), "x": ()}),
        ({"b": numbers(2), "a": numbers(2), "none": None}, Pair(numbers(2), [numbers(1), None])),
    ),
    "keywords": Case(
        lambda x, **more: torch.cat([x, *more.values()]),
        (numbers(2),),
        {"second": numbers(1), "first": numbers(2, seed=9)},
    ),
    "expanded": Case(lambda x, y: (x * 2, x + y, x.sum(0)), (numbers(3).expand(4, 3), MATRIX)),
    "transposed": Case(lambda x: (x * 2, x @ MATRIX, x.exp().t()), (MATRIX.t(),)),
    "sliced": Case(lambda x: (x * 2, x[1:].t(), x.t().t()[0]), (numbers(9, 5)[2:6, 1:4],)),
    "strides of one": Case(lambda x: (x.t().unsqueeze(1).clone(), x[:, :1].t().contiguous() * 2), (MATRIX,)),
    "mixed types": Case(
        lambda x, y: (x + y, x * torch.ones((), dtype=torch.float32), y.double()),
        (MATRIX, numbers(4, 3, dtype=torch.float32)),
    ),
    "linear algebra": Case(lambda x: (torch.linalg.qr(x), torch.linalg.solve(x.t() @ x, x[0])), (MATRIX,)),
    "products of vectors": Case(
        lambda w, x: (
            vmap(lambda row: row @ w)(x) * 2,
            vmap(lambda row: grad(lambda w: (row @ w) * (w @ w))(w))(x),
            vmap(lambda row: torch.stack([row @ w, w.dot(row)]))(x),
        ),
        (numbers(3), MATRIX),
    ),
    "maximum": Case(lambda x: (x.max(0), x.topk(2).values, torch.where(x > 0, x, -x)), (MATRIX,)),
    "complex": Case(
        lambda x: (x.conj() * 2, (x * torch.ones_like(x)).real, x.conj().imag + x.imag, x.abs()),
        (torch.complex(MATRIX, MATRIX.flip(0)),),
    ),
    "detached": Case(lambda x: (x * x.detach()).sum(), (MATRIX,)),
    "jacobians": Case(lambda x: (jacrev(torch.tanh)(x), jacfwd(torch.sin)(x)), (numbers(3),)),
    "tangents": Case(lambda x, v: jvp(lambda x: (x.sin() * x).sum(), (x,), (v,)), (MATRIX, MATRIX * 2)),
    "physics loss": Case(physics_loss, (PARAMS, numbers(5))),
    "training step": Case(descend, (PARAMS, numbers(5)), {"rate": torch.tensor(0.1, dtype=torch.float64)}),
}

DISCRETE: dict[str, Case] = {
    "integers": Case(integers, (torch.arange(-3, 9).reshape(3, 4),)),
    "bits of floats": Case(
        lambda x: (
            x.view(torch.int64).t() >> 2,
            x.view(torch.int32).t(),
            x * torch.ones(4, 3).view(torch.int64),
        ),
        (MATRIX,),
    ),
    "ranks": Case(lambda x: (x.argmax(0), x[x.argmin(1)[:2]], x.argsort(1)), (MATRIX,)),
    "no tensors": Case(lambda n: torch.arange(n) * 2, (3,)),
    "nothing": Case(lambda x: None, (MATRIX,)),
}

CASES = SMOOTH | DISCRETE
NAMES = sorted(CASES)


def tensors(result: Any) -> list[Tensor]:
    return [leaf for leaf in tree.leaves(result) if isinstance(leaf, Tensor)]


def layouts(result: Any) -> list[Any]:
    return [
        (leaf.shape, leaf.stride(), leaf.dtype, leaf.device) if isinstance(leaf, Tensor) else leaf
        for leaf in tree.leaves(result)
    ]


def memory(case: Case, result: Any) -> list[bool]:
    """Which results share memory with which arguments and which other results."""
    everything = [
        x.untyped_storage().data_ptr() for x in tensors((case.args, dict(case.kwargs), result)) if x.numel()
    ]
    return [a == b for a, b in itertools.combinations(everything, 2)]


def call(case: Case, function: Callable[..., Any]) -> Any:
    return function(*case.args, **case.kwargs)


@pytest.mark.parametrize("name", NAMES)
def test_trace_gives_the_bits_layout_and_memory_of_the_function(name: str) -> None:
    case = CASES[name]
    jitted = jit(case.function, backend="trace")
    wanted = call(case, case.function)
    for _ in range(2):
        found = call(case, jitted)
        assert tree.flatten(found)[1] == tree.flatten(wanted)[1]
        assert layouts(found) == layouts(wanted)
        for a, b in zip(tensors(found), tensors(wanted), strict=True):
            assert torch.equal(a, b)
        assert memory(case, found) == memory(case, wanted)


@pytest.mark.parametrize("name", NAMES)
def test_later_calls_compile_nothing_and_arguments_keep_their_bits(name: str) -> None:
    case = CASES[name]
    before = [x.clone() for x in tensors((case.args, dict(case.kwargs)))]
    jitted = jit(case.function, backend="trace")
    for _ in range(3):
        call(case, jitted)
    assert [made.reason for made in jitted.compilations] == ["first call"]
    assert all(
        torch.equal(a, b) for a, b in zip(tensors((case.args, dict(case.kwargs))), before, strict=True)
    )


def total(function: Callable[..., Any], rebuild: Callable[[list[Tensor]], Any], *inputs: Tensor) -> Tensor:
    """A real number that depends on all real results."""
    args, kwargs = rebuild(list(inputs))
    results = [x.abs() if x.is_complex() else x for x in tensors(function(*args, **kwargs))]
    return sum((x.sin() * 1.7).sum() for x in results if x.is_floating_point())  # type: ignore[return-value]


def differentiable(case: Case) -> tuple[list[Tensor], Callable[[list[Tensor]], Any]]:
    leaves, structure = tree.flatten((case.args, dict(case.kwargs)))
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]

    def rebuild(inputs: list[Tensor]) -> Any:
        full = list(leaves)
        for place, x in zip(places, inputs, strict=True):
            full[place] = x
        return tree.unflatten(structure, full)

    return [leaves[place] for place in places], rebuild


@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_gradients_through_jit_are_those_of_the_function(name: str) -> None:
    case = CASES[name]
    inputs, rebuild = differentiable(case)
    jitted = jit(case.function, backend="trace")
    jitted(*case.args, **case.kwargs)  # a program is there, and must not be differentiated

    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    wanted = torch.autograd.grad(total(case.function, rebuild, *leaves), leaves, allow_unused=True)
    by_tape = torch.autograd.grad(total(jitted, rebuild, *leaves), leaves, allow_unused=True)
    everywhere = tuple(range(len(inputs)))
    by_transform = grad(functools.partial(total, jitted, rebuild), everywhere)(*[x.detach() for x in leaves])
    for a, b, c in zip(wanted, by_tape, by_transform, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)
        torch.testing.assert_close(c, torch.zeros_like(c) if a is None else a, rtol=1e-12, atol=1e-12)
    assert len(jitted.compilations) == 1


ON_THE_CPU = {"constant", "empty", "ones", "split", "linear algebra", "mixed types", "indexing"}


@pytest.mark.parametrize("name", sorted(SMOOTH.keys() - ON_THE_CPU))
def test_everything_stays_on_the_device_of_the_arguments(name: str) -> None:
    """`meta` refuses to mix with the CPU; the cases left out make CPU tensors on purpose."""
    case = CASES[name]
    args, kwargs = tree.map(
        lambda x: x.to("meta") if isinstance(x, Tensor) else x, (case.args, dict(case.kwargs))
    )
    found = tensors(jit(case.function, backend="trace")(*args, **kwargs))
    wanted = tensors(call(case, case.function))
    assert all(x.device.type == "meta" for x in found)
    assert [x.shape for x in found] == [x.shape for x in wanted]


COMPILED = ("equal results", "aliases", "constant", "training step", "view chains", "in place", "integers",
            "sliced", "expanded", "products of vectors")  # fmt: skip


def strides_that_matter(result: Any) -> list[Any]:
    """The compiler of torch 2.1 gives dimensions of size 1 strides of its own."""
    return [
        (x.shape, [n for n, size in zip(x.stride(), x.shape, strict=True) if size > 1], x.dtype)
        for x in tensors(result)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_equals_eager(name: str) -> None:
    case = CASES[name]
    jitted = jit(case.function, backend="compile")
    wanted = call(case, case.function)
    for _ in range(2):
        found = call(case, jitted)
        assert strides_that_matter(found) == strides_that_matter(wanted)
        for a, b in zip(tensors(found), tensors(wanted), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    assert [made.reason for made in jitted.compilations] == ["first call"]
