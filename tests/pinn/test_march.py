"""Marching: what a slab costs does not depend on how many were before it, and the state goes on exactly."""

import math
import warnings
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, cos, exp, sin
from torch.func import vmap
from torch.utils._python_dispatch import TorchDispatchMode

from funcsci import pinn, random
from funcsci.optim import Status
from funcsci.pinn import Solution
from funcsci.pinn.domain import along, replaced
from funcsci.pinn.interface import Interface
from funcsci.pinn.march import adaptively
from funcsci.pinn.network import NetworkSettings, network
from funcsci.pinn.parts import slab
from funcsci.pinn.settings import Settings
from funcsci.tree import Params

PI = math.pi
PRODUCTS = (torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.mv, torch.ops.aten.addmv)
START = pinn.initial(lambda x: sin(PI * x))
AT_REST = pinn.initial(0.0, order=1)
ENDS = pinn.dirichlet("x", 0.0)


class Products(TorchDispatchMode):
    """Counts matrix products."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += function.overloadpacket in PRODUCTS
        return function(*args, **(kwargs or {}))


def box(time: float, **more: tuple[float, float]) -> dict[str, tuple[float, float]]:
    return {"x": (0.0, 1.0), **more, "t": (0.0, time)}


def marched(problem: pinn.Problem, slabs: int, width: int, **options) -> Solution:  # type: ignore[no-untyped-def]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "solve did not converge")
        return pinn.solve(
            problem, method="random_features", slabs=slabs, hidden=(width,), progress=False, **options
        )


ORDERS: dict[str, Callable[[], pinn.Problem]] = {
    "an order of 1": lambda: pinn.pde(lambda u: u.t - u.xx / 9, box(1.0), [START, ENDS]),
    "an order of 2": lambda: pinn.pde(lambda u: u.tt - u.xx, box(1.0), [START, AT_REST, ENDS]),
    "an order of 3": lambda: pinn.pde(
        lambda u: u.ttt - u.xx, box(1.0), [START, AT_REST, pinn.initial(0.0, order=2), ENDS]
    ),
    "two fields of two orders": lambda: pinn.pde(
        lambda u, v: (u.tt - u.xx + v, v.t - v.xx),
        box(1.0),
        [
            START._replace(field="u"),
            AT_REST._replace(field="u"),
            START._replace(field="v"),
            pinn.dirichlet("x", 0.0, field="u"),
            pinn.dirichlet("x", 0.0, field="v"),
        ],
    ),
    "a periodic coordinate": lambda: pinn.pde(
        lambda u: u.tt - u.xx,
        box(1.0),
        [pinn.initial(lambda x: sin(2 * PI * x)), AT_REST, pinn.periodic("x")],
    ),
    "a system on a line": lambda: pinn.ode(lambda u, v: (u.t - v, v.t + u), (0.0, 1.0), (1.0, 0.0)),
    "an oscillation on a line": lambda: pinn.ode(lambda u: u.tt + u, (0.0, 1.0), 1.0, 0.0),
}


@pytest.mark.parametrize("name", ORDERS)
def test_a_point_costs_as_many_products_for_each_slab(name: str) -> None:
    found = []
    for slabs in (1, 3):
        solution = marched(ORDERS[name](), slabs, 6, points=16, tol=1e9)
        x = torch.full((solution.problem.domain.dimensions,), 0.37)
        with Products() as products:
            solution.function(x)
        found.append(products.count)
    assert found == [found[0], 3 * found[0]]


CONTINUED: dict[str, tuple[Callable[[], pinn.Problem], int]] = {
    "heat": (lambda: pinn.pde(lambda u: u.t - u.xx / 9, box(1.0), [START, ENDS]), 64),
    "wave": (lambda: pinn.pde(lambda u: u.tt - u.xx, box(1.0), [START, AT_REST, ENDS]), 64),
    "beam": (
        lambda: pinn.pde(
            lambda u: u.tt + u.xxxx / 99,
            box(1.0),
            [
                pinn.initial(lambda x: x**2 * (1 - x) ** 2),
                AT_REST,
                ENDS,
                pinn.neumann("x", 0.0),
            ],
        ),
        64,
    ),
    "edges that move": (
        lambda: pinn.pde(
            lambda u: u.tt - u.xx,
            box(1.0),
            [
                pinn.initial(lambda x: sin(2 * x)),
                pinn.initial(lambda x: -2 * cos(2 * x), order=1),
                pinn.dirichlet("x", lambda x, t: sin(2 * (x - t))),
            ],
        ),
        64,
    ),
    "a plane": (
        lambda: pinn.pde(
            lambda u: u.t - u.xx / 9 - u.yy / 9,
            box(1.0, y=(0.0, 2.0)),
            [pinn.initial(lambda x, y: sin(PI * x) * sin(PI * y)), pinn.dirichlet(("x", "y"), 0.0)],
        ),
        64,
    ),
    "a strip": (
        lambda: pinn.pde(
            lambda u: u.t - u.xx / 9 + u.y,
            box(1.0, y=(0.0, 2.0)),
            [pinn.initial(lambda x, y: sin(PI * x) * sin(PI * y)), ENDS, pinn.periodic("y")],
        ),
        64,
    ),
}


def rounding(part) -> float:  # type: ignore[no-untyped-def]
    """The round-off in a network's value: of the terms in its sum, which may cancel."""
    weights = part.stages[0].params["layers"][-1]["weight"]
    return float(torch.finfo(weights.dtype).eps * weights.abs().sum())


@pytest.mark.parametrize("name", CONTINUED)
def test_a_state_is_the_end_of_the_slab_before(name: str) -> None:
    make, width = CONTINUED[name]
    problem = make()
    domain = problem.domain
    solution = marched(problem, 2, width, points=256, tol=1e9)
    before, after = solution.parts
    exact = rounding(before)
    assert after.state is not None and after.state.error < exact
    index, place = domain.index("t"), after.problem.domain.ranges["t"][0]
    x = domain.unscaled(random.uniform(random.key(0), (200, domain.dimensions)))
    orders = sum(face.index == index for face in problem.edges.hard)
    for order in range(orders):
        for across in range(3):

            def of(part, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
                def by_time(x: Tensor) -> Tensor:
                    return along(
                        lambda x: part.function(x)[0],
                        replaced(x, index, place),
                        index,
                        order,  # noqa: B023
                    )

                return along(by_time, x, 0, across)  # noqa: B023

            ends, begins = (vmap(lambda x, part=part: of(part, x))(x) for part in (before, after))
            assert float((begins - ends).abs().max()) < exact * 300**across * max(
                1.0, float(ends.abs().max())
            )


@pytest.mark.parametrize("name", ["wave", "beam", "edges that move", "a plane", "a strip"])
def test_conditions_at_other_edges_hold_exactly_in_every_slab(name: str) -> None:
    problem = CONTINUED[name][0]()
    domain = problem.domain
    solution = marched(problem, 3, 16, points=64, tol=1e9)
    inside = domain.unscaled(random.uniform(random.key(1), (300, domain.dimensions)))
    for face in problem.edges.hard:
        if face.index == domain.index("t"):
            continue
        x = torch.stack([replaced(one, face.index, face.end(domain)) for one in inside])
        ((factor, order),) = face.terms
        found = vmap(lambda x: factor * along(lambda x: solution.function(x)[0], x, face.index, order))(x)  # noqa: B023
        assert float((found - vmap(face.at)(x)).abs().max()) < 1e-12


@pytest.mark.parametrize("name", ["wave", "a strip"])
def test_a_saved_march_is_loaded_to_the_bit_and_fits_nothing(name: str, tmp_path, monkeypatch) -> None:
    problem = CONTINUED[name][0]()
    solution = marched(problem, 3, 16, points=64, tol=1e9)
    solution.save(tmp_path / "march")
    monkeypatch.delattr(Interface, "stored")
    again = Solution.load(tmp_path / "march", problem=problem)
    x = problem.domain.unscaled(random.uniform(random.key(2), (100, problem.domain.dimensions))).T
    assert torch.equal(again(*x), solution(*x))
    assert torch.equal(again.derivative("xt", *x), solution.derivative("xt", *x))
    assert [part.state.error for part in again.parts[1:]] == [part.state.error for part in solution.parts[1:]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_state_of_nothing_is_nothing(dtype: torch.dtype) -> None:
    problem = pinn.pde(lambda u: u.tt - u.xx, box(1.0), [pinn.initial(0.0), AT_REST, ENDS])
    solution = marched(problem, 2, 16, points=64, dtype=dtype)
    assert solution.parts[1].state.error == 0.0 and solution(0.3, 0.9) == 0.0


EXACT: dict[str, tuple[Callable[[], pinn.Problem], int, int, float]] = {
    "two waves run through each other": (
        lambda: pinn.pde(
            lambda u: u.tt - u.xx,
            box(2.0),
            [START, AT_REST, ENDS],
            reference=lambda x, t: sin(PI * x) * cos(PI * t),
        ),
        4,
        160,
        1e-6,
    ),
    "Robin's and Neumann's conditions are soft": (
        lambda: pinn.pde(
            lambda u: u.t - u.xx,
            box(1.0),
            [
                pinn.initial(lambda x: cos(x)),
                pinn.neumann("x", 0.0, side="lower"),
                pinn.robin("x", math.sin(1.0), math.cos(1.0), 0.0, side="upper"),
            ],
            reference=lambda x, t: cos(x) * exp(-t),
        ),
        3,
        64,
        1e-7,
    ),
    "a periodic reaction that is not linear": (
        lambda: pinn.pde(
            lambda u, x, t: u.t + u * u.x - u.xx + u - sin(x - t) * cos(x - t) - 2 * sin(x - t) + cos(x - t),
            {"x": (0.0, 2 * PI), "t": (0.0, 1.0)},
            [pinn.initial(lambda x: sin(x)), pinn.periodic("x")],
            reference=lambda x, t: sin(x - t),
        ),
        2,
        128,
        1e-6,
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_a_march_meets_the_closed_form(name: str) -> None:
    make, slabs, width, error = EXACT[name]
    solution = marched(make(), slabs, width, tol=1e-6)
    assert len(solution.parts) == slabs and solution.relative_l2 < error


def test_a_poor_state_is_the_slabs_error_and_not_the_users(monkeypatch) -> None:
    monkeypatch.setattr("funcsci.pinn.interface.WAVES", (9,))
    problem = pinn.pde(lambda u: u.t - u.xx / 99, box(0.5), [pinn.initial(lambda x: sin(4 * PI * x)), ENDS])
    solution = marched(problem, 2, 96, tol=1e-6)
    missed = solution.parts[1].state.error
    assert missed > 1e-6 and not solution.status.converged
    assert solution.error_estimate["u"] >= 0.1 * missed  # a mean, beside the largest miss
    assert "the state at t = 0.25 is stored with a relative error" in solution.status.reason


def test_conditions_that_part_only_later_are_the_users() -> None:
    problem = pinn.pde(
        lambda u: u.t - u.xx - u.yy,
        box(1.0, y=(0.0, 1.0)),
        [pinn.initial(0.0), pinn.dirichlet("x", lambda t: t**4), pinn.dirichlet("y", 0.0)],
    )
    with pytest.raises(ValueError, match="Conditions must agree where they meet"):
        marched(problem, 50, 8)


def test_more_than_four_other_coordinates_are_not_marched() -> None:
    sides = {name: (0.0, 1.0) for name in "abcde"}
    for names, marched_along in (("abcd", "t"), ("abcde", None)):
        ranges = {name: sides[name] for name in names} | {"t": (0.0, 1.0)}
        problem = pinn.pde(lambda u: u.t + u.a, ranges, [pinn.initial(1.0)], well_posed=False)
        assert problem.marches == marched_along
    with pytest.raises(ValueError, match="slabs must be 1 .* or of more than 5 coordinates"):
        pinn.solve(problem, slabs=2, progress=False)


def test_a_state_in_three_dimensions_leaves_conditions_built_in() -> None:
    def exact(x: Tensor) -> Tensor:
        return exp(-3 * x[3:]) * sin(x[:1]) * sin(x[1:2]) * sin(x[2:3])

    sides = [
        pinn.dirichlet(name, lambda x, y, z, t: exp(-3 * t) * sin(x) * sin(y) * sin(z)) for name in "xyz"
    ]
    problem = pinn.pde(
        lambda u: u.t - u.laplacian("x", "y", "z") + 0 * u,
        box(0.2, y=(0.0, 1.0), z=(0.0, 1.0)),
        [pinn.initial(0.0)._replace(value=lambda x, y, z: sin(x) * sin(y) * sin(z), hard=True)]
        + [side._replace(hard=True) for side in sides],
    )
    interface = Interface.of(problem, "t", 0.1)
    state = interface.stored(exact, 0.1, Settings(random.key(0)))
    (condition,) = interface.conditions(state)
    places = 0.1 + 0.8 * torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
    places[:, 3] = 0.1
    for x in places:
        torch.testing.assert_close(condition.value.function(x), exact(x)[0], rtol=0, atol=10 * state.error)
    second = slab(problem, "t", 0.1, 0.2, state)
    assert state.error < 1e-10 and len(second.edges.hard) == len(problem.edges.hard) == 7


def test_a_nonlinear_equation_in_a_box_is_marched_by_default() -> None:
    def right(t, u):  # type: ignore[no-untyped-def]
        return 12 * (u - u**3)

    problem = pinn.pde(
        lambda u: u.t - 12 * (u - u**3),
        box(3.0),
        [pinn.initial(lambda x: 0.02 + 0.1 * x)],
    )
    solution = pinn.solve(problem, tol=1e-5, progress=False)
    assert solution.status.converged and len(solution.parts) > 1 and solution.method == "random_features"
    x = np.linspace(0.0, 1.0, 11)
    exact = solve_ivp(right, (0.0, 3.0), 0.02 + 0.1 * x, rtol=1e-10, atol=1e-12, dense_output=True)
    for t in (0.1, 0.3, 1.0, 3.0):
        assert np.abs(solution(x, t) - exact.sol(t)).max() < 1e-3


@pytest.mark.parametrize("activation, shortest", [("tanh", 1 / 16), ("waves", 1 / 64)])
def test_a_nonlinear_march_that_fails_ends_soon(activation: str, shortest: float, monkeypatch) -> None:
    spans = []

    def fails(problem, name, span, *others):  # type: ignore[no-untyped-def]
        spans.append(span)
        return None, SimpleNamespace(stopped="", status=Status(False, ""))

    monkeypatch.setattr("funcsci.pinn.march._solved", fails)
    problem = pinn.pde(lambda u: u.t - u.xx + u**3, box(4.0), [START, ENDS])
    settings = Settings(random.key(0), network=NetworkSettings((), activation=activation))
    assert adaptively(problem, settings, 1, "t", linear=False) is None
    lengths = [end - start for start, end in spans]
    assert lengths == [4.0 * 0.5**number for number in range(1, len(lengths) + 1)]
    assert lengths[-1] == 4.0 * shortest


STIFF: dict[str, tuple[Callable[..., Tensor], Callable[[np.ndarray], np.ndarray], float]] = {
    "Kuramoto and Sivashinsky": (
        lambda u: u.t + 6.25 * u * u.x + 0.390625 * u.xx + 0.0015258789 * u.xxxx,
        lambda k: 0.390625 * k**2 - 0.0015258789 * k**4,
        6.25,
    ),
    "Korteweg and de Vries": (
        lambda u: u.t + u * u.x + 0.0484 * u.xxx,
        lambda k: 0.0484j * k**3,
        1.0,
    ),
}


@pytest.mark.parametrize("name", STIFF)
def test_the_error_of_a_stiff_periodic_march_is_the_one_it_tells(name: str) -> None:
    equation, symbol, speed = STIFF[name]
    modes, end = 96, 0.03
    x = 2 * PI * np.arange(modes) / modes
    k = np.fft.rfftfreq(modes, 1 / modes)

    def rates(_: float, u: np.ndarray) -> np.ndarray:
        return np.fft.irfft(symbol(k) * np.fft.rfft(u) - 0.5j * speed * k * np.fft.rfft(u**2))

    tight = {"method": "Radau", "rtol": 1e-9, "atol": 1e-9, "t_eval": np.linspace(0, end, 7)}
    found = solve_ivp(rates, (0.0, end), np.cos(x) * (1 + np.sin(x)), **tight)
    problem = pinn.pde(
        equation,
        {"x": (0.0, 2 * PI), "t": (0.0, end)},
        [pinn.initial(lambda x: cos(x) * (1 + sin(x))), pinn.periodic("x")],
    )
    solution = pinn.solve(problem, slabs=3, tol=1e-6, method="random_features", progress=False)
    off, size = [], []
    for t, exact in zip(found.t, found.y.T, strict=True):
        off.append(np.linalg.norm(solution(x, float(t)) - exact))
        size.append(np.linalg.norm(exact))
    error, told = np.linalg.norm(off) / np.linalg.norm(size), solution.error_estimate["u"]
    assert solution.status.converged and solution.verdict.trusted and told / 10 < error < 10 * told


def test_waves_have_the_period_with_all_derivatives_whatever_trains_them() -> None:
    net = network(NetworkSettings((200,), activation="waves"), 2, 1, (0,))
    params = net.init(random.key(0), dtype=torch.float64, scales=torch.tensor([7.0, 3.0]))
    first, last = params["layers"]
    numbers, counts = first["weight"][:, 0].unique(return_counts=True)
    assert numbers.tolist() == list(range(8)) and bool((counts.diff() <= 0).all())
    assert float(first["weight"][:, 1].abs().max()) <= 3.0
    sine, cosine = first["bias"].chunk(2)  # of one weight
    assert torch.equal(*first["weight"].chunk(2))
    torch.testing.assert_close(cosine - sine, torch.full_like(sine, PI / 2))
    moved = {"layers": [{**first, "weight": first["weight"] + 0.3}, last]}

    def at_end(some: Params, order: int, end: float) -> Tensor:
        return along(lambda s: net.apply(some, s)[0], torch.tensor([end, 0.2]), 0, order)

    for order in range(4):
        for some in (params, moved):
            ends = (at_end(some, order, end) for end in (-1.0, 1.0))
            torch.testing.assert_close(*ends, rtol=1e-9, atol=1e-9)
    several = network(NetworkSettings((200,), activation="waves"), 2, 1, (0, 1)).init(
        random.key(0), dtype=torch.float64, scales=torch.tensor([3.0, 4.0])
    )
    assert several["layers"][0]["weight"][:, 1].unique().tolist() == list(range(-4, 5))


@pytest.mark.parametrize(
    ("told", "options"),
    [
        ("fourier_features must be 0 for a network of sines", {"fourier_features": 3}),
        ("harmonics must be 1 for waves", {"harmonics": 2}),
    ],
)
def test_waves_take_no_other_embedding(told: str, options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=told):
        pinn.solve_ode(lambda u: u.t + u, (0.0, 1.0), 1.0, activation="waves", progress=False, **options)
