"""A task: what is asked and where, weights balance, and conditions that clash are refused."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch.func import grad, jacrev, vmap

from funcsci import pinn, random, tree
from funcsci.autodiff import derivative
from funcsci.pinn.attempts import Attempts
from funcsci.pinn.network import Focus, NetworkSettings
from funcsci.pinn.requirements import all_residuals
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import EDGE_SHARE, empty_params, make_task

SETTINGS = Settings(random.key(0))
SHAPE = NetworkSettings((16,))
SQUARE = {"x": (0.0, 1.0), "t": (0.0, 2.0)}


def heat(**options):
    return pinn.pde(
        lambda u: u.t - u.xx / 4,
        SQUARE,
        [
            pinn.initial(lambda x: torch.sin(math.pi * x), **options),
            pinn.dirichlet("x", 0.0, **options),
        ],
    )


def started(task):
    return task.trial.init(random.key(5), **task.settings.where)


def test_the_loss_is_the_weighted_mean_of_squares_of_all_that_is_asked() -> None:
    problem = pinn.ode(
        lambda u, x: u.xx + x * u,
        (0.0, 2.0),
        coordinate="x",
        conditions=[
            pinn.dirichlet("x", 0.3, side="lower", hard=False, weight=5.0),
            pinn.neumann("x", -2.0, side="upper", weight=0.5),
        ],
    )
    task = make_task(problem, SETTINGS, SHAPE)
    training, params = task.training(10, random.key(1), "uniform"), started(task)

    def u(x):
        return task.trial.apply(params, x[None])[0]

    x = training[0][1].x[:, 0]
    inside = vmap(lambda x: derivative(u, 2)(x) + x * u(x))(x)
    (size,), (unit,) = task.scales.equations, task.scales.fields
    lower = (u(torch.tensor(0.0)) - 0.3) / unit
    upper = (derivative(u)(torch.tensor(2.0)) + 2.0) / (
        unit / 2.0
    )  # over the slope of a unit over the length
    expected = (inside / size).square().mean() + 5 * lower**2 + 0.5 * upper**2
    found = task.loss(params, tuple(points for _, points in training))
    assert float(found) == pytest.approx(float(expected), rel=1e-10)


def test_nested_and_taylor_derivatives_leave_the_same() -> None:
    problem = pinn.pde(
        lambda u, v, x, t: (u.t + u * u.x - v.xxt + t * u.laplacian("x", "t"), v.xxxx * torch.exp(u) - x),
        SQUARE,
        [
            pinn.initial(lambda x: torch.sin(x), field="u"),
            pinn.dirichlet("x", lambda t: torch.sin(t), side="lower", field="v"),
            pinn.robin("x", 1.0, -2.0, lambda t: t, field="u"),
            pinn.neumann("x", 1.0, order=3, side="upper", field="v"),
        ],
        well_posed=False,
    )
    found = []
    for derivatives in ("taylor", "nested"):
        task = make_task(problem, SETTINGS._replace(derivatives=derivatives), SHAPE)
        params, training = started(task), task.training(10, random.key(0), "sobol")
        found += [all_residuals(task.residual(one), params, points) for one, points in training]
        found += tree.leaves(grad(task.loss)(params, tuple(points for _, points in training)))
    half = len(found) // 2
    assert half == 4 + 4
    for taylor, nested in zip(found[:half], found[half:], strict=True):
        torch.testing.assert_close(taylor, nested, rtol=1e-10, atol=1e-10 * float(nested.abs().max()))


def test_balanced_requirements_pull_alike() -> None:
    task = make_task(heat(hard=False), SETTINGS, SHAPE)
    params = started(task)
    balanced = task.balanced(params)
    assert len(balanced.balance) == 4 and balanced.balance[0] == 1.0

    def pull(one, points) -> float:
        jacobian = vmap(jacrev(balanced.residual(one)), in_dims=(None, 0))(params, points)
        return float(sum(leaf.square().sum() for leaf in tree.leaves(jacobian)))

    fresh = balanced.training(2000, random.key(7), "sobol")
    pulls = [pull(one, points) for one, points in fresh]
    assert pulls == pytest.approx([pulls[0]] * 4, rel=0.1)


def test_given_weights_are_kept() -> None:
    problem = pinn.pde(
        lambda u: u.t - u.xx / 4,
        SQUARE,
        [pinn.initial(0.0, hard=False, weight=7.0), pinn.dirichlet("x", 0.0, hard=False)],
    )
    task = make_task(problem, SETTINGS, SHAPE)
    sums = [float(points.weight.sum()) for _, points in task.training(50, random.key(0), "sobol")]
    assert sums == pytest.approx([1.0, 7.0, 1.0, 1.0])
    balanced = task.balanced(started(task)).training(50, random.key(0), "sobol")
    assert float(balanced[1][1].weight.sum()) == pytest.approx(7.0)
    assert float(balanced[2][1].weight.sum()) != pytest.approx(1.0)
    alone = make_task(heat(), SETTINGS, SHAPE)
    assert alone.balanced(started(alone)) is alone


def test_points_are_inside_and_at_their_edges() -> None:
    task = make_task(heat(hard=False), SETTINGS, SHAPE)
    inside, *edges = (points for _, points in task.training(100, random.key(0), "sobol"))
    assert inside.x.shape == (100, 2) and not bool(inside.target.any())
    assert bool(((inside.x >= 0) & (inside.x <= torch.tensor([1.0, 2.0]))).all())
    assert [len(points.x) for points in edges] == 3 * [int(EDGE_SHARE * 100)]
    initial, lower, upper = edges
    assert (
        not bool(initial.x[:, 1].any()) and not bool(lower.x[:, 0].any()) and bool((upper.x[:, 0] == 1).all())
    )
    torch.testing.assert_close(initial.target, torch.sin(math.pi * initial.x[:, 0]))


@pytest.mark.parametrize("sampling", ["sobol", "uniform", "latin_hypercube", None])
def test_held_out_points_are_not_trained_on(sampling: str | None) -> None:
    settings = SETTINGS._replace(points=200, sampling=sampling)
    for problem in (heat(hard=False), pinn.ode(lambda u: u.t + u, (0.0, 1.0), 1.0)):
        first, second = (Attempts(partial(make_task, problem, settings), SHAPE) for _ in range(2))
        edge = int(EDGE_SHARE * 200)
        edges = [edge] * 3 if problem.domain.dimensions > 1 else []
        inside = 200 if problem.domain.dimensions > 1 else 300 + 1
        assert [len(points.x) for _, points in first.held_out] == [inside, *edges]
        for (_, ours), (_, theirs) in zip(first.held_out, first.training, strict=True):
            assert float(torch.cdist(ours.x, theirs.x).min()) > 0
        for (_, a), (_, b) in zip(first.held_out, second.held_out, strict=True):
            assert torch.equal(a.x, b.x)


def test_each_point_stands_for_its_share_of_the_domain() -> None:
    task = make_task(pinn.ode(lambda u: u.t + u, (2.0, 6.0), 1.0), SETTINGS, SHAPE)
    x = torch.tensor([5.0, 2.0, 3.0, 5.5])
    # Cells end in the middle between neighbours: 2 to 2.5, to 4, to 5.25, to 6, of a length of four.
    torch.testing.assert_close(task.share(x[:, None]), torch.tensor([1.25, 0.5, 1.5, 0.75]) / 4)
    crowded = 2 + 4 * torch.rand(500, generator=torch.Generator().manual_seed(0)) ** 3
    mean = float(task.share(crowded[:, None]) @ torch.exp(-crowded))
    assert mean == pytest.approx((math.exp(-2) - math.exp(-6)) / 4, rel=1e-3)
    box = make_task(heat(), SETTINGS, SHAPE)
    assert box.share(torch.rand(5, 2)).tolist() == [0.2] * 5


def test_all_that_is_asked_has_a_name() -> None:
    problem = pinn.ode(
        lambda u, v: (u.xx + v, v.xx + u),
        (0.0, 1.0),
        coordinate="x",
        conditions=[
            pinn.dirichlet("x", 0.0, side="lower", hard=False, field="u"),
            pinn.dirichlet("x", 0.0, side="upper", field="u"),
            pinn.neumann("x", 0.0, side="upper", field="v"),
            pinn.point({"x": 0.5}, 1.0, field="v"),
        ],
    )
    task = make_task(problem, SETTINGS, SHAPE)
    assert task.names == (
        "equation 1",
        "equation 2",
        "dirichlet(x) of u at x = 0",
        "neumann(x) of v at x = 1",
        "point(at {'x': 0.5}) of v",
    )
    assert make_task(heat(), SETTINGS, SHAPE).names == ("equation",)


REGULAR = {
    "initial value problem": (lambda u: u.tt + torch.sin(u), (1.0, 0.0), True),
    "start incomplete": (lambda u: u.tt + u, (1.0, None), False),
    "singular at its start": (lambda u, t: t * u.tt + u.t + u, (1.0, 0.0), False),
}


@pytest.mark.parametrize("name", REGULAR)
def test_knows_where_one_solution_is_certain(name: str) -> None:
    equation, (u0, du0), certain = REGULAR[name]
    problem = pinn.ode(equation, (0.0, 1.0), u0, du0, well_posed=False)
    assert make_task(problem, SETTINGS, SHAPE).starts_regularly is certain


def test_boxes_boundary_values_and_conditions_in_the_loss_do_not_make_a_solution_certain() -> None:
    soft = [pinn.initial(1.0, hard=False), pinn.initial(0.0, order=1, hard=False)]
    for problem in (
        heat(),
        pinn.ode(lambda u: u.xx + u, (0.0, 1.0), coordinate="x", conditions=pinn.dirichlet("x", 0.0)),
        pinn.ode(lambda u: u.tt + u, (0.0, 1.0), conditions=soft),
    ):
        assert not make_task(problem, SETTINGS, SHAPE).starts_regularly


def test_data_and_places_are_the_same_points_each_time() -> None:
    problem = pinn.pde(
        lambda u: u.t - u.xx / 4,
        SQUARE,
        [
            pinn.initial((np.array([0.25, 0.5]), np.array([1.0, 2.0]))),
            pinn.dirichlet("x", 0.0, hard=False),
            pinn.point({"x": [0.1, 0.2, 0.3], "t": 1.0}, [4.0, 5.0, 6.0], weight=2.0),
        ],
    )
    task = make_task(problem, SETTINGS, SHAPE)
    assert task.fixed == (False, True, False, False, True)
    _, data, _, _, places = (points for _, points in task.training(10, random.key(0), "uniform"))
    assert data.x.tolist() == [[0.25, 0.0], [0.5, 0.0]] and data.target.tolist() == [1.0, 2.0]
    assert places.x.tolist() == [[0.1, 1.0], [0.2, 1.0], [0.3, 1.0]] and places.target.tolist() == [4, 5, 6]
    assert float(places.weight.sum()) == pytest.approx(2.0)
    ends = make_task(
        pinn.ode(lambda u: u.xx, (0.0, 1.0), coordinate="x", conditions=pinn.dirichlet("x", 0.0, hard=False)),
        SETTINGS,
        SHAPE,
    )
    assert ends.fixed == (False, True, True)


@pytest.mark.parametrize(
    ("equation", "affine"),
    [
        (lambda u, x: u.xx + torch.exp(x) * u - torch.sin(x), True),
        (lambda u: 3 * u.x - u.xt, True),
        (lambda u: 1e-3 * u**2 + u.xx, False),
        (lambda u: u.t + u * u.x, False),
        (lambda u: u.xx + torch.sin(u), False),
        (lambda u: u.xx + torch.sqrt(u), False),
    ],
)
def test_tells_affine_equations_from_others(equation, affine: bool) -> None:
    task = make_task(pinn.pde(equation, SQUARE, [], well_posed=False), SETTINGS, SHAPE)
    assert task.problem.affine is affine


def test_points_crowd_where_a_transient_is() -> None:
    stiff = make_task(pinn.ode(lambda u: u.t + 1000 * u, (0.0, 1.0), 1.0), SETTINGS, SHAPE)
    assert stiff.trial.foci == (Focus(-1.0, pytest.approx(1e-3)),)
    points = stiff.training(400, random.key(0), "chebyshev")[0][1].x
    assert len(points) == 400 and int((points < 1e-3).sum()) >= 5
    assert float(points.min()) >= 0 and float(points.max()) <= 1
    mild = make_task(pinn.ode(lambda u: u.t + u, (0.0, 1.0), 1.0), SETTINGS, SHAPE)
    assert int((mild.training(400, random.key(0), "uniform")[0][1].x < 1e-3).sum()) <= 3


CLASHES = {
    "corner": (
        [pinn.initial(lambda x: 1 + x), pinn.dirichlet("x", 0.0, side="lower")],
        r"dirichlet\(x\) at x = 0 and initial\(t\) at t = 0, which ask that u be 0 and 1 at x = 0, t = 0",
    ),
    "one side": (
        [pinn.initial(lambda x: x), pinn.dirichlet("x", 0.0)],
        "dirichlet.* at x = 1 and initial.* that u be 0 and 1 at x = 1, t = 0",
    ),
    "numbers": ([pinn.initial(1.0), pinn.dirichlet("x", 2.0)], "that u be 2 and 1 at x = 0, t = 0"),
    "velocity": (
        [pinn.initial(0.0), pinn.initial(1.0, order=1), pinn.dirichlet("x", 0.0)],
        "that the derivative of u by t be 0 and 1 at x = 0, t = 0",
    ),
    "slope": (
        [pinn.initial(lambda x: x * (1 - x)), pinn.dirichlet("x", 0.0), pinn.neumann("x", 0.0)],
        "that the derivative of u by x be 0 and 1 at x = 0, t = 0",
    ),
    "later": (
        [pinn.initial(0.0), pinn.dirichlet("x", lambda t: 0.01 * torch.cos(t))],
        r"that u be 0\.01 and 0 at x = 0, t = 0",
    ),
}


@pytest.mark.parametrize("name", CLASHES)
def test_built_in_conditions_that_disagree_are_refused_by_the_corner_where_they_meet(name: str) -> None:
    conditions, story = CLASHES[name]
    problem = pinn.pde(lambda u: u.tt - u.xx, SQUARE, conditions, well_posed=False)
    story = rf"Conditions must agree where they meet\. Got .*{story}\..*hard=False"
    with pytest.raises(ValueError, match=story):
        make_task(problem, SETTINGS, SHAPE)


def test_a_corner_is_an_edge_where_there_are_three_coordinates() -> None:
    conditions = [pinn.initial(lambda x, y: y), pinn.dirichlet("x", 0.0, side="lower")]
    problem = pinn.pde(lambda u: u.t - u.x - u.yy, {**SQUARE, "y": (2.0, 3.0)}, conditions, well_posed=False)
    with pytest.raises(ValueError, match=r"u be 0 and (2\.\d+) at x = 0, t = 0, y = \1\."):
        make_task(problem, SETTINGS, SHAPE)


def test_conditions_that_agree_or_are_in_the_loss_are_accepted() -> None:
    agree = [
        pinn.initial(lambda x: torch.sin(3 * x)),
        pinn.initial(lambda x: x, order=1),
        pinn.dirichlet("x", 0.0, side="lower"),
        pinn.dirichlet("x", lambda t: math.sin(3) + t, side="upper"),
    ]
    make_task(pinn.pde(lambda u: u.tt - u.xx, SQUARE, agree), SETTINGS, SHAPE)
    soft = [pinn.initial(1.0, hard=False), pinn.dirichlet("x", 2.0)]
    make_task(pinn.pde(lambda u: u.t - u.xx, SQUARE, soft), SETTINGS, SHAPE)
    # Another field may do as it likes.
    two = [pinn.initial(1.0, field="u"), pinn.dirichlet("x", 2.0, field="v")]
    make_task(pinn.pde(lambda u, v: (u.t, v.xx), SQUARE, two), SETTINGS, SHAPE)


PERIODIC = {
    "jump": (lambda u: u.t + u.x, [pinn.initial(lambda x: x)]),
    "kink": (lambda u: u.t - u.xx, [pinn.initial(lambda x: x * (1 - x))]),
}


@pytest.mark.parametrize("name", PERIODIC)
def test_an_initial_condition_that_is_not_periodic_is_refused_where_the_solution_is(name) -> None:
    equation, conditions = PERIODIC[name]
    problem = pinn.pde(equation, SQUARE, [*conditions, pinn.periodic("x")])
    with pytest.raises(ValueError, match=r"Conditions must agree where they meet.*periodic"):
        make_task(problem, SETTINGS, SHAPE)


def test_periodic_initial_conditions_are_accepted() -> None:
    def start(x):
        return torch.exp(torch.sin(2 * math.pi * x))

    for equation in (lambda u: u.t + u.x, lambda u: u.t - u.xx, lambda u: u.t + u.xxxx):
        make_task(pinn.pde(equation, SQUARE, [pinn.initial(start), pinn.periodic("x")]), SETTINGS, SHAPE)
    # A kink in the first derivative is no contradiction for an equation of first order.
    kink = [pinn.initial(lambda x: x * (1 - x)), pinn.periodic("x")]
    make_task(pinn.pde(lambda u: u.t + u.x, SQUARE, kink), SETTINGS, SHAPE)


def test_empty_parameters_have_the_shapes_of_a_network() -> None:
    problem = pinn.pde(
        lambda u, v: (u.t - v.xx, v.t + u.xx),
        SQUARE,
        [pinn.periodic("x"), pinn.initial(0.0, field="u"), pinn.initial(0.0, field="v")],
    )
    shape = NetworkSettings((5, 3), harmonics=2)
    task = make_task(problem, SETTINGS, shape)
    empty = empty_params(problem, shape, torch.float64)
    assert [leaf.shape for leaf in tree.leaves(empty)] == [leaf.shape for leaf in tree.leaves(started(task))]
    assert {leaf.device.type for leaf in tree.leaves(empty)} == {"meta"}
