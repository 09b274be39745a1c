"""What a solve says of its answer: from a problem that converges to one that has no solution.

An oscillator; a thin layer with far too few features, with too few, and with as many as it needs; a
resonance, which nothing solves; an insulated rod, which has many solutions. Where the exact solution is
known, its error stands below the estimate. Writes null.png, the function that may be added at the
resonance. `--smoke` leaves out the layer with as many features as it needs.
"""

import math
import warnings

import torch

from funcsci import examples, pinn

options = examples.options(__doc__)
here = {"seed": options.seed, "device": options.device, "progress": False}
warnings.filterwarnings("ignore", "solve did not converge")  # that is what is shown

EPSILON = 0.01
both_ends = [pinn.dirichlet("x", 0.0, side="lower"), pinn.dirichlet("x", 1.0, side="upper")]
swing = pinn.ode(lambda u: u.tt + u, t_span=(0, 10), u0=1.0, du0=0.0, reference=torch.cos, text="u'' + u = 0")
layer = pinn.ode(
    lambda u, x: EPSILON * u.xx + u.x,
    t_span=(0, 1),
    coordinate="x",
    conditions=both_ends,
    reference=lambda x: (1 - torch.exp(-x / EPSILON)) / (1 - math.exp(-1 / EPSILON)),
    text="u'' / 100 + u' = 0",
)
resonance = pinn.ode(
    lambda u, x: u.xx + u - torch.sin(x),
    t_span=(0, math.pi),
    coordinate="x",
    conditions=[pinn.dirichlet("x", 0.0)],
    text="u'' + u = sin x, u(0) = u(pi) = 0",
)
insulated = pinn.ode(
    lambda u, x: u.xx + torch.cos(x),
    t_span=(0, math.pi),
    coordinate="x",
    conditions=[pinn.neumann("x", 0.0)],
    text="u'' + cos x = 0, u'(0) = u'(pi) = 0",
)


def shown(problem, **asked):
    solution = pinn.solve(problem, **asked, **here)
    print(solution, "\n")
    return solution


swinging = shown(swing)
assert swinging.status.converged and swinging.relative_l2 < swinging.settings.tol

for width in (32, 64):
    coarse = shown(layer, method="random_features", hidden=(width,))
    assert not coarse.status.converged
    assert 0.1 < coarse.error_estimate["u"] / coarse.relative_l2 < 10
if not options.smoke:
    fine = shown(layer)
    assert fine.status.converged and fine.relative_l2 < 1e-8

resonant = shown(resonance)
assert resonant.verdict.ill_posed == "no solution"
resonant.plot("null.png", null=0)

free = shown(insulated)
assert free.verdict.ill_posed == "not unique"
assert [one.description for one in free.verdict.nulls] == ["a constant in u"]
x = torch.linspace(0, math.pi, 101, dtype=torch.float64, device=options.device)
assert torch.allclose(free(x), torch.cos(x), rtol=0, atol=1e-9)  # of all cos x + c the one of least norm
