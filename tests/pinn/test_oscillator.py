"""`solve_oscillator` solves, says how well, and refuses what makes no sense."""

import math

import pytest
import torch

from funcsci import optim, random, train, tree
from funcsci.compare.twins.oscillator import Network, module_step
from funcsci.compile import compilations, jit
from funcsci.interop import state_dict
from funcsci.pinn import oscillator, solve_oscillator
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.oscillator import METHODS
from funcsci.pinn.requirements import Points
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import make_task


def solve(**arguments):
    return solve_oscillator(progress=False, **arguments)


@pytest.mark.parametrize("seed", range(10))
def test_the_default_is_near_machine_precision(seed: int) -> None:
    solution = solve(seed=seed)
    assert solution.status.converged and "last layer alone" in solution.status.reason
    assert solution.relative_l2 <= 1e-12
    assert solution.max_error <= 1e-12


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "problem",
    [
        {"omega": 7, "damping": 0.05, "u0": -0.3, "du0": 2, "t_span": (0, 10)},
        {"t_span": (0, 20 * math.pi)},
        {"damping": 1, "t_span": (0, 10)},
        {"damping": 3, "t_span": (0, 10)},
        {"t_span": (2, 9)},
        {"damping": 0.999999, "du0": -1, "t_span": (-4, 4)},
        {"omega": 10, "damping": 3, "t_span": (0, 10)},
        {"omega": 0, "u0": 1, "du0": 2, "t_span": (0, 5)},
        {"omega": 0.01, "du0": 1, "t_span": (0, 1)},
        {"omega": 1e3, "t_span": (0, 1e-2)},
    ],
    ids=str,
)
def test_other_oscillators_are_solved_to_nine_digits(problem: dict, seed: int) -> None:
    solution = solve(seed=seed, **problem)
    assert solution.status.converged
    assert solution.relative_l2 <= 1e-9


@pytest.mark.parametrize("t_span", [(1e6, 1e6 + 6), (-1e9, -1e9 + 6)])
def test_a_start_far_from_zero_costs_only_the_rounding_of_the_times(t_span: tuple[float, float]) -> None:
    assert solve(t_span=t_span).relative_l2 < 1e-6 * abs(t_span[0]) / 1e9


def test_the_estimate_can_be_left_out() -> None:
    told, silent = solve(), solve(estimate=False)
    assert told.error_estimate["u"] < 1e-9 and not silent.error_estimate
    assert silent.status.converged and "relative residual" in silent.status.reason
    torch.testing.assert_close(silent(1.0), told(1.0), rtol=1e-11, atol=0)


def test_float32_is_solved_to_its_own_precision() -> None:
    solution = solve(dtype=torch.float32)
    assert solution.status.converged and solution.relative_l2 <= 1e-5
    assert {leaf.dtype for leaf in tree.leaves(solution.params)} == {torch.float32}


def test_a_network_too_small_for_tol_is_trained_further() -> None:
    alone = solve(hidden=(16,), tol=1e-2)
    with pytest.warns(RuntimeWarning, match="did not converge.*Levenberg-Marquardt on 49 parameters"):
        trained = solve(hidden=(16,), tol=1e-30, steps=60)
    assert alone.status.converged and alone.backend == "eager"
    assert trained.backend == "trace" and "Levenberg-Marquardt" in trained.status.reason
    assert trained.relative_l2 < alone.relative_l2 / 10
    assert trained.steps <= 60 and alone.steps == 0
    assert len(trained.history.loss) == len(trained.history.seconds) == trained.steps + 3
    assert (trained.history.seconds.diff() >= 0).all()


def test_a_hopeless_problem_is_called_so() -> None:
    with pytest.warns(RuntimeWarning, match="did not converge"):
        solution = solve(omega=300.0, t_span=(0.0, 100.0), hidden=(20,), steps=5)
    assert not solution.status.converged and solution.relative_l2 > 1e-2


def test_nothing_to_move_stays_at_zero_and_its_error_is_absolute() -> None:
    solution = solve(u0=0.0, du0=0.0)
    assert solution.relative_l2 == solution.max_error == 0.0
    assert "absolute L2 error" in repr(solution)


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_is_the_same_solution(method: str) -> None:
    def found(seed: int):
        return solve(method=method, steps=20, tol=10.0, seed=seed, hidden=(8,)).params

    assert tree.allclose(found(3), found(3), rtol=0, atol=0)
    assert not tree.allclose(found(3), found(4), rtol=0, atol=0)


@pytest.mark.parametrize("method", METHODS)
def test_no_global_generator_is_touched(method: str) -> None:
    before = torch.get_rng_state()
    solve(method=method, steps=5, tol=10.0, hidden=(8,))
    assert torch.equal(before, torch.get_rng_state())


def test_adam_compiles_one_program_and_lowers_its_loss() -> None:
    with compilations() as made, pytest.warns(RuntimeWarning, match="all 300 steps were taken"):
        solution = solve(method="adam", hidden=(16, 16), steps=300, dtype=torch.float32)
    assert [one.function for one in made] == ["step"]
    assert solution.history.loss[-20:].mean() < solution.history.loss[:20].mean() / 3
    assert "conditions soft" in repr(solution) and solution.backend == "trace"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_adam_reaches_three_digits_in_float32(seed: int) -> None:
    solution = solve(
        method="adam",
        hidden=(32, 32),
        points=64,
        steps=20_000,
        dtype=torch.float32,
        seed=seed,
        backend="compile",
    )
    assert solution.relative_l2 <= 1e-3 and solution.status.converged and solution.backend == "compile"


@pytest.mark.parametrize("backend", ["eager", "trace", pytest.param("compile", marks=pytest.mark.slow)])
def test_losses_equal_those_of_nn_module_and_torch_optim(backend: str) -> None:
    task = make_task(oscillator(soft=True), Settings(random.key(0)), NetworkSettings((32, 32)))
    params = task.trial.init(random.key(0), dtype=torch.float64)
    network = Network((32, 32), (0.0, 2 * math.pi)).double()
    network.load_state_dict(state_dict(params))
    theirs = module_step(network, torch.optim.Adam(network.parameters(), lr=1e-3))

    optimizer = optim.adam(1e-3)
    ours = jit(train.train_step(task.loss, optimizer), backend=backend)
    _, *ends = (points for _, points in task.training(64, random.key(0), "grid"))
    progress = train.start(params, optimizer)
    for key in random.split(random.key(1), 50):
        points = random.uniform(key, (64,), dtype=torch.float64, maxval=2 * math.pi)
        inside = Points(points[:, None], torch.zeros_like(points), torch.full_like(points, 1 / 64))
        progress, metrics = ours(progress, (inside, *ends))
        expected = theirs(points[:, None])
        assert float(metrics["loss"]) == pytest.approx(float(expected), rel=1e-10)


REFUSED = [
    ({"method": "adm"}, ValueError, "method must be one of.*Got method='adm'.*Did you mean 'adam'"),
    ({"method": "levenberg"}, ValueError, "Did you mean 'levenberg_marquardt'"),
    ({"t_span": (1.0, 0.0)}, ValueError, r"t_span must run forward.*\(1.0, 0.0\).*Try t_span=\(0.0, 1.0\)"),
    ({"t_span": (1.0, 1.0)}, ValueError, "t_span must have a positive length"),
    ({"t_span": (0.0, math.inf)}, ValueError, r"t_span\[1\] must be finite"),
    ({"omega": math.nan}, ValueError, "omega must be finite. Got omega=nan"),
    ({"damping": math.inf}, ValueError, "damping must be finite"),
    ({"u0": math.nan}, ValueError, "u0 must be finite"),
    ({"du0": -math.inf}, ValueError, "du0 must be finite"),
    ({"omega": -1.0}, ValueError, r"omega must not be negative. Got omega=-1.0. Try omega=1.0"),
    ({"damping": -0.1}, ValueError, "damping must not be negative"),
    (
        {"dtype": torch.int64},
        ValueError,
        "dtype must be torch.float32 or torch.float64. Got dtype=torch.int64",
    ),
    ({"dtype": torch.float16}, ValueError, "dtype must be torch.float32 or torch.float64"),
    ({"dtype": torch.bfloat16}, ValueError, "dtype must be torch.float32 or torch.float64"),
    ({"hidden": ()}, ValueError, "hidden must hold at least one width"),
    ({"hidden": (32, 0)}, ValueError, r"hidden must hold positive widths. Got hidden=\(32, 0\). Try hidden="),
    ({"hidden": (-3,)}, ValueError, "hidden must hold positive widths"),
    ({"device": "cuda:99"}, RuntimeError, "device must be a device that is present. Got device='cuda:99'"),
    ({"device": "gpu"}, ValueError, "device must name a device. Got device='gpu'. Try device='cpu'"),
    ({"device": "meta"}, ValueError, "device must"),
    ({"omega": 1e200}, ValueError, r"omega must be at most 6e\+102 in size for float64. Got omega=1e\+200"),
    ({"omega": 10**400}, ValueError, "omega must be finite"),
    ({"u0": 1e15, "dtype": torch.float32}, ValueError, r"u0 must be at most 7e\+12 in size for float32"),
    ({"t_span": (-1e308, 1e308)}, ValueError, "t_span must be at most"),
    ({"t_span": (0.0, 1e-200)}, ValueError, "t_span must be long enough for float64 to tell"),
    ({"t_span": (1e16, 1e16 + 4)}, ValueError, "t_span must be long enough for float64 to tell"),
    (
        {"t_span": (1e6, 1e6 + 6), "dtype": torch.float32},
        ValueError,
        "t_span must be long enough for float32",
    ),
    ({"method": "lm"}, ValueError, "Try method='levenberg_marquardt'"),
    ({"steps": -1}, ValueError, "steps must be at least 0"),
    ({"points": 0}, ValueError, "points must be at least 1"),
    ({"tol": 0.0}, ValueError, "tol must be positive"),
    ({"backend": "trac"}, ValueError, "Did you mean 'trace'"),
    ({"seed": 2**70}, ValueError, "seed"),
]
WRONG_TYPES = [
    ({"seed": 1.5}, TypeError, "seed must be an integer. Got seed=1.5"),
    ({"seed": "one"}, TypeError, "seed must be an integer"),
    ({"seed": True}, TypeError, "seed must be an integer"),
    ({"omega": "fast"}, TypeError, "omega must be a real number. Got omega='fast'"),
    ({"omega": torch.tensor(1.0)}, TypeError, "omega must be a real number"),
    ({"hidden": 32}, TypeError, "hidden must be a sequence of widths. Got hidden=32"),
    ({"hidden": (2.5,)}, TypeError, "hidden must hold integers"),
    ({"t_span": 5.0}, TypeError, r"t_span must be a pair \(start, end\)"),
    ({"t_span": (0.0, 1.0, 2.0)}, TypeError, "t_span must be a pair"),
    ({"dtype": "float64"}, TypeError, "dtype must be a torch.dtype"),
    ({"steps": 1.5}, TypeError, "steps must be an integer"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_values_out_of_range_are_refused(arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        solve(**arguments)


@pytest.mark.wrong_types
@pytest.mark.parametrize(("arguments", "error", "message"), WRONG_TYPES, ids=lambda value: str(value)[:40])
def test_wrong_types_are_refused(arguments: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        solve(**arguments)


@pytest.mark.cuda
def test_cuda_is_the_default_where_there_is_one_and_agrees_with_the_cpu() -> None:
    there, here = solve(), solve(device="cpu")
    assert tree.leaves(there.params)[0].is_cuda
    assert there.relative_l2 <= 1e-12 and here.relative_l2 <= 1e-12
