"""One problem in ten ways: the pendulum, theta'' + sin theta = 0 from theta = 2 at rest, t <= 10.

Methods with curvature and without; Adam with causal weights; conditions built in and in the loss; a sine
network and Fourier features. Errors are against SciPy's DOP853. Writes methods.png to the current folder.
`--smoke` takes three of the ways and a hundredth of the steps.
"""

import warnings

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.integrate import solve_ivp

from funcsci import examples, pinn

options = examples.options(__doc__)
here = {"seed": options.seed, "device": options.device, "progress": False, "backend": "trace"}
SHARE = 0.01 if options.smoke else 1.0
warnings.filterwarnings("ignore", "solve did not converge")  # the table says how far each came


def pendulum(hard):
    return pinn.ode(
        lambda u: u.tt + torch.sin(u),
        t_span=(0, 10),
        conditions=[pinn.initial(2.0, hard=hard), pinn.initial(0.0, order=1, hard=hard)],
    )


WAYS = {  # name: built-in conditions, the most steps, and what else is asked
    "random_features": (True, None, {"slabs": 4}),
    "levenberg_marquardt": (True, 200, {}),
    "  conditions in the loss": (False, 100, {}),
    "  sine network": (True, 100, {"activation": "siren"}),
    "  Fourier features": (True, 100, {"fourier_features": 6}),
    "ssbroyden": (True, 1_500, {}),
    "lbfgs": (True, 1_000, {}),
    "soap": (True, 1_000, {}),
    "adam": (True, 5_000, {}),
    "  causal weights": (True, 5_000, {"causal": 100.0}),
}
if options.smoke:
    WAYS = {name: WAYS[name] for name in ("random_features", "levenberg_marquardt", "adam")}
times = np.linspace(0, 10, 1_000)
exact = solve_ivp(
    lambda t, y: (y[1], -np.sin(y[0])), (0, 10), (2, 0), "DOP853", times, rtol=1e-12, atol=1e-14
).y[0]

figure = Figure(figsize=(10, 4), layout="constrained")
curves, courses = figure.subplots(1, 2)
curves.plot(times, exact, color="0.8", linewidth=6)
print("method                     relative error   estimated   held-out residual   steps   seconds")
errors = {}
for name, (hard, steps, asked) in WAYS.items():
    if name.strip() == name:
        method = name
    if method != "random_features":
        asked = asked | {"steps": max(3, int(SHARE * steps)), "hidden": (20, 20)}
    solution = pinn.solve(pendulum(hard), method=method, **asked, **here)
    errors[name] = float(np.linalg.norm(solution(times) - exact) / np.linalg.norm(exact))
    estimate = f"{solution.error_estimate['u']:.1e}" + "?" * (not solution.estimate_trusted)
    told = (
        f"{estimate:>11} {max(solution.residuals.values()):19.1e} {solution.steps:7,} {solution.seconds:9.1f}"
    )
    print(f"{name:<26} {errors[name]:14.1e} {told}")
    if not name.startswith("  ") or "causal" in asked:
        label = name if name == method else f"{method} with{name[1:]}"
        curves.plot(times, solution(times), linewidth=1)
        best = torch.cummin(solution.history.loss, 0).values
        courses.loglog(solution.history.seconds, best, label=label)
assert errors["random_features"] < 1e-6
assert options.smoke or errors["levenberg_marquardt"] < 1e-3 * errors["adam"]
curves.set_xlabel("t")
curves.set_ylabel("theta")
courses.set_xlabel("seconds")
courses.set_ylabel("mean squared residual, best so far")
courses.legend(frameon=False)
for axes in (curves, courses):
    axes.grid(alpha=0.25)
figure.savefig("methods.png", dpi=150)
