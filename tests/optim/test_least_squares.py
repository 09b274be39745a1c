"""least_squares: points, trees, both forms of the normal equations, and every way to stop."""

import re
import time
import warnings

import pytest
import torch

from funcsci import random, tree
from funcsci.compile import compilations
from funcsci.optim import least_squares
from funcsci.optim.live_memory import peak_bytes

KEY = random.key(31)
T = torch.linspace(0, 3, 25, dtype=torch.float64)


def decay(params, point):
    """The residual of y = a exp(-b t) at one point."""
    return params["a"] * torch.exp(-params["b"] * point["t"]) - point["y"]


def data(noise: float = 0.0):
    return {"t": T, "y": 2 * torch.exp(-0.7 * T) + noise * random.normal(KEY, (25,))}


def start(dtype=torch.float64):
    return {"a": torch.tensor(1.0, dtype=dtype), "b": torch.tensor(0.1, dtype=dtype)}


def rosenbrock(x):
    return torch.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


ROSENBROCK = torch.tensor([-1.2, 1.0], dtype=torch.float64)


@pytest.mark.parametrize("backend", ["trace", "eager"])
def test_points_as_a_tree_recover_the_parameters(backend):
    found = least_squares(decay, start(), data(), backend=backend)
    assert found.status.converged
    torch.testing.assert_close(found.params["a"], torch.tensor(2.0), rtol=1e-12, atol=0)
    torch.testing.assert_close(found.params["b"], torch.tensor(0.7), rtol=1e-12, atol=0)
    assert tree.flatten(found.params)[1] == tree.flatten(start())[1]


def test_with_points_and_without_are_the_same_search():
    points = data(noise=0.1)
    by_point = least_squares(decay, start(), points)
    together = least_squares(lambda params: torch.func.vmap(decay, (None, 0))(params, points), start())
    torch.testing.assert_close(by_point.history, together.history, rtol=1e-10, atol=1e-25)
    assert by_point.status.converged


def test_a_vector_residual_at_a_point_counts_each_entry():
    points = data(noise=0.1)
    single = least_squares(decay, start(), points)
    pair = least_squares(lambda params, point: torch.stack([decay(params, point)] * 2), start(), points)
    torch.testing.assert_close(pair.value, 2 * single.value, rtol=1e-12, atol=0)


def test_a_nonzero_minimum_is_stationary_and_converged():
    points = data(noise=0.1)
    found = least_squares(decay, start(), points)

    def loss(params):
        return 0.5 * (torch.func.vmap(decay, (None, 0))(params, points) ** 2).sum()

    assert found.status.converged
    assert float(found.value) == pytest.approx(float(loss(found.params)), rel=1e-12)
    for slope in tree.leaves(torch.func.grad(loss)(found.params)):
        assert abs(float(slope)) < 1e-7


def test_units_of_residuals_and_parameters_change_no_step():
    """The search is the same for other units of both; powers of two round alike."""
    points = data(noise=0.1)

    def scaled(params, point):
        return 1024 * decay({"a": params["a"] / 4096, "b": params["b"]}, point)

    plain = least_squares(decay, start(), points)
    other = least_squares(scaled, {"a": 4096 * start()["a"], "b": start()["b"]}, points)
    torch.testing.assert_close(other.history, 1024**2 * plain.history, rtol=1e-9, atol=0)
    assert other.status == plain.status


def test_float32_ends_converged_within_its_round_off():
    points = tree.map(torch.Tensor.float, data(noise=0.1))
    found = least_squares(decay, start(torch.float32), points)
    exact = least_squares(decay, start(), data(noise=0.1))
    assert found.status.converged
    assert found.value.dtype == found.params["a"].dtype == torch.float32
    assert found.value.shape == ()
    assert float(found.params["b"]) == pytest.approx(float(exact.params["b"]), rel=1e-4)


@pytest.mark.parametrize("solver", ["qr", "svd", "cg", "lsmr"])
def test_solvers_take_the_same_path(solver):
    points = data(noise=0.1)
    by_cholesky = least_squares(decay, start(), points)
    other = least_squares(decay, start(), points, solver=solver, solver_tol=1e-12)
    assert other.status.converged
    both = min(len(by_cholesky.history), len(other.history)) - 2
    torch.testing.assert_close(other.history[:both], by_cholesky.history[:both], rtol=1e-6, atol=0)
    torch.testing.assert_close(other.value, by_cholesky.value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("solver", ["cholesky", "cg", "lsmr"])
def test_a_jacobian_in_parts_leads_where_the_whole_one_does(solver):
    """Normal equations summed over micro-batches, or products alone, end where the matrix does."""
    t = torch.linspace(0, 3, 4000)
    points = {"t": t, "y": 2 * torch.exp(-0.7 * t) + 0.1 * torch.sin(40 * t)}
    whole = least_squares(decay, start(), points)
    bounded = least_squares(decay, start(), points, solver=solver, solver_tol=1e-10, memory=60_000)
    assert bounded.status.converged
    for name in ("a", "b"):
        torch.testing.assert_close(bounded.params[name], whole.params[name], rtol=1e-7, atol=0)
    torch.testing.assert_close(bounded.value, whole.value, rtol=1e-12, atol=0)


@pytest.mark.parametrize("solver", ["cholesky", "cg", "lsmr"])
def test_the_bound_keeps_the_whole_jacobian_out_of_memory(solver):
    """Counted tensor by tensor, for 3,000 residuals of 40 parameters; with room, it is there."""
    centres = torch.linspace(0, 3, 40)
    t = torch.linspace(0, 3, 3000)

    def bumps(heights, point):
        return heights @ torch.exp(-(((point - centres) / 0.1) ** 2)) - torch.sin(4 * point)

    def peak(solver, memory):
        options = {"solver": solver, "memory": memory, "backend": "eager", "steps": 1, "warn": False}
        return peak_bytes(lambda: least_squares(bumps, torch.zeros(40), t, **options))

    jacobian = 8 * 3000 * 40
    assert peak("cholesky", None) > jacobian
    assert peak(solver, jacobian // 2) < jacobian


def test_gauss_newton_converges_quadratically_from_a_good_start():
    near = {"a": torch.tensor(1.9), "b": torch.tensor(0.75)}
    found = least_squares(decay, near, data(), method="gauss_newton")
    assert found.status.converged
    torch.testing.assert_close(found.params["b"], torch.tensor(0.7), rtol=1e-12, atol=0)
    errors = (2 * found.history[:4]).sqrt()
    assert errors[2] < 10 * errors[1] ** 2 and errors[3] < 10 * errors[2] ** 2 + 1e-14


def test_gauss_newton_takes_no_step_where_residuals_do_not_change():
    found = least_squares(
        lambda x: torch.stack([x[0] - 1, 2 * x[0] - 2, x[1] ** 3 - 8]), torch.tensor([5.0, 3.0, 0.25]),
        method="gauss_newton",
    )  # fmt: skip
    assert found.status.converged
    torch.testing.assert_close(found.params, torch.tensor([1.0, 2.0, 0.25]), rtol=1e-10, atol=0)


def test_an_interruption_returns_the_best_point():
    calls = []

    def residual(x):
        calls.append(1)
        if len(calls) > 20:
            raise KeyboardInterrupt
        return rosenbrock(x)

    found = least_squares(residual, ROSENBROCK, backend="eager", warn=False)
    taken = len(found.history) - 1
    assert str(found.status) == f"not converged: interrupted after {taken} of 200 steps"
    assert float(found.value) == float(found.history.min()) < float(found.history[0])


def test_a_time_limit_ends_the_search_with_the_best_so_far():
    def slow(x):
        time.sleep(0.02)
        return rosenbrock(x)

    with pytest.warns(RuntimeWarning, match="did not converge: the time limit was reached after"):
        found = least_squares(slow, ROSENBROCK, time_limit=0.2, backend="eager")
    taken = len(found.history) - 1
    assert found.status.reason == f"the time limit was reached after {taken} of 200 steps"
    assert (found.seconds[:-1] < 0.2).all()
    assert float(found.value) == float(found.history.min())


def test_a_time_limit_that_is_not_reached_changes_nothing():
    free, limited = (least_squares(rosenbrock, ROSENBROCK, time_limit=limit) for limit in (None, 1e3))
    assert free.status == limited.status and torch.equal(free.history, limited.history)


def test_fewer_residuals_than_parameters():
    def residual(x):
        return torch.stack([x[0] * x[1] - 1, torch.sin(x[2]) + x[3] ** 2 - 2])

    found = least_squares(residual, torch.full((5,), 0.5))
    assert found.status.converged
    assert float(residual(found.params).abs().max()) < 1e-14
    assert float(found.params[4]) == 0.5  # on which nothing depends


def test_a_column_of_zeros_at_the_start_gets_its_own_scale_later():
    """x[1] acts only once x[0] has moved."""

    def residual(x):
        return torch.stack([x[0] - 1, 1e-6 * x[0] * (x[1] - 3)])

    found = least_squares(residual, torch.tensor([0.0, 1.0]), steps=20)
    assert found.status.converged
    torch.testing.assert_close(found.params, torch.tensor([1.0, 3.0]), rtol=1e-9, atol=0)


@pytest.mark.parametrize("steps", [0, 5])
def test_an_optimal_start_is_left_where_it_is(steps):
    best = torch.tensor([1.0, 1.0])
    found = least_squares(rosenbrock, best, steps=steps)
    assert found.status.converged
    assert torch.equal(found.params, best)
    assert found.history.tolist() == [0.0]
    found = least_squares(lambda x: torch.stack([x[0], torch.ones(())]), torch.zeros(1), steps=steps)
    assert (found.status.converged, float(found.value)) == (True, 0.5)
    assert "gradient vanishes" in found.status.reason


def test_the_residual_tolerance_stops_the_search_early():
    found = least_squares(rosenbrock, ROSENBROCK, residual_tol=0.5)
    assert found.status.converged
    assert "root mean square" in found.status.reason
    rms = float(rosenbrock(found.params).square().mean().sqrt())
    assert 1e-8 < rms <= 0.5
    assert float(found.history[-2]) > 0.25


@pytest.mark.parametrize("tolerance", ["gradient_tol", "value_tol", "step_tol"])
def test_a_looser_tolerance_stops_earlier(tolerance):
    tight = least_squares(decay, start(), data(noise=0.1))
    loose = least_squares(decay, start(), data(noise=0.1), **{tolerance: 1e-2})
    assert loose.status.converged
    assert len(loose.history) < len(tight.history)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_steps_used_up_is_a_status_and_a_warning(steps):
    with pytest.warns(RuntimeWarning, match="did not converge: the steps allowed were used up"):
        found = least_squares(rosenbrock, ROSENBROCK, steps=steps)
    assert not found.status.converged
    assert found.history.shape == found.seconds.shape == (steps + 1,)
    assert found.history.dtype == found.seconds.dtype == torch.float64
    assert float(found.value) == float(found.history.min())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        least_squares(rosenbrock, ROSENBROCK, steps=steps, warn=False)


def test_a_search_that_gains_nothing_stalls():
    """The values creep down a logarithm for ever."""
    found = least_squares(
        lambda x: 1 + torch.exp(-(x**2).sum() / 1e4)[None], torch.ones(1), steps=500, warn=False
    )
    assert len(found.history) <= 500
    found = least_squares(lambda x: 1 + 1 / torch.log(10 + x.abs()), torch.ones(1), steps=1000, warn=False)
    assert not found.status.converged
    assert "gained less than" in found.status.reason or "used up" in found.status.reason


def test_a_derivative_that_is_wrong_ends_without_convergence():
    """No step along it lowers the value."""

    class Reversed(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x):
            return x.clone()

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, grad):
            return -grad

    found = least_squares(lambda x: Reversed.apply(x) - 1, torch.tensor([5.0]), warn=False, backend="eager")
    assert not found.status.converged
    assert "no step lowers the value" in found.status.reason
    assert float(found.params) == 5.0


def test_trials_that_are_not_finite_poison_nothing():
    """The first step leaves the domain of the logarithm and of the root; the minimum is at 0.01."""

    def residual(x):
        return torch.log(x) - torch.log(torch.tensor(0.01))

    found = least_squares(residual, torch.tensor([3.0]))
    assert found.status.converged
    torch.testing.assert_close(found.params, torch.tensor([0.01]), rtol=1e-12, atol=0)
    assert torch.isfinite(found.history).all()


def test_a_step_to_a_point_without_derivative_is_not_taken():
    """Below zero the value is finite and lower, its derivative is nan."""

    def residual(x):
        return torch.sqrt((x.abs() + x) ** 2) / 2 + 0.1

    found = least_squares(residual, torch.tensor([1.0]), steps=30, warn=False)
    assert torch.isfinite(found.history).all()
    assert torch.isfinite(residual(found.params)).all()
    assert float(found.params) > 0


def test_the_best_point_is_returned():
    """Uphill steps may pass; what is returned is never worse than any point of the history."""
    for seed in range(3):
        x = 3 * random.normal(random.key(seed), (3,))
        found = least_squares(
            lambda x: torch.stack(
                [torch.sin(3 * x[0]) + x[0] / 5, x[1] * x[0] - 1, torch.cos(x[2] * x[1]) + x[2] / 9]
            ),
            x,
            warn=False,
        )
        assert float(found.value) <= float(found.history.min()) * (1 + 1e-12)


def test_deterministic_and_leaves_the_global_generator_and_its_input_alone():
    generator = torch.get_rng_state()
    first = start()
    one, two = (least_squares(decay, first, data(noise=0.1)) for _ in range(2))
    assert torch.equal(one.history, two.history)
    assert torch.equal(torch.get_rng_state(), generator)
    assert (float(first["a"]), float(first["b"])) == (1.0, 0.1)


def test_two_programs_serve_the_whole_search():
    with_grad = {name: leaf.requires_grad_() for name, leaf in start().items()}
    with compilations() as made:
        found = least_squares(decay, with_grad, data())
    assert len(made) == 2
    assert not found.params["a"].requires_grad


@pytest.mark.slow
def test_compiled_equals_eager():
    points = data(noise=0.1)
    compiled = least_squares(decay, start(), points, backend="compile", steps=5, warn=False)
    eager = least_squares(decay, start(), points, backend="eager", steps=5, warn=False)
    torch.testing.assert_close(compiled.history, eager.history, rtol=1e-10, atol=0)


def test_progress_shows_the_value(monkeypatch):
    shown = []
    monkeypatch.setattr(
        "funcsci.progress.tqdm.set_postfix_str", lambda bar, text, refresh: shown.append(text)
    )
    found = least_squares(rosenbrock, ROSENBROCK, progress_bar=True)
    assert shown == [f"value {value:.2e}" for value in found.history[1:].tolist()]


ONE = torch.ones(1, dtype=torch.float64)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: least_squares(rosenbrock, ROSENBROCK, method="newton"), ValueError, "method must be one of"),
        (lambda: least_squares(rosenbrock, ROSENBROCK, steps=-1), ValueError, "steps must be at least 0."),
        (lambda: least_squares(rosenbrock, ROSENBROCK, steps=1.5), TypeError, "steps must be an integer."),
        (
            lambda: least_squares(rosenbrock, ROSENBROCK, solver="lu"),
            ValueError,
            "solver must be one of 'cholesky', 'qr', 'svd', 'cg', 'lsmr'. Got solver='lu'.",
        ),
        (lambda: least_squares(rosenbrock, ROSENBROCK, memory=8), ValueError, "memory must hold at least"),
        (
            lambda: least_squares(rosenbrock, ROSENBROCK, solver_tol=-1.0),
            ValueError,
            "solver_tol must not be negative.",
        ),
        (
            lambda: least_squares(rosenbrock, ROSENBROCK, residual_tol=-1.0),
            ValueError,
            "residual_tol must not be negative. Got residual_tol=-1.0.",
        ),
        (
            lambda: least_squares(rosenbrock, ROSENBROCK, step_tol=-1.0),
            ValueError,
            "step_tol must not be negative.",
        ),
        (lambda: least_squares(rosenbrock, {"x": 1.0}), TypeError, "params['x'] is a float (1.0)"),
        (
            lambda: least_squares(rosenbrock, torch.ones(2).int()),
            TypeError,
            "params must have a floating-point dtype.",
        ),
        (
            lambda: least_squares(rosenbrock, torch.ones(0)),
            ValueError,
            "params must hold at least one number.",
        ),
        (lambda: least_squares(torch.log, -ONE), ValueError, "Got nan or inf in its value. Try other"),
        (lambda: least_squares(torch.sqrt, 0 * ONE), ValueError, "Got nan or inf in its Jacobian."),
        (
            lambda: least_squares(lambda x: x[:0], ONE),
            ValueError,
            "residual must return at least one number.",
        ),
        (
            lambda: least_squares(lambda x, t: x[0] * t, ONE.float(), ONE),
            TypeError,
            "residual must return the dtype of params, torch.float32. Got torch.float64.",
        ),
        (
            lambda: least_squares(decay, start(), {"t": T, "y": T[1:]}),
            ValueError,
            "Got shapes [(25,), (24,)].",
        ),
        (
            lambda: least_squares(decay, start(), {"t": T, "y": 1.0}),
            TypeError,
            "points['y'] is a float (1.0)",
        ),
        (
            lambda: least_squares(decay, start(), T[:0]),
            ValueError,
            "points must hold one number of points, above",
        ),
    ],
)
def test_wrong_arguments_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


KINDS = [lambda p, x: p["a"] * x + p["b"] - torch.exp(x), lambda p, y: torch.stack([p["a"] - y, p["b"] * y])]
SETS = [torch.linspace(0, 1, 40, dtype=torch.float64), torch.tensor([0.3, 0.7, 2.0], dtype=torch.float64)]


@pytest.mark.parametrize("solver", ["cholesky", "qr", "lsmr"])
@pytest.mark.parametrize("projection", [None, "['b']"])
def test_several_kinds_of_residuals_are_one_problem(solver: str, projection: str | None) -> None:
    if solver == "lsmr" and projection:
        pytest.skip("variable projection takes dense solvers only")
    start = {"a": torch.tensor(5.0, dtype=torch.float64), "b": torch.tensor(-3.0, dtype=torch.float64)}
    found = least_squares(KINDS, start, SETS, solver=solver, variable_projection=projection)
    x, y = SETS
    # The same rows as one linear system, written out.
    matrix = torch.cat(
        [torch.stack([x, 1 + 0 * x], 1), torch.stack([1 + 0 * y, 0 * y], 1), torch.stack([0 * y, y], 1)]
    )
    target = torch.cat([torch.exp(x), y, 0 * y])
    oracle = torch.linalg.lstsq(matrix, target[:, None]).solution[:, 0]
    assert found.status.converged
    torch.testing.assert_close(torch.stack([found.params["a"], found.params["b"]]), oracle, rtol=1e-7, atol=0)
    least = 0.5 * float(((matrix @ oracle - target) ** 2).sum())
    assert float(found.value) == pytest.approx(least, rel=1e-12)


def test_little_memory_sums_the_normal_equations_of_all_kinds() -> None:
    start = {"a": torch.zeros(30, dtype=torch.float64), "b": torch.zeros((), dtype=torch.float64)}
    powers = torch.arange(30, dtype=torch.float64)
    kinds = [lambda p, x: p["a"] @ x**powers / 30 + p["b"] - torch.sin(x), lambda p, y: p["a"][:1] - y]
    sets = [torch.linspace(-1, 1, 20_000, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)]
    ample = least_squares(kinds, start, sets, steps=3, warn=False)
    tight = least_squares(kinds, start, sets, steps=3, memory=2_000_000, warn=False)
    torch.testing.assert_close(tight.history, ample.history, rtol=1e-6, atol=1e-12)


def test_kinds_need_as_many_sets_of_points() -> None:
    start = {"a": torch.ones(()), "b": torch.ones(())}
    with pytest.raises(ValueError, match="must be of one length.*2 functions and 1 sets"):
        least_squares(KINDS, start, SETS[:1])
