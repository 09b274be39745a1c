"""Partial derivatives in both modes: against closed forms, each other, and under every transform."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.func import grad, jacfwd, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from funcsci import autodiff, nn, random, tree
from funcsci.autodiff import Operator, partials
from funcsci.compile import jit

MODES = ("taylor", "nested")
POINTS = torch.tensor([[0.3, -0.7], [1.1, 0.4], [-0.2, 0.9]], dtype=torch.float64)
BURGERS: tuple[Operator, ...] = (((),), ((1,),), ((0,),), ((0, 0),), ((0, 1),), ((0, 0), (1, 1)))
MODEL = nn.mlp((2, 6, 5, 2))
PARAMS = MODEL.init(random.key(0), dtype=torch.float64)


def close(found: Any, wanted: Any, rtol: float = 1e-10) -> None:
    torch.testing.assert_close(found, wanted, rtol=rtol, atol=1e-11)


def residual(params: Any, x: Tensor, mode: str) -> Tensor:
    """Burgers' equation with a few terms more, for a network with two outputs."""
    u, ut, ux, uxx, uxt, laplacian = partials(lambda x: MODEL.apply(params, x), BURGERS, derivatives=mode)(x)
    return ut + u[0] * ux - 0.1 * uxx + uxt * u + laplacian


def wave(x: Tensor) -> Tensor:
    """sin(x0) x1^3 and exp(2 x0 - x1)."""
    return torch.stack([torch.sin(x[0]) * x[1] ** 3, torch.exp(2 * x[0] - x[1])])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("i", "j"), [(i, j) for i in range(5) for j in range(5 - i)])
def test_closed_forms_of_every_order(mode: str, i: int, j: int) -> None:
    x = POINTS[0]
    cubic = torch.tensor([1.0, 3.0, 6.0, 6.0, 0.0])[j] * x[1] ** max(3 - j, 0)
    wanted = torch.stack(
        [torch.sin(x[0] + i * torch.pi / 2) * cubic, 2.0**i * (-1.0) ** j * torch.exp(2 * x[0] - x[1])]
    )
    (found,) = partials(wave, (((0,) * i + (1,) * j,),), derivatives=mode)(x)
    close(found, wanted)


@pytest.mark.parametrize("mode", MODES)
def test_a_sum_is_the_sum_of_its_terms_whatever_their_orders(mode: str) -> None:
    operator = ((), (0,), (0, 1), (1, 0), (1, 1, 1), (0, 0, 1, 1), (0, 0, 1, 1))
    single = partials(wave, tuple((term,) for term in operator), derivatives=mode)(POINTS[0])
    (together,) = partials(wave, (operator,), derivatives=mode)(POINTS[0])
    close(together, torch.stack(single).sum(0))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("units", [(2.0**40, 2.0**-40), (2.0**-30, 2.0**27), (1.0, 2.0**60)])
def test_derivatives_in_units_are_those_without_to_round_off(mode: str, units: tuple[float, float]) -> None:
    size = torch.tensor(units, dtype=torch.float64)
    operators = (((0, 1),), ((0,), (0, 1, 1)), ((),), ((0, 0, 1), (1,)), ((0, 0, 1, 1),))
    for operator in operators:
        found = partials(lambda x: wave(x / size), (operator,), derivatives=mode, units=units)(
            POINTS[0] * size
        )
        terms = partials(wave, tuple((term,) for term in operator), derivatives=mode)(POINTS[0])
        scaled = [
            part / math.prod(units[place] for place in term)
            for part, term in zip(terms, operator, strict=True)
        ]
        torch.testing.assert_close(found[0], sum(scaled[1:], scaled[0]), rtol=1e-14, atol=0)


ACTIVATIONS = ("tanh", "sin", "sigmoid", "softplus", "silu", "gelu")


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """A network, operators and numbers for a seed and a size of the weights."""
    dimensions = draw(st.integers(1, 3))
    widths = (dimensions, *draw(st.lists(st.integers(1, 6), min_size=1, max_size=2)), draw(st.integers(1, 2)))
    term = st.lists(st.integers(0, dimensions - 1), max_size=4).map(tuple)
    operator = st.lists(term, min_size=1, max_size=3).map(tuple)
    operators = tuple(draw(st.lists(operator, min_size=1, max_size=3)))
    activation = draw(st.sampled_from(ACTIVATIONS))
    size, seed = draw(st.floats(0.5, 3.0)), draw(st.integers(0, 2**20))
    return {"widths": widths, "activation": activation, "operators": operators, "size": size, "seed": seed}


def network(case: dict[str, Any]) -> tuple[Callable[[Tensor], Tensor], tuple[Operator, ...], Tensor]:
    model = nn.mlp(case["widths"], activation=case["activation"])
    key = random.key(case["seed"])
    params = tree.map(lambda leaf: case["size"] * leaf, model.init(key, dtype=torch.float64))
    x = random.uniform(random.fold_in(key, 1), (case["widths"][0],), dtype=torch.float64)
    return lambda x: model.apply(params, x), case["operators"], 2 * x - 1


@given(cases())
@settings(max_examples=15)
def test_taylor_equals_nested_for_random_networks(case: dict[str, Any]) -> None:
    function, operators, x = network(case)
    found, wanted = (partials(function, operators, derivatives=mode) for mode in MODES)
    size = partials(function, tuple((term,) for one in operators for term in one))(x)
    scale = max(float(one.abs().max()) for one in size)  # the terms of a sum may cancel
    torch.testing.assert_close(found(x), wanted(x), rtol=1e-10, atol=1e-10 * scale)


@given(cases())
@settings(max_examples=3)
def test_a_program_equals_both(case: dict[str, Any]) -> None:
    function, operators, x = network(case)
    taylor, nested = (jit(partials(function, operators, derivatives=mode), backend="trace") for mode in MODES)
    scale = max(1.0, *(float(one.abs().max()) for one in nested(x)))
    torch.testing.assert_close(taylor(x), nested(x), rtol=1e-10, atol=1e-10 * scale)
    torch.testing.assert_close(taylor(x + 0.1), partials(function, operators)(x + 0.1))


def transformed(mode: str) -> dict[str, Callable[[Any, Tensor], Any]]:
    """What engines do with a residual: each closes over the parameters at another level."""

    def at_point(params: Any, x: Tensor) -> Tensor:
        return residual(params, x, mode)

    def loss(params: Any, xs: Tensor) -> Tensor:
        return vmap(lambda x: at_point(params, x))(xs).square().mean()

    return {
        "vmap": lambda p, xs: vmap(lambda x: at_point(p, x))(xs),
        "grad": grad(loss),
        "Jacobian of each sample": lambda p, xs: vmap(jacrev(at_point), in_dims=(None, 0))(p, xs),
        "Jacobian of all": jacrev(lambda p, xs: vmap(at_point, in_dims=(None, 0))(p, xs)),
        "forward": lambda p, xs: jacfwd(lambda s: loss(tree.map(lambda leaf: s * leaf, p), xs))(
            torch.ones(())
        ),
        "product with a vector": lambda p, xs: jvp(lambda p: loss(p, xs), (p,), (p,))[1],
        "second": lambda p, xs: grad(lambda p: tree.leaves(grad(loss)(p, xs))[0].square().sum())(p),
        "networks": lambda p, xs: vmap(lambda s: loss(tree.map(lambda leaf: s * leaf, p), xs))(xs[:, 0]),
        "by the point": lambda p, xs: vmap(grad(lambda x: at_point(p, x).sum()))(xs),
    }


@pytest.mark.parametrize("name", transformed("taylor"))
def test_taylor_equals_nested_under_transforms_and_in_programs(name: str) -> None:
    taylor, nested = (transformed(mode)[name] for mode in MODES)
    wanted = nested(PARAMS, POINTS)
    close(taylor(PARAMS, POINTS), wanted)
    if name in ("forward", "product with a vector") and torch.__version__ < "2.6":
        return  # torch 2.1 traces forward mode in neither way of differentiating
    jitted = jit(taylor, backend="trace")
    close(jitted(PARAMS, POINTS), wanted)
    halved = tree.map(lambda leaf: leaf / 2, PARAMS)
    close(jitted(halved, POINTS + 0.1), nested(halved, POINTS + 0.1))
    assert len(jitted.compilations) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grad", "Jacobian of each sample"])
def test_taylor_equals_nested_when_compiled(name: str) -> None:
    compiled = jit(transformed("taylor")[name], backend="compile")
    close(compiled(PARAMS, POINTS), transformed("nested")[name](PARAMS, POINTS))


def test_further_arguments_are_as_good_as_a_closure() -> None:
    x, operators = POINTS[0], BURGERS[2:5]

    def field(x: Tensor, params: Any, rate: Tensor) -> Tensor:
        return rate * MODEL.apply(params, x)

    rate = torch.tensor(1.5)
    passed = partials(field, operators)
    closed = partials(lambda x: field(x, PARAMS, rate), operators)
    assert all(map(torch.equal, passed(x, PARAMS, rate), closed(x)))
    found = grad(lambda p, r: torch.stack(passed(x, p, r)).sum(), argnums=(0, 1))(PARAMS, rate)
    nested = partials(field, operators, derivatives="nested")
    close(found, grad(lambda p, r: torch.stack(nested(x, p, r)).sum(), argnums=(0, 1))(PARAMS, rate))


def test_gradients_reach_the_tape_of_autograd() -> None:
    leaves = tree.map(lambda leaf: leaf.clone().requires_grad_(), PARAMS)
    residual(leaves, POINTS[0], "taylor").sum().backward()
    wanted = grad(lambda p: residual(p, POINTS[0], "nested").sum())(PARAMS)
    close(tree.map(lambda leaf: leaf.grad, leaves), wanted)


def test_another_trace_around_sees_what_is_closed_over() -> None:
    """Tensors of a bare trace are wrapped by no transform."""

    def function(w: Tensor, x: Tensor) -> Tensor:
        doubled = 2 * w
        offset = torch.tensor([1.0, 2.0])
        return partials(lambda x: doubled * torch.sin(x * offset + torch.ones(2)), (((0, 0), (1,)),))(x)[0]

    w, x = torch.tensor([0.5, 2.0]), POINTS[0]
    graph = make_fx(function)(w, x)
    close(graph(3 * w, x + 1), function(3 * w, x + 1))


def test_derivatives_nest_in_either_mode() -> None:
    x = POINTS[0]
    wanted = partials(wave, (((0, 0, 1, 1),),), derivatives="nested")(x)[0]
    for outer in MODES:
        for inner in MODES:
            first = lambda x, inner=inner: partials(wave, (((0, 1),),), derivatives=inner)(x)[0]  # noqa: E731
            close(partials(first, (((1, 0),),), derivatives=outer)(x)[0], wanted)
    close(
        grad(lambda x: partials(wave, (((0, 1),),))(x)[0][0])(x)[1], partials(wave, (((0, 1, 1),),))(x)[0][0]
    )


def test_what_is_created_inside_is_a_constant() -> None:
    array = POINTS.numpy()

    def function(x: Tensor) -> Tensor:
        return x @ torch.tensor([1.0, 2.0]) * torch.arange(3.0) + torch.from_numpy(array)[:, 0] * x[0] ** 2

    found = jit(vmap(partials(function, (((0,),), ((0, 0),)))), backend="trace")(POINTS)
    close(found[0], torch.arange(3.0) + 2 * POINTS[:, :1] * POINTS[:, 0])
    close(found[1], (2 * POINTS[:, 0]).expand(3, 3))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,)])
@pytest.mark.parametrize("mode", MODES)
def test_the_result_has_the_shape_of_the_function(mode: str, shape: tuple[int, ...]) -> None:
    weights = torch.ones(shape)
    found = partials(lambda x: weights * x.prod(), (((),), ((0, 1),), ((0, 0),)), derivatives=mode)(POINTS[0])
    close(found, (weights * POINTS[0].prod(), weights, 0 * weights))


@pytest.mark.parametrize("mode", MODES)
def test_dtype_and_device_are_those_of_the_point(mode: str) -> None:
    params = tree.map(lambda leaf: leaf.float(), PARAMS)
    single = residual(params, POINTS[0].float(), mode)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), residual(PARAMS, POINTS[0], mode), rtol=1e-4, atol=1e-5)
    elsewhere = tree.map(lambda leaf: leaf.to("meta"), PARAMS)
    found = vmap(lambda x: residual(elsewhere, x, mode))(POINTS.to("meta"))
    assert (found.device.type, found.shape) == ("meta", (3, 2))


@pytest.mark.parametrize("mode", MODES)
def test_nothing_to_do_and_no_direction(mode: str) -> None:
    assert partials(wave, (), derivatives=mode)(POINTS[0]) == ()
    (value,) = partials(wave, (((), ()),), derivatives=mode)(POINTS[0])
    close(value, 2 * wave(POINTS[0]))


def test_what_changes_from_call_to_call_is_refused() -> None:
    weights = [torch.ones(2), torch.ones(2)]

    def function(w: Tensor, x: Tensor) -> Tensor:
        kept = [w * one for one in weights]
        return partials(lambda x: (kept.pop() * x).sum(), (((0,),),))(x)[0]

    with pytest.raises(
        ValueError, match=r"the same tensors each time .* Got a new one of shape \(2,\)\. Make it"
    ):
        grad(function)(torch.ones(2), POINTS[0])


def test_a_closed_over_tensor_that_an_inner_transform_hides_is_refused() -> None:
    def function(w: Tensor, x: Tensor) -> Tensor:
        inner = lambda x: grad(lambda w: (w * x).square().sum())(w)  # noqa: E731
        return partials(inner, (((0,),),))(x)[0].sum()

    with pytest.raises(
        ValueError, match=r"must not take a closed-over tensor .* Got one of shape \(2,\)\. Pass it"
    ):
        grad(function)(torch.ones(2), POINTS[0])
    leaf = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match=r"must not take a closed-over tensor"):
        function(leaf, POINTS[0])
    close(function(torch.ones(2), POINTS[0]), 4 * POINTS[0, 0])  # nobody would miss it


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("operators", "error", "message"),
    [
        ((((0.5,),),), TypeError, r"operators must be an integer\. Got operators=0\.5"),
        (((0,),), TypeError, r"operators must be tuples of tuples of coordinates\. Got operators=\(0,\)"),
        (((),), TypeError, r"operators must be tuples of tuples of coordinates\. Got operators=\(\)\. Try"),
        (([(0,)],), TypeError, r"operators must be tuples of tuples"),
        ((((-1,),),), ValueError, r"operators must be at least 0\. Got operators=-1"),
        ((((0,) * 5,),), ValueError, r"of an order up to 4 in Taylor mode\. Got .* Use derivatives='nested'"),
    ],
)
def test_operators_are_checked(operators: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        partials(wave, operators)


@pytest.mark.wrong_types
def test_the_mode_the_point_and_the_coordinates_are_checked() -> None:
    with pytest.raises(ValueError, match=r"derivatives must be one of .*Got derivatives='tailor'"):
        partials(wave, (((0,),),), derivatives="tailor")
    with pytest.raises(
        ValueError, match=r"a vector of shape .* Got x of shape \(3, 2\)\. Use torch\.func\.vmap"
    ):
        partials(wave, (((0,),),))(POINTS)
    with pytest.raises(ValueError, match=r"must name coordinates below 2\. Got operators=\(\(0, 2\),\)"):
        partials(wave, (((0, 2),),))(POINTS[0])
    (fifth,) = partials(lambda x: torch.sin(x).sum(), (((0,) * 5,),), derivatives="nested")(POINTS[0])
    close(fifth, torch.cos(POINTS[0, 0]))


def test_the_convenience_operators_agree() -> None:
    x = torch.tensor([0.3, -0.7, 1.1])

    def field(x: Tensor) -> Tensor:
        return torch.sin(x[0]) * x[1] ** 2 * torch.exp(x[2])

    operators: Sequence[Operator] = (((0, 0), (1, 1), (2, 2)), ((0, 1, 2),))
    laplacian, mixed = partials(field, operators)(x)
    close(laplacian, autodiff.laplacian(field)(x))
    close(mixed, autodiff.partial(field, (0, 1, 2))(x))
