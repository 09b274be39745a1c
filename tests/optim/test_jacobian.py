"""per_sample_jacobian: the same numbers in every size of micro-batch, and no more memory than allowed."""

import re

import pytest
import torch
from torch.autograd.profiler import profile
from torch.func import jacrev, vmap

from funcsci import nn, random, tree
from funcsci.autodiff import laplacian
from funcsci.compile import compilations
from funcsci.optim import micro_batches, per_sample_jacobian
from funcsci.optim.jacobian import assembled, rows_by_number
from funcsci.optim.live_memory import peak_bytes

KEY = random.key(34)
NET = nn.mlp((2, 12, 12, 1), activation=torch.tanh)
PARAMS = NET.init(KEY, dtype=torch.float64)
POINTS = random.uniform(KEY, (203, 2), dtype=torch.float64)


def residual(params, x):
    """The residual of a Poisson equation."""
    return laplacian(lambda x: NET.apply(params, x)[0])(x) + torch.sin(x[0])


def pair(params, x):
    return torch.stack([residual(params, x), NET.apply(params, x)[0]])


def unbounded(residual, params, points):
    flat, unravel = tree.ravel(params)
    rows = vmap(lambda x: jacrev(lambda flat: residual(unravel(flat), x))(flat))(points)
    return rows.reshape(-1, flat.numel())


def bytes_for(residual, size):
    """A bound that leaves room for micro-batches of about this size beside the residuals and the Jacobian."""
    whole = unbounded(residual, PARAMS, POINTS)
    return whole.nbytes + 8 * len(whole) + int(1.2 * peak_bytes(unbounded, residual, PARAMS, POINTS[:size]))


@pytest.mark.parametrize("backend", ["trace", "eager"])
@pytest.mark.parametrize("function", [residual, pair], ids=["scalar", "vector"])
@pytest.mark.parametrize("size", [1, 7, 50, 203, 1000])
def test_micro_batches_give_the_rows_of_all_at_once(function, size, backend):
    """203 points leave a remainder for 7 and for 50."""
    memory = bytes_for(function, size)
    found = per_sample_jacobian(function, memory=memory, backend=backend)(PARAMS, POINTS)
    torch.testing.assert_close(found, unbounded(function, PARAMS, POINTS), rtol=1e-12, atol=1e-13)


def test_one_program_serves_all_batches_and_all_calls():
    jacobian = per_sample_jacobian(residual, memory=bytes_for(residual, 20))
    with compilations() as made:
        first = jacobian(PARAMS, POINTS)
        second = jacobian(tree.map(lambda leaf: 2 * leaf, PARAMS), POINTS)
    assert len(made) == 1
    assert not torch.equal(first, second)


@pytest.mark.parametrize("total", [1, 2, 5, 6, 7, 12])
@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_batches_are_whole_and_cover_each_point_once(total, size):
    points = torch.arange(total)
    parts = list(micro_batches.batches(points, min(size, total)))
    assert {len(part) for _, _, part in parts} == {min(size, total)}
    assert torch.equal(torch.cat([part[repeated:] for _, repeated, part in parts]), points)
    assert all(torch.equal(part, points[begin : begin + len(part)]) for begin, _, part in parts)


def allocated(function):
    """The peak of all memory that torch's allocator gave out, temporary work included."""
    with profile(profile_memory=True) as record:
        function()
    events = [event for event in record.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns() if hasattr(event, "start_ns") else event.start_us())
    now = peak = 0
    for event in events:
        now += event.nbytes()
        peak = max(peak, now)
    return peak


@pytest.mark.parametrize("backend", ["trace", "eager"])
@pytest.mark.parametrize("size", [20, 60])
def test_the_bound_on_memory_holds(size, backend):
    """The allocator's own record is the witness, which knows nothing of how the bound is kept."""
    points = POINTS.repeat(10, 1)
    result = unbounded(residual, PARAMS, points[:1]).nbytes * len(points)
    memory = result + 8 * len(points) + size * (peak_bytes(unbounded, residual, PARAMS, points[:16]) // 16)
    jacobian = per_sample_jacobian(residual, memory=memory, backend=backend)
    jacobian(PARAMS, points)
    peak = allocated(lambda: jacobian(PARAMS, points))
    assert result < peak <= memory
    assert memory < allocated(lambda: unbounded(residual, PARAMS, points)) / 2


def test_work_beside_the_result_does_not_grow_with_the_points():
    jacobian = per_sample_jacobian(residual, backend="eager", memory=None)
    for repeats in (40, 80):
        points = POINTS.repeat(repeats, 1)
        jacobian(PARAMS, points)
        beside = peak_bytes(jacobian, PARAMS, points) - 8 * 206 * len(points)
        assert 0 < beside <= micro_batches.CPU_WORK < peak_bytes(unbounded, residual, PARAMS, points) / 2


def test_live_memory_is_counted_with_tapes_and_without_arguments():
    """exp keeps its result for the way back; sin keeps its argument."""
    x = torch.ones(1000)
    assert peak_bytes(lambda: x[10:]) == 0
    assert peak_bytes(lambda: (x + 1) + 1) == 16_000
    assert peak_bytes(lambda: x.exp().sum() * 0) == 8008
    assert peak_bytes(lambda: torch.func.vjp(lambda x: x.exp().exp().exp(), x)) == 24_000


def test_rows_of_a_residual_without_points():
    def function(flat):
        return torch.stack([flat[0] * flat[1], flat[1].sin(), flat[2] ** 3, flat.sum()])

    flat = torch.tensor([1.0, 2.0, 3.0])
    r, jacobian = assembled(lambda some: rows_by_number(function, flat, some), torch.arange(4), 3)
    assert torch.equal(r, function(flat))
    torch.testing.assert_close(jacobian, jacrev(function)(flat))


def test_an_ensemble_by_vmap_and_shapes_on_meta():
    jacobian = per_sample_jacobian(residual, memory=bytes_for(residual, 50))
    both = vmap(lambda params: jacobian(params, POINTS))(tree.stack([PARAMS, tree.map(torch.neg, PARAMS)]))
    torch.testing.assert_close(both[0], jacobian(PARAMS, POINTS), rtol=1e-12, atol=1e-13)
    meta = jacobian(tree.map(lambda leaf: leaf.to("meta"), PARAMS), POINTS.to("meta"))
    assert (meta.device.type, meta.shape) == ("meta", (203, tree.size(PARAMS)))


@pytest.mark.slow
def test_compiled_equals_eager():
    jacobian = per_sample_jacobian(residual, memory=bytes_for(residual, 50), backend="compile")
    torch.testing.assert_close(
        jacobian(PARAMS, POINTS), unbounded(residual, PARAMS, POINTS), rtol=1e-11, atol=1e-12
    )


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: per_sample_jacobian(residual, memory=0), ValueError, "memory must be at least 1."),
        (lambda: per_sample_jacobian(residual, memory=1e9), TypeError, "memory must be an integer."),
        (
            lambda: per_sample_jacobian(residual, memory=1000)(PARAMS, POINTS),
            ValueError,
            f"memory must hold the {203 * 206 * 8} bytes of residuals and Jacobian and the ",
        ),
        (lambda: per_sample_jacobian(residual)({"w": 1.0}, POINTS), TypeError, "params['w'] is a float"),
        (
            lambda: per_sample_jacobian(residual)(PARAMS, POINTS[:0]),
            ValueError,
            "points must hold one number",
        ),
    ],
)
def test_wrong_arguments_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
