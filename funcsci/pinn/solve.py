"""`solve`: from a problem to its solution."""

import inspect
import math
import time
import warnings
from collections.abc import Sequence

import torch

from funcsci import checks, random, tree
from funcsci.compile.backends import BACKENDS
from funcsci.pinn.domain import Domain
from funcsci.pinn.first_order import FIRST_ORDER
from funcsci.pinn.march import BlowUp, Marched, Unfinished, adaptively, in_equal_slabs, whole
from funcsci.pinn.methods import METHODS
from funcsci.pinn.network import NetworkSettings, check_settings
from funcsci.pinn.outcome import History
from funcsci.pinn.parts import Part, owned, solve_part
from funcsci.pinn.problem import Problem
from funcsci.pinn.sampling import SAMPLINGS
from funcsci.pinn.settings import Settings
from funcsci.pinn.solution import Solution
from funcsci.pinn.verdict import NO_SOLUTION

DEFAULT = ("random_features", "levenberg_marquardt")
"""The methods where none is asked for."""
DERIVATIVES = ("taylor", "nested")
SLAB_WIDTHS = (256, 1024)
"""The most random features in a slab, on a line and in a box."""
TOLERANCES = {torch.float64: (1e-8, 1e-6), torch.float32: (1e-3, 1e-2)}
"""The relative error that is asked for unless told otherwise, on a line and in a box."""
ENOUGH = {torch.float64: (1e-10, 1e-6), torch.float32: (1e-3, 1e-2)}
"""The one with which no other method is tried, where nothing was asked for."""
AIMS = {torch.float64: 1e-10, torch.float32: 1e-3}
"""The relative residual with which no wider network is tried, where nothing was asked for."""


@checks.named_options()
def solve(
    problem: Problem,
    *,
    method: str | Sequence[str] | None = None,
    steps: int | Sequence[int | None] | None = None,
    hidden: Sequence[int] | None = None,
    activation: str = "tanh",
    fourier_features: int = 0,
    fourier_scale: float = 1.0,
    harmonics: int = 1,
    points: int | None = None,
    sampling: str | None = None,
    breakpoints: Sequence[float] = (),
    tol: float | None = None,
    derivatives: str = "taylor",
    slabs: int | None = None,
    stages: int = 1,
    causal: float = 0.0,
    start: Solution | None = None,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: str | torch.device | None = None,
    backend: str | None = None,
    estimate: bool = True,
    time_limit: float | None = None,
    progress: bool = True,
) -> Solution:
    r"""Solve a problem by physics-informed neural networks.

    The solution is $u = G + D N$, with conditions built in by $G$ and $D$ where that is possible, and in the
    loss where not. By default the last layer of a network of random features is found by least squares,
    wider and wider until the residual on held-out points is at most `tol`; a problem that can be marched
    in time is then solved in slabs; and where that fails, Levenberg-Marquardt trains all parameters.

    | method | trains | for |
    |---|---|---|
    | `"random_features"` | the last layer, by Gauss-Newton | smooth solutions, to many digits |
    | `"levenberg_marquardt"` | all parameters | small networks, to many digits |
    | `"gauss_newton"` | all parameters, undamped | good starts |
    | `"ssbroyden"`, `"bfgs"` | all parameters | some thousand of them |
    | `"lbfgs"` | all parameters | many of them |
    | `"soap"`, `"adam"` | all parameters, on new points at each step | many of them, rough starts |

    Args:
        problem: made by `ode`, `ivp` or `pde`.
        method: a name, or a sequence of which each goes on from the one before, until `tol` is met.
        steps: the most steps of the iteration, or of each method of a sequence. None: what suits the method.
        hidden: the network's hidden widths. None: one layer of as many features as `tol` needs, and 32
            on a line or (20, 20, 20) in a box for methods that train all parameters.
        activation: a name in `nn.ACTIVATIONS`, `"siren"` for a sine network, or `"waves"` for a first layer
            of plane waves, of which a whole number fits a periodic coordinate.
        fourier_features: how many random frequencies the network sees the point by; 0 is the point itself.
        fourier_scale: their standard deviation, in waves over half of the domain.
        harmonics: the sines and cosines by which a periodic coordinate is seen.
        points: collocation points inside. None: what suits the method.
        sampling: a name in `SAMPLINGS`. None: Chebyshev points on a line, Sobol's in a box, random ones
            for first-order methods.
        breakpoints: places of a line at which something happens on a small scale, such as a kink or a jump of
            the data: points and features crowd there. Thin places in data are found without.
        tol: what counts as converged: the estimated relative error of every field. None: 1e-8 on a line and
            1e-6 in a box (1e-3 and 1e-2 in float32), while networks are widened until the relative residual
            is 1e-10 (1e-3).
        derivatives: `"taylor"`, or `"nested"` for `torch.func.grad` of `torch.func.grad`.
        slabs: solve in so many slabs of time, one after the other. None: in as many as needed, with the
            default method; one with others.
        stages: the most networks, of which each corrects the sum of those before; each is twice as wide
            as the one before.
        causal: for first-order methods: how strictly earlier times are to be solved before later ones
            count, about 1 to 100; 0 is not at all.
        start: a solution of the same fields to go on from, of one network of the kind that is asked for by
            the other options; its problem may have other equations, conditions and ranges.
        seed: an integer; the same seed gives the same solution.
        dtype: `torch.float64` or `torch.float32`.
        device: where to compute. None: CUDA where there is one, else the CPU.
        backend: what steps run on, `"compile"`, `"trace"` or `"eager"`. None: `"trace"` for methods with
            curvature, the rule of `funcsci.compile.choose` for others.
        estimate: whether to estimate the error. Without, `tol` is asked of the relative residual.
        time_limit: seconds after which the solve ends with the best so far, and its `status` says so.
        progress: whether to show progress.

    Returns:
        A `Solution`. Where `tol` was missed its `status` says so and why, with one warning.

    Raises:
        TypeError: for an argument of the wrong type.
        ValueError: for a value out of its range, an unknown name, or conditions that contradict each other.
        RuntimeError: for a device that is not there.

    Source: Raissi, Perdikaris and Karniadakis (2019), doi:10.1016/j.jcp.2018.10.045 (the method); Dong and Li
    (2021), arXiv:2012.02895 (random features, slabs).
    """
    if not isinstance(problem, Problem):
        remedy = "Make one by pinn.ode, pinn.ivp or pinn.pde."
        raise TypeError(checks.message("be a Problem", "problem", problem, remedy))
    if hidden is not None:
        checks.widths(hidden=hidden)
    shape = NetworkSettings(
        () if hidden is None else tuple(hidden), activation, fourier_features, fourier_scale, harmonics
    )
    network = check_settings(shape, problem.periodic)
    settings = _settings(
        method, steps, network, points, sampling, tol, problem.domain.dimensions, derivatives, causal, seed,
        dtype, device, backend, estimate, time_limit, progress,
    )._replace(breakpoints=_breakpoints(breakpoints, problem.domain))  # fmt: skip
    checks.integer(stages=stages, least=1)
    if slabs is not None:
        checks.integer(slabs=slabs, least=1)
    if slabs not in (None, 1) and problem.marches is None:
        must = "be 1 for a problem without built-in initial conditions of all orders, or "
        must += "of more than 5 coordinates"
        raise ValueError(checks.message(must, "slabs", slabs, "Leave slabs out."))
    begun = time.perf_counter()
    begin = _begin(start, problem, settings, slabs)
    found = _solve(problem, settings, slabs, stages, begin, automatic=method is None)
    solution = Solution(
        parts=tuple(owned(part, settings) for part in found.parts),
        problem=problem,
        history=History(
            torch.tensor(found.losses, dtype=torch.float64),
            torch.tensor(found.seconds, dtype=torch.float64),
            found.candidates,
        ),
        status=found.status,
        verdict=found.verdict,
        settings=settings,
        method=found.method,
        backend=found.backend,
        steps=found.steps,
        seconds=time.perf_counter() - begun,
    )
    if not found.status.converged:
        warnings.warn(f"solve did not converge: {found.status.reason}.", RuntimeWarning, _level())
    return solution


def _breakpoints(given: Sequence[float], domain: Domain) -> tuple[float, ...]:
    """Places of a line, as numbers; refused elsewhere, and in a box, whose features are not graded."""
    places = tuple(float(place) for place in given)
    if places and domain.dimensions > 1:
        must = "be left out for several coordinates: they are places of a line"
        raise ValueError(checks.message(must, "breakpoints", places, "Leave breakpoints out."))
    for place in places:
        if not domain.lower[0] < place < domain.upper[0]:
            must = f"lie inside ({domain.lower[0]:g}, {domain.upper[0]:g})"
            raise ValueError(checks.message(must, "breakpoints", place, "Leave it out."))
    return places


def _level() -> int:
    """The level of the stack at which the package was called, where a warning points to."""
    frame, level, package = inspect.currentframe(), 0, __name__.split(".")[0]
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == package:
        frame, level = frame.f_back, level + 1
    return level


def _solve(
    problem: Problem,
    settings: Settings,
    slabs: int | None,
    stages: int,
    start: Part | None,
    *,
    automatic: bool,
) -> Marched:
    """In one piece, in slabs of one length, or in whatever `tol` needs."""
    along = problem.marches
    if slabs is not None and slabs > 1 and along is not None:
        return in_equal_slabs(problem, settings, slabs, stages, along)
    if not automatic or slabs == 1 or along is None:
        return whole(*solve_part(problem, settings, stages, start), along)
    # The first methods that succeed: features on the whole, features in slabs, all parameters on the whole.
    features = settings._replace(methods=DEFAULT[:1], steps=settings.steps[:1])
    line, linear = problem.domain.dimensions == 1, problem.affine
    narrow = features._replace(widest=SLAB_WIDTHS[not line])  # a shorter slab is cheaper than a wider network
    found = whole(*solve_part(problem, features if linear else narrow, stages, start), along)
    if found.verdict.meets(settings.enough) or found.verdict.ill_posed or found.stopped:
        return found
    try:
        marched = adaptively(problem, narrow, stages, along, linear=linear)
        if marched is not None:
            return marched.after(found)
        if found.status.converged:
            return found
        rest = settings._replace(methods=DEFAULT[1:], steps=settings.steps[1:])
        begin = found.parts[0] if settings.network.hidden else start
        return whole(*solve_part(problem, rest, stages, begin), along).after(found)
    except BlowUp as place:
        verdict = found.verdict._replace(ill_posed=NO_SOLUTION)
        reason = f"no solution beyond {place}, where its slope grows without bound; {found.status.reason}"
        return found._replace(verdict=verdict, status=found.status._replace(converged=False, reason=reason))
    except KeyboardInterrupt:
        return found.ended("interrupted")
    except Unfinished as reason:
        return found.ended(str(reason))


def _begin(start: Solution | None, problem: Problem, settings: Settings, slabs: int | None) -> Part | None:
    """The part of a given solution that a solve can start from."""
    if start is None:
        return None
    if not isinstance(start, Solution):
        raise TypeError(checks.message("be a Solution", "start", start, "Pass what solve returned."))
    if start.problem.fields != problem.fields or start.problem.domain.names != problem.domain.names:
        ours, theirs = (one.fields + one.domain.names for one in (problem, start.problem))
        raise ValueError(
            f"start must be of the same fields and coordinates. Got {theirs} for {ours}. Leave start out."
        )
    if len(start.parts) > 1 or len(start.parts[0].stages) > 1:
        raise ValueError("start must be one network. Got one in slabs or stages. Leave start out.")
    if slabs is not None and slabs > 1:
        raise ValueError(checks.message("be 1 where there is a start", "slabs", slabs, "Leave start out."))
    (stage,) = start.parts[0].stages
    asked = settings.network
    if not asked.hidden:
        asked = asked._replace(hidden=stage.shape.hidden)
    others = _unlike(stage.shape, start.problem, asked, problem)
    if others:
        raise ValueError(
            f"start must hold a network of the kind that is asked for. Got one with {'; '.join(others)}. "
            "Pass the options and the periodic coordinates that it was solved with, or leave start out."
        )
    params = tree.map(lambda leaf: leaf.to(**settings.where), stage.params)
    return start.parts[0]._replace(stages=(stage._replace(shape=asked, params=params),))


def _unlike(came: NetworkSettings, first: Problem, asked: NetworkSettings, problem: Problem) -> list[str]:
    """Why a network for one problem is none for another, in words; nothing where its parameters fit."""

    def told(shape: NetworkSettings, one: Problem) -> dict[str, str]:
        named = {f"{name}=": repr(value) for name, value in shape._asdict().items()}
        return {"periodic in ": repr(tuple(one.domain.names[place] for place in one.periodic)), **named}

    theirs, ours = told(came, first), told(asked, problem)
    return [
        f"{name}{theirs[name]}, where {one} is asked for" for name, one in ours.items() if theirs[name] != one
    ]


def _settings(
    method: str | Sequence[str] | None,
    steps: int | Sequence[int | None] | None,
    network: NetworkSettings,
    points: int | None,
    sampling: str | None,
    tol: float | None,
    dimensions: int,
    derivatives: str,
    causal: float,
    seed: int,
    dtype: torch.dtype,
    device: str | torch.device | None,
    backend: str | None,
    estimate: bool,
    time_limit: float | None,
    progress: bool,
) -> Settings:
    """Every setting checked; None is left where the method decides."""
    asked = DEFAULT if method is None else (method,) if isinstance(method, str) else method
    if not isinstance(asked, Sequence):
        raise TypeError(checks.message("be a name, or several", "method", method, "Try method='adam'."))
    methods = tuple(asked)
    if not methods:
        raise ValueError(checks.message("name a method", "method", method, "Try method='adam'."))
    for one in methods:
        checks.one_of(METHODS, method=one)
    many = tuple(steps) if isinstance(steps, Sequence) else (steps,) * len(methods)
    if len(many) != len(methods):
        must = f"be one number, or one for each of {len(methods)} methods"
        raise ValueError(checks.message(must, "steps", steps, "Try steps=None."))
    for number in many:
        if number is not None:
            checks.integer(steps=number, least=0)
    if points is not None:
        checks.integer(points=points, least=1)
    if sampling is not None:
        checks.one_of(SAMPLINGS, sampling=sampling)
    checks.integer(seed=seed)
    checks.floating(dtype=dtype)
    aim = AIMS[dtype] if tol is None else tol
    enough = ENOUGH[dtype][dimensions > 1] if tol is None else tol
    tol = TOLERANCES[dtype][dimensions > 1] if tol is None else tol
    if time_limit is not None:
        checks.positive(time_limit=time_limit)
    checks.positive(tol=tol)
    checks.one_of(DERIVATIVES, derivatives=derivatives)
    checks.non_negative(causal=causal)
    if causal and not set(methods) <= set(FIRST_ORDER):
        must = f"be 0 for other methods than {', '.join(FIRST_ORDER)}"
        raise ValueError(checks.message(must, "causal", causal, "Try method='adam'."))
    if device is not None:
        checks.device(device=device)
    if backend is not None:
        checks.one_of(BACKENDS, backend=backend)
    place = torch.device(device if device is not None else "cuda" if torch.cuda.is_available() else "cpu")
    return Settings(
        random.key(seed, device=place), methods, many, network, points=points, sampling=sampling,
        tol=float(tol), aim=float(aim), enough=float(enough), derivatives=derivatives,
        causal=float(causal), dtype=dtype,
        device=place, backend=backend, progress=progress, estimate=estimate, time_limit=time_limit,
        deadline=math.inf if time_limit is None else time.perf_counter() + time_limit,
    )  # fmt: skip
