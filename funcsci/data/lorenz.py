"""The Lorenz system: three equations whose solutions never settle and soon forget where they began."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import integrate
from torch import Tensor

from funcsci import checks

METHODS = ("DOP853", "odeint")
"""SciPy's solvers by name: Runge and Kutta's of order eight, and Adams' of varying order."""
LEAST_RTOL = 1e-13
"""Below this a step's error is the round-off of its sums."""
SUCCESS = "Integration successful."
"""What `odeint` says, and nowhere by a number."""
MOST_STEPS = 10_000_000
"""Between two states; far more than any solution needs that stays finite."""


def lorenz_field(
    state: Float[Tensor, "*batch 3"], *, sigma: float = 10.0, rho: float = 28.0, beta: float = 8 / 3
) -> Float[Tensor, "*batch 3"]:
    r"""The velocity of a state of the Lorenz system.

    $\dot x = \sigma (y - x)$, $\dot y = x (\rho - z) - y$, $\dot z = x y - \beta z$.

    Args:
        state: $(x, y, z)$, dimensionless as everything here.
        sigma: $\sigma$, the Prandtl number.
        rho: $\rho$, the Rayleigh number over its critical value.
        beta: $\beta$, of the shape of the convection rolls.

    Returns:
        The velocity, as a pure function of the state: it can be differentiated, batched and compiled.

    Example:
        It vanishes in the middle of a wing of the attractor:

        >>> wing = 72**0.5
        >>> velocity = lorenz_field(torch.tensor([wing, wing, 27.0], dtype=torch.float64))
        >>> bool(velocity.abs().max() < 1e-13)
        True

    Source: Lorenz (1963), doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2, equations 25 to 27.
    """
    return torch.stack(_rates(state.unbind(-1), sigma, rho, beta), -1)


def lorenz(
    steps: int,
    *,
    dt: float = 0.01,
    start: Sequence[float] | Float[Tensor, "*members 3"] = (1.0, 1.0, 1.0),
    sigma: float = 10.0,
    rho: float = 28.0,
    beta: float = 8 / 3,
    transient: float = 20.0,
    method: str = "DOP853",
    rtol: float = 1e-12,
    atol: float = 1e-12,
    dtype: torch.dtype | None = None,
) -> Float[Tensor, "*members steps 3"]:
    """Trajectories of the Lorenz system, at equal distances in time.

    SciPy solves the equations of `lorenz_field` in float64. With the default tolerances each state follows
    from the one before to about 1e-11; as errors grow e-fold in about one unit of time, two solvers part ways
    after some 30.

    Args:
        steps: how many states of each trajectory.
        dt: the time between two, dimensionless as everything here.
        start: the state at time 0, or several of them, one for each trajectory.
        sigma: see `lorenz_field`; positive here, as `beta` is, which keeps every trajectory bounded.
        rho: likewise, of either sign.
        beta: likewise.
        transient: the time before the first state that is kept, in which a trajectory finds the
            attractor. 0 keeps the start.
        method: `"DOP853"`, the Runge-Kutta method of order eight of `scipy.integrate.solve_ivp`; or
            `"odeint"`, the Adams methods of up to order twelve of `scipy.integrate.odeint`, which is quicker.
        rtol: the error allowed in a step of the solver, relative to the state, at least 1e-13.
        atol: the same as a number.
        dtype: of the result; None: torch's default.

    Returns:
        The states in the order of time; `(steps, 3)` for a start of three numbers, `(members, steps, 3)` for
        one of shape `(members, 3)`. They are on the device of the start. Trajectories solved together share
        the solver's steps, so each agrees with the same one solved alone as two solvers do.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a number is out of its range, the method is unknown, the start is not of three finite
            numbers, or the solver gives up.

    Example:
        >>> states = lorenz(1000, dt=0.05, dtype=torch.float64)
        >>> states.shape, bool((states[:, 2] > 0).all())
        (torch.Size([1000, 3]), True)

    Source: Lorenz (1963), doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2; Hairer, Nørsett and Wanner
        (1993), Solving Ordinary Differential Equations I, section II.5 (the method of order eight).
    """
    checks.integer(least=1, steps=steps)
    checks.positive(dt=dt, atol=atol, sigma=sigma, beta=beta)  # friction: no trajectory escapes
    checks.finite(rho=rho)
    checks.non_negative(transient=transient)
    checks.one_of(METHODS, method=method)
    _check_rtol(rtol)
    wanted = torch.get_default_dtype() if dtype is None else dtype
    checks.floating(dtype=wanted)
    first = _start(start)
    # Coordinates first: each is then one array for all members.
    flat = first.movedim(-1, 0).detach().cpu().numpy().reshape(-1)
    times = transient + dt * np.arange(steps)
    solver = _odeint if method == "odeint" else _dop853
    later = times[times > 0]
    with np.errstate(over="ignore", invalid="ignore"):  # what escapes is refused below
        found = solver(
            lambda _, state: np.concatenate(_rates(state.reshape(3, -1), sigma, rho, beta)),
            flat,
            later,
            rtol=rtol,
            atol=atol,
        )
    solved = np.concatenate([flat[None]] * (len(later) < steps) + [found])  # time 0 is no step of a solver
    if len(solved) < steps or not np.isfinite(solved).all():
        remedy = "Try one nearer to the attractor, such as (1.0, 1.0, 1.0), or smaller parameters."
        raise ValueError(checks.message("be one that the solver can follow", "start", start, remedy))
    states = torch.from_numpy(solved.reshape(steps, 3, -1)).permute(2, 0, 1)  # (members, steps, 3)
    return states.reshape(*first.shape[:-1], steps, 3).to(first.device, wanted).contiguous()


def _rates(coordinates: Any, sigma: float, rho: float, beta: float) -> tuple[Any, Any, Any]:
    """The three equations, for torch's tensors and NumPy's arrays."""
    x, y, z = coordinates
    return sigma * (y - x), x * (rho - z) - y, x * y - beta * z


def _dop853(rates: Any, start: Any, times: Any, **tolerances: float) -> NDArray[np.float64]:
    """States at the times, shape `(times, 3 members)`; fewer where the solver gave up."""
    if not len(times):
        return np.empty((0, len(start)))
    solve: Any = integrate.solve_ivp
    result = solve(rates, (0.0, times[-1]), start, "DOP853", t_eval=times, **tolerances)
    return np.asarray(result.y).T.reshape(-1, len(start))


def _odeint(rates: Any, start: Any, times: Any, **tolerances: float) -> NDArray[np.float64]:
    """The same."""
    solve: Any = integrate.odeint
    options = {"tfirst": True, "full_output": True, "mxstep": MOST_STEPS, **tolerances}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", integrate.ODEintWarning)  # that it gave up, which the caller says
        states, report = solve(rates, start, np.concatenate([[0.0], times]), **options)
    return np.asarray(states)[1 : None if report["message"] == SUCCESS else 1]


def _start(start: Sequence[float] | Tensor) -> Tensor:
    """The start in float64."""
    remedy = "Try start=(1.0, 1.0, 1.0), or a tensor of shape (members, 3)."
    try:
        first = torch.as_tensor(start).to(torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(checks.message("be numbers", "start", start, remedy)) from error
    if first.dim() not in (1, 2) or first.shape[-1] != 3 or not first.numel():
        raise ValueError(
            f"start must hold three coordinates. Got start of shape {tuple(first.shape)}. {remedy}"
        )
    if not bool(torch.isfinite(first).all()):
        raise ValueError(checks.message("be finite", "start", start, remedy))
    return first


def _check_rtol(rtol: float) -> None:
    checks.positive(rtol=rtol)
    if rtol < LEAST_RTOL:
        raise ValueError(checks.message(f"be at least {LEAST_RTOL}", "rtol", rtol, "Try rtol=1e-12."))
