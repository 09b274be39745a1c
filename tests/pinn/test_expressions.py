"""Expressions have the derivatives that SymPy finds for them, and cost nothing where none is taken."""

import math

import pytest
import sympy
import torch
from torch.func import grad, jacrev, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from funcsci import pinn
from funcsci.pinn import Domain
from funcsci.pinn.equations import Equations
from funcsci.pinn.field import Request
from funcsci.pinn.requirements import Differentiated

BOX = Domain.of({"x": (0.2, 1.0), "y": (-1.0, 0.5), "t": (0.0, 2.0)})
POLAR = Domain.of({"r": (1.0, 2.0), "theta": (0.0, 1.0)})
X, Y, T, R, THETA = sympy.symbols("x y t r theta")
U = sympy.exp(X / 2) * sympy.sin(Y + T / 3) + X**3 * Y**2 + 2
V = sympy.cos(X * Y) + T * X**2
W = R**3 * sympy.sin(2 * THETA) + 2


def fields(x: torch.Tensor) -> torch.Tensor:
    """U and V."""
    a, b, t = x[0], x[1], x[2]
    u = torch.exp(a / 2) * torch.sin(b + t / 3) + a**3 * b**2 + 2
    return torch.stack([u, torch.cos(a * b) + t * a**2])


def polar(x: torch.Tensor) -> torch.Tensor:
    return (x[0] ** 3 * torch.sin(2 * x[1]) + 2)[None]


def points(domain: Domain) -> torch.Tensor:
    return domain.unscaled(torch.rand(7, domain.dimensions, generator=torch.Generator().manual_seed(1)))


def k(x):
    return 1 + torch.sin(3 * x)


def D(e, *by):
    return sympy.diff(e, *by)


K = 1 + sympy.sin(3 * X)
EXPRESSIONS = {
    "a flux with a coefficient": (lambda u, x: ((1 + x) * u.x).x, D((1 + X) * D(U, X), X)),
    "a square of a derivative": (lambda u: (u.x**2).x, D(D(U, X) ** 2, X)),
    "a function of a field": (lambda u: torch.sin(u).xx, D(sympy.sin(U), X, 2)),
    "a mixed derivative": (lambda u: (u**2).xt, D(U**2, X, T)),
    "a divergence": (
        lambda u, x: (k(x) * u.x).x + (k(x) * u.y).y,
        D(K * D(U, X), X) + D(K * D(U, Y), Y),
    ),
    "two fields": (lambda u, v: (u * v.x).x, D(U * D(V, X), X)),
    "a coefficient of another field": (lambda u, v: ((1 + v**2) * u.x).x, D((1 + V**2) * D(U, X), X)),
    "a Laplacian": (
        lambda u, x: (torch.exp(-x) * u.x).laplacian(),
        D(sympy.exp(-X) * D(U, X), X, 2) + D(sympy.exp(-X) * D(U, X), Y, 2),
    ),
    "a Laplacian of chosen coordinates": (lambda u: (u * u.t).laplacian("t"), D(U * D(U, T), T, 2)),
    "a biharmonic": (
        lambda u: u.laplacian().laplacian(),
        D(U, X, 4) + 2 * D(U, X, 2, Y, 2) + D(U, Y, 4),
    ),
    "a derivative of a derivative": (lambda u: u.x.x - u.xx + u.x.yt, D(U, X, Y, T)),
    "a product nested": (lambda u, x: (x * (x * u.x).x).x, D(X * D(X * D(U, X), X), X)),
    "three orders of an expression": (lambda u: (u * u.x).xxx, D(U * D(U, X), X, 3)),
    "a p-Laplacian": (
        lambda u: (torch.sqrt(u.x**2 + u.y**2) * u.x).x,
        D(sympy.sqrt(D(U, X) ** 2 + D(U, Y) ** 2) * D(U, X), X),
    ),
    "a time derivative of a product": (lambda u, t: (t * u).t - u.xx, D(T * U, T) - D(U, X, 2)),
    "a coordinate alone": (lambda u, x, t: u + (x**2 * t).x + x.x + x.t, U + 2 * X * T + 1),
    "methods of tensors": (lambda u, x: (x.sin() * u.x.square()).x, D(sympy.sin(X) * D(U, X) ** 2, X)),
    "a choice": (lambda u, x: torch.where(x > 0.1, u**2, u).x, D(U**2, X)),
    "a mask": (lambda u, x: u + (1.0 * (x > 0.1)).x, U),
    "a vector": (
        lambda u, v, x: (torch.stack([u, x * v]) @ torch.tensor([2.0, 3.0])).x,
        D(2 * U + 3 * X * V, X),
    ),
    "a derivative of a vector": (
        lambda u, v: torch.stack([u * u, v * u]).x.sum(),
        D(U * U + U * V, X),
    ),
    "parts of a vector": (lambda u, v: sum(torch.stack([u * v, v]).unbind()).x, D(U * V + V, X)),
    "the larger": (lambda u: (torch.max(torch.stack([u, u - 9]), 0).values * u).x, D(U * U, X)),
    "a power": (lambda u, x: (2.0**x * u**1.5 / (1 + u)).x, D(2**X * U**1.5 / (1 + U), X)),
    "by names": (lambda u, x: (x * u).d("y", 2) + (x * u.x).d("x"), D(X * U, Y, 2) + D(X * D(U, X), X)),
}


def residuals(equation, function, domain: Domain, x: torch.Tensor, derivatives: str) -> torch.Tensor:
    equations = Equations.of(equation, domain, told=("u", "v"))
    needed = Differentiated(equations.fields, equations.requests, derivatives)
    places = torch.tensor(["uv".index(name) for name in equations.fields])

    def at(x: torch.Tensor) -> torch.Tensor:
        return equations.residuals(needed.values(lambda x: function(x)[places], x), x)

    return vmap(at)(x)[:, 0]


def numbers(expression, symbols, x: torch.Tensor) -> torch.Tensor:
    told = sympy.lambdify(symbols, expression, "math")
    return torch.tensor([told(*row) for row in x.tolist()])


@pytest.mark.parametrize("derivatives", ["taylor", "nested"])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_derivative_of_an_expression_is_the_one_that_sympy_finds(name: str, derivatives: str) -> None:
    equation, expected = EXPRESSIONS[name]
    several = [equation, lambda v: v] if "v" in equation.__code__.co_varnames else equation
    x = points(BOX)
    found = residuals(several, fields, BOX, x, derivatives)
    torch.testing.assert_close(found, numbers(expected, (X, Y, T), x), rtol=1e-11, atol=1e-11)


def test_coordinates_with_longer_names_are_named() -> None:
    x = points(POLAR)
    found = residuals(
        lambda u, r, theta: (r * u.r).r / r + (torch.cos(theta) * u).d("theta"), polar, POLAR, x, "taylor"
    )
    expected = D(R * D(W, R), R) / R + D(sympy.cos(THETA) * W, THETA)
    torch.testing.assert_close(found, numbers(expected, (R, THETA), x), rtol=1e-11, atol=1e-11)


def test_a_coordinate_may_be_called_as_tensors_call_their_own() -> None:
    domain = Domain.of({"T": (0.0, 1.0), "d": (0.0, 1.0)})
    x = torch.tensor([[0.3, 0.6]])
    found = residuals(lambda u, T, d: (T * u).T + (d * u).d, lambda x: x[:1] ** 2 * x[1], domain, x, "nested")
    expected = 3 * x[:, 0] ** 2 * x[:, 1] + 2 * x[:, 0] ** 2 * x[:, 1]
    torch.testing.assert_close(found, expected)


def values_of(equations: Equations) -> dict[Request, torch.Tensor]:
    return {request: torch.tensor(0.3 + 0.1 * place) for place, request in enumerate(equations.requests)}


def nodes(equations: Equations) -> list[str]:
    """The operations of a residual, as they are traced."""
    values = values_of(equations)
    graph = make_fx(lambda values, x: equations.residuals(values, x))(values, torch.tensor([0.5, 0.2, 0.1]))
    return [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]


def test_an_equation_without_them_is_computed_from_tensors_alone() -> None:
    seen = []

    def plain(u, x, t):
        seen.append((type(x), type(u.x)))
        return u.t + torch.sin(x) * u * u.x - 0.1 * u.xx

    equations = Equations.of(plain, BOX)
    seen.clear()
    found = nodes(equations)
    assert set(seen) == {(torch.Tensor, torch.Tensor)}
    arithmetic = [name for name in found if name.split(".")[1] in ("sin", "mul", "add", "sub")]
    assert len(arithmetic) == 1 + 3 + 1 + 1 and len(found) <= len(arithmetic) + 4  # selects and a stack


def test_the_trace_of_a_flux_gives_its_numbers_and_those_of_other_points() -> None:
    equations = Equations.of(lambda u, x: ((1 + x) * u.x).x, BOX)
    assert set(equations.requests) == {Request("u", ((0,),)), Request("u", ((0, 0),))}
    values, x = values_of(equations), torch.tensor([0.5, 0.2, 0.1])
    traced = make_fx(lambda values, x: equations.residuals(values, x))(values, x)
    for shift in (0.0, 1.0):
        moved = {request: value + shift for request, value in values.items()}
        expected = moved[Request("u", ((0,),))] + (1.5 + shift) * moved[Request("u", ((0, 0),))]
        torch.testing.assert_close(traced(moved, x + shift), expected[None])


def test_is_differentiated_mapped_and_abstract_as_other_equations_are() -> None:
    equations = Equations.of(lambda u, x: (x * u.x**2).x, BOX)
    first, second = Request("u", ((0,),)), Request("u", ((0, 0),))
    x = torch.tensor([0.5, 0.2, 0.1])

    def residual(a, b, x):  # a^2 + 2 x a b
        return equations.residuals({first: a, second: b}, x)[0]

    a, b = torch.tensor(3.0), torch.tensor(-2.0)
    assert float(residual(a, b, x)) == 9.0 + 2 * 0.5 * 3.0 * -2.0
    assert float(grad(residual)(a, b, x)) == 2 * 3.0 + 2 * 0.5 * -2.0
    assert float(grad(residual, 1)(a, b, x)) == 2 * 0.5 * 3.0
    assert float(grad(grad(residual))(a, b, x)) == 2.0
    assert jacrev(residual, 2)(a, b, x).tolist() == [2 * 3.0 * -2.0, 0.0, 0.0]
    assert vmap(residual, (0, None, None))(torch.stack([a, b]), b, x).shape == (2,)
    meta = {request: torch.empty((), device="meta") for request in (first, second)}
    assert equations.residuals(meta, torch.empty(3, device="meta")).device.type == "meta"
    single = {request: torch.ones((), dtype=torch.float32) for request in (first, second)}
    assert equations.residuals(single, x.float()).dtype == torch.float32


def test_the_order_of_an_expression_counts() -> None:
    equations = Equations.of(lambda u, x: ((1 + x) * u.xx).xx + (u * u.t).t, BOX)
    assert equations.order("u", "x") == 4 and equations.order("u", "t") == 2


REFUSED = {
    "an unknown coordinate": (
        AttributeError,
        r"\(\.\.\.\)\.q must be a derivative by the coordinates x, y, t",
        lambda u: (u * u.x).q,
    ),
    "an unknown one of a derivative": (
        AttributeError,
        r"u\.x\.q must be a derivative by the coordinates x, y, t\. Did you mean u\.x\.x\?",
        lambda u: u.x.q,
    ),
    "an unknown name": (ValueError, r"\(\.\.\.\)\.z must be a derivative by", lambda u: (2 * u).d("z")),
    "an order that is too high": (
        ValueError,
        r"the derivative of u must be of an order from 1 to 4\. Got .*\('x', 'x', 'x', 'x', 'x'\)",
        lambda u: (u * u.xxx).xx,
    ),
    "an order that is too high at once": (
        ValueError,
        r"the derivative of \(\.\.\.\) must be of an order from 1 to 4",
        lambda u: (2 * u).xxxxx,
    ),
    "a call": (TypeError, r"u\.x is a value at one point, no function.*Leave them out", lambda u: u.x()),
    "what writes": (
        TypeError,
        r"must be made without writing into tensors.*torch\.stack",
        lambda u, x: (u.x.x, torch.ones(2).index_copy_(0, torch.tensor([0]), u.x[None]).x)[0],
    ),
    "a transform in between": (
        TypeError,
        r"In the equation: what is differentiated must be made by functions of torch.*Write k\(x\)\.x",
        lambda u, x: torch.func.grad(k)(x) * u + (x * u).xy,
    ),
    "an item that is set": (TypeError, r"made without writing into tensors.*__setitem__", lambda u: put(u)),
}


def put(u):
    y = torch.zeros(2)
    y[0] = u.x.x
    return y[0]


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_derivative_is_refused(name: str) -> None:
    kind, story, equation = REFUSED[name]
    with pytest.raises(kind, match=story):
        Equations.of(equation, BOX)


@pytest.mark.parametrize("derivatives", ["taylor", "nested"])
def test_a_rod_of_varying_conductivity_has_its_closed_form(derivatives: str) -> None:
    # ((1 + x) u')' = 0 with u(0) = 0, u(1) = 1
    solution = pinn.solve_ode(
        lambda u, x: ((1 + x) * u.x).x, (0.0, 1.0), coordinate="x",
        conditions=[pinn.dirichlet("x", 0.0, side="lower"), pinn.dirichlet("x", 1.0, side="upper")],
        reference=lambda x: torch.log1p(x) / math.log(2), derivatives=derivatives, progress=False,
    )  # fmt: skip
    assert solution.status.converged and solution.max_error < 1e-9


def test_a_nonlinear_flux_is_solved_in_a_box() -> None:
    # u_t = (u u_x)_x + f for u = 2 + x (1 - x) exp(-t)
    def source(x, t):
        w, e = x * (1 - x), torch.exp(-t)
        return -w * e - (((1 - 2 * x) * e) ** 2 + (2 + w * e) * (-2 * e))

    solution = pinn.solve_pde(
        lambda u, x, t: u.t - (u * u.x).x - source(x, t), {"x": (0.0, 1.0), "t": (0.0, 1.0)},
        [pinn.initial(lambda x: 2 + x * (1 - x)), pinn.dirichlet("x", 2.0)],
        reference=lambda x, t: 2 + x * (1 - x) * torch.exp(-t), method="random_features",
        hidden=(60,), points=200, tol=1e-3, progress=False,
    )  # fmt: skip
    assert solution.relative_l2 < 1e-5
