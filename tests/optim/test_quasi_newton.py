"""The pure functions of quasi-Newton methods: the laws of Broyden's family, and both forms of BFGS."""

import re

import pytest
import torch
from torch.func import vmap

from funcsci import random, tree
from funcsci.compile import jit
from funcsci.optim.limited_memory import empty_memory, limited, remember, two_loops
from funcsci.optim.quasi_newton import BROYDEN, Pair, broyden_factors, broyden_update, dense, useful

KEY = random.key(41)
N = 6

every = pytest.mark.parametrize("method", BROYDEN)


def spd(key, size=N, spread=2.0):
    """A symmetric positive definite matrix of condition 10^(2 spread)."""
    q = torch.linalg.qr(random.normal(key, (size, size)))[0]
    return q @ torch.diag(10 ** torch.linspace(-spread, spread, size)) @ q.T


def example(seed, size=N):
    """A model and a pair as a search finds them: s = -alpha H g, y = A s."""
    keys = random.split(random.fold_in(KEY, seed), 4)
    inverse, hessian = spd(keys[0], size), spd(keys[1], size)
    gradient = random.normal(keys[2], (size,))
    step = -(10 ** random.uniform(keys[3], (), minval=-2.0, maxval=2.0)) * inverse @ gradient
    return inverse, Pair(step, hessian @ step, step @ torch.linalg.solve(inverse, step))


def by_the_paper(method, b, h, n):
    """Urbán, Stefanou and Pons (2024), arXiv:2405.04230, eqs. 11 and 13-23, as they stand."""
    tau, phi = 1.0, 1.0
    if method != "bfgs":
        tau = min(1.0, 1 / b)
    if method == "ssbroyden":
        a = h * b - 1
        c = (a / (a + 1)) ** 0.5
        rho = max(min(1.0, h * (1 - c)), 0.01)
        theta = max((rho - 1) / a, min(1 / rho, (1 - b) / b))
        sigma = 1 + a * theta
        spread = abs(sigma) ** (1 / (1 - n))
        tau = min(tau * spread, sigma) if theta <= 0 else tau * min(spread, 1 / theta)
        phi = (1 - theta) / (1 + a * theta)
    return tau, phi


@every
@pytest.mark.parametrize("b", [1e-3, 0.1, 0.7, 1.0, 1.5, 20.0, 1e3])
@pytest.mark.parametrize("excess", [1e-3, 0.5, 3.0, 1e3])
def test_the_factors_are_those_of_the_paper(method, b, excess):
    h = (1 + excess) / b
    ours = [float(one) for one in broyden_factors(method, torch.tensor(b), torch.tensor(h), N)]
    assert ours == pytest.approx(by_the_paper(method, b, h, N), rel=1e-10, abs=1e-10)


def member(method, inverse, pair):
    """Broyden's family as it is written in the paper, with an outer product for each term."""
    s, y, _ = pair
    ys, hy = float(y @ s), inverse @ y
    yhy = float(y @ hy)
    tau, phi = by_the_paper(method, float(s @ torch.linalg.solve(inverse, s)) / ys, yhy / ys, len(s))
    v = yhy**0.5 * (s / ys - hy / yhy)
    rest = inverse - torch.outer(hy, hy) / yhy + phi * torch.outer(v, v)
    return rest / tau + torch.outer(s, s) / ys


@every
@pytest.mark.parametrize("seed", range(8))
def test_the_update_is_that_of_the_paper(method, seed):
    inverse, pair = example(seed)
    updated, expected = broyden_update(method, inverse, pair), member(method, inverse, pair)
    torch.testing.assert_close(updated, expected, rtol=1e-9, atol=1e-10 * float(expected.abs().max()))


@every
@pytest.mark.parametrize("seed", range(8))
def test_secant_equation_symmetry_and_positive_definiteness(method, seed):
    inverse, pair = example(seed)
    updated = broyden_update(method, inverse, pair)
    size = float(updated.abs().max() * pair.change.abs().max())
    torch.testing.assert_close(updated @ pair.change, pair.step, rtol=1e-9, atol=1e-12 * size)
    torch.testing.assert_close(updated, updated.T, rtol=1e-12, atol=1e-14 * float(updated.abs().max()))
    assert float(torch.linalg.eigvalsh(updated)[0]) > 0


@every
def test_units_of_value_and_parameters_change_nothing(method):
    """f' = 4 f and x' = M x give H' = M H M^T / 4, whatever regular M is."""
    inverse, pair = example(1)
    mix = spd(KEY, spread=0.5)
    moved = Pair(mix @ pair.step, 4 * torch.linalg.solve(mix, pair.change), 4 * pair.curvature)
    expected = mix @ broyden_update(method, inverse, pair) @ mix.T / 4
    updated = broyden_update(method, mix @ inverse @ mix.T / 4, moved)
    torch.testing.assert_close(updated, expected, rtol=1e-8, atol=1e-10 * float(expected.abs().max()))


def test_a_self_scaled_method_forgets_a_model_of_the_wrong_size():
    """Oren and Luenberger: where H is far too small, the update first scales it to the curvature met."""
    inverse, pair = torch.eye(N) * 1e-6, example(2)[1]
    pair = pair._replace(curvature=pair.step @ pair.step * 1e6)
    smallest = {m: float(torch.linalg.eigvalsh(broyden_update(m, inverse, pair))[0]) for m in BROYDEN}
    assert smallest["bfgs"] <= 1.001e-6
    curvature = float(pair.step @ pair.change / (pair.step @ pair.step))
    assert smallest["ssbfgs"] > 1e-3 / curvature
    assert smallest["ssbroyden"] > 1e-3 / curvature


@every
def test_an_exact_model_is_kept(method):
    """b = h = 1: there is nothing to learn."""
    hessian = spd(KEY)
    step = random.normal(random.fold_in(KEY, 1), (N,))
    inverse = torch.linalg.inv(hessian)
    updated = broyden_update(method, inverse, Pair(step, hessian @ step, step @ hessian @ step))
    torch.testing.assert_close(updated, inverse, rtol=1e-6, atol=1e-8 * float(inverse.abs().max()))


@every
@pytest.mark.parametrize("sign", [0.0, -1.0, 1e-17])
def test_a_pair_lost_in_round_off_changes_nothing_whatever_its_units(method, sign):
    inverse, memory = spd(KEY), empty_memory(torch.zeros(N), torch.tensor(0.5), 3)
    across = torch.tensor([0.0, 1, 0, 0, 0, 0])
    for units in (1e-100, 1.0, 1e100):
        step = units * torch.tensor([1.0, 0, 0, 0, 0, 0])
        pair = Pair(step, across / units + sign * step / units**2, step @ step)
        assert not bool(useful(pair))
        assert torch.equal(broyden_update(method, inverse, pair), inverse)
        assert torch.equal(two_loops(remember(memory, pair), inverse[0]), 0.5 * inverse[0])


def test_a_tiny_pair_teaches_as_much_as_a_large_one():
    """y.s = 1e-200 here; an absolute threshold would drop it."""
    inverse, pair = example(3)
    tiny = Pair(pair.step * 2.0**-330, pair.change * 2.0**-330, pair.curvature * 2.0**-660)
    for method in BROYDEN:
        expected = broyden_update(method, inverse, pair)
        torch.testing.assert_close(broyden_update(method, inverse, tiny), expected, rtol=1e-12, atol=0)


@every
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_pairs_keep_the_factors_finite(method, dtype):
    for exponent in (-12.0, -3, 0, 3, 12):
        for excess in (0.0, 1e-7, 1.0, 1e7):
            b = torch.tensor(10.0**exponent, dtype=dtype)
            tau, phi = broyden_factors(method, b, (1 + excess) / b, N)
            assert bool(torch.isfinite(tau)) and bool(torch.isfinite(phi))
            assert 0 < float(tau) <= 1.001
            assert (tau.dtype, phi.dtype, tau.shape) == (dtype, dtype, ())


def test_one_parameter_is_the_secant_method():
    pair = Pair(torch.tensor([2.0]), torch.tensor([6.0]), torch.tensor(3.0))
    for method in BROYDEN:
        updated = broyden_update(method, torch.tensor([[5.0]]), pair)
        torch.testing.assert_close(updated, torch.tensor([[1 / 3]]), rtol=1e-12, atol=0)


def quadratic_run(update, model, direction, hessian, size=N):
    """Exact line searches on x^T A x / 2 from a fixed start; the model and the point after `size` steps."""
    x = random.normal(random.fold_in(KEY, 7), (size,))
    for _ in range(size):
        gradient = hessian @ x
        p = -direction(model, gradient)
        alpha = -(gradient @ p) / (p @ hessian @ p)
        model = update(model, Pair(alpha * p, alpha * hessian @ p, -(alpha**2) * (gradient @ p)))
        x = x + alpha * p
    return model, x


@every
def test_exact_searches_on_a_quadratic_end_after_as_many_steps_as_parameters(method):
    """And BFGS then knows the inverse Hessian: Nocedal and Wright, theorem 6.4."""
    hessian = spd(KEY, spread=0.5)
    model, x = quadratic_run(dense(method).update, torch.eye(N), lambda h, g: h @ g, hessian)
    assert float(torch.linalg.vector_norm(x)) < 1e-9
    if method == "bfgs":
        torch.testing.assert_close(model, torch.linalg.inv(hessian), rtol=1e-7, atol=1e-8)


def test_limited_memory_long_enough_is_bfgs():
    """With the same first scale; it then also ends on a quadratic after as many steps as parameters."""
    init, _, multiply = limited(N)
    memory, inverse = init(torch.zeros(N), torch.tensor(0.7)), 0.7 * torch.eye(N)
    for seed in range(N):
        pair = example(seed)[1]
        memory, inverse = remember(memory, pair), broyden_update("bfgs", inverse, pair)
        gradient = random.normal(random.fold_in(KEY, seed), (N,))
        expected = inverse @ gradient
        ours = multiply(memory._replace(scale=torch.tensor(0.7)), gradient)
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-9 * float(expected.abs().max()))
    hessian = spd(KEY, spread=0.5)
    _, x = quadratic_run(remember, init(torch.zeros(N), torch.tensor(1.0)), two_loops, hessian)
    assert float(torch.linalg.vector_norm(x)) < 1e-9


def test_limited_memory_forgets_the_oldest_pair_and_scales_by_the_newest():
    memory = empty_memory(torch.zeros(N), torch.tensor(1.0), 2)
    pairs = [example(seed)[1] for seed in range(3)]
    for pair in pairs:
        memory = remember(memory, pair)
    fresh = empty_memory(torch.zeros(N), torch.tensor(1.0), 2)
    for pair in pairs[1:]:
        fresh = remember(fresh, pair)
    gradient = random.normal(KEY, (N,))
    assert torch.equal(two_loops(memory, gradient), two_loops(fresh, gradient))
    step, change, _ = pairs[-1]
    torch.testing.assert_close(memory.scale, (step @ change) / (change @ change), rtol=1e-14, atol=0)


PIECES = {
    "bfgs": lambda inverse, pair, gradient: broyden_update("bfgs", inverse, pair) @ gradient,
    "ssbfgs": lambda inverse, pair, gradient: broyden_update("ssbfgs", inverse, pair) @ gradient,
    "ssbroyden": lambda inverse, pair, gradient: broyden_update("ssbroyden", inverse, pair) @ gradient,
    "lbfgs": lambda inverse, pair, gradient: two_loops(
        remember(empty_memory(gradient, pair.curvature, 3), pair), gradient
    ),
}
each = pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
BACKENDS = ["trace", pytest.param("compile", marks=pytest.mark.slow)]


@each
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_program_equals_eager_and_leaves_its_inputs_alone(piece, backend):
    arguments = (*example(4), random.normal(KEY, (N,)))
    before = tree.map(torch.clone, arguments)
    expected = piece(*arguments)
    compiled = jit(piece, backend=backend)(*arguments)
    torch.testing.assert_close(compiled, expected, rtol=1e-11, atol=1e-12 * float(expected.abs().max()))
    assert all(map(torch.equal, tree.leaves(arguments), tree.leaves(before)))


@each
def test_an_ensemble_equals_a_loop(piece):
    members = [(*example(seed), random.normal(random.fold_in(KEY, seed), (N,))) for seed in range(5)]
    lost = members[0][1]._replace(change=-members[0][1].step)
    members.append((members[0][0], lost, members[0][2]))
    together = vmap(piece)(*tree.stack(members))
    for ours, member in zip(together, members, strict=True):
        expected = piece(*member)
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-11 * float(expected.abs().max()))


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_tensor_stays_on_the_device_and_keeps_its_dtype(piece, dtype):
    arguments = tree.map(lambda u: u.to("meta", dtype), (*example(5), random.normal(KEY, (N,))))
    result = piece(*arguments)
    assert (result.device.type, result.dtype, result.shape) == ("meta", dtype, (N,))
    for method in (dense("bfgs"), limited(3)):
        model = method.init(arguments[2], arguments[1].curvature)
        assert {(leaf.device.type, leaf.dtype) for leaf in tree.leaves(model)} == {("meta", dtype)}


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: dense("dfp"), ValueError, "method must be one of 'bfgs', 'ssbfgs', 'ssbroyden'."),
        (
            lambda: broyden_factors("sr1", torch.ones(()), torch.ones(()), 3),
            ValueError,
            "method must be one of",
        ),
        (lambda: limited(0), ValueError, "memory must be at least 1. Got memory=0."),
        (lambda: limited(2.5), TypeError, "memory must be an integer. Got memory=2.5."),
    ],
)
def test_wrong_arguments_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
