"""The Lorenz system: how fast two close starts part, and how far any solver or model can see.

Writes lorenz.png, two_starts.png and precision.png to the current folder. `--smoke` takes shorter runs.
"""

import math

import torch

from funcsci import chaos, data, examples, plot, random

options = examples.options(__doc__)
DT, ORDER, KNOWN = 0.01, 12, 0.9056
MEMBERS, SPAN, STEPS, SETTLE = (10, 1300, 200, 60) if options.smoke else (200, 4500, 4000, 800)
torch.set_default_dtype(torch.float64)


def step(state, dt=DT):
    """The Taylor series in time, each coefficient from those before: exact to round-off, and a pure map."""
    series = state[None]  # (coefficients, members, 3)
    for number in range(ORDER):
        x, y, z = series.unbind(-1)
        xy, xz = ((x * other.flip(0)).sum(0) for other in (y, z))
        rates = 10 * (y[-1] - x[-1]), 28 * x[-1] - xz - y[-1], xy - 8 / 3 * z[-1]
        series = torch.cat([series, torch.stack(rates, -1)[None] / (number + 1)])
    powers = torch.tensor([dt**number for number in range(1, ORDER + 1)]).to(state)
    return state + torch.einsum("k,k...->...", powers, series[1:])


def rollout(step, state, steps):
    states = []
    for _ in range(steps):
        state = step(state)
        states.append(state)
    return torch.stack(states, 1)  # (members, steps, 3)


series = data.lorenz(10_000, dt=DT, method="odeint").to(options.device)
climate = chaos.attractor_statistics(series, dt=DT)
print(climate, end="\n\n")
starts, judge = series[:: len(series) // MEMBERS], {"dt": DT, "std": climate.std}

# The exponent, from the equations and from the series alone.
found = chaos.largest_lyapunov_exponent(
    lambda state: step(state, 5 * DT), starts, dt=5 * DT, steps=STEPS, settle=SETTLE,
    backend="eager" if options.smoke else None, progress_bar=not options.smoke,
)  # fmt: skip
seen = chaos.series_lyapunov_exponent(series[::4], dt=4 * DT, fit=(0.5, 2.0), theiler=1.0)
print("the equations:  ", found)
print("the series:     ", seen)

# Two close starts: the error grows as the exponent says, until it is as large as the attractor.
key = random.key(options.seed, device=options.device)
noise = 1e-8 * climate.std / math.sqrt(3) * random.normal(key, tuple(starts.shape))
truth, other = rollout(step, starts, SPAN), rollout(step, starts + noise, SPAN)
growth = chaos.error_growth(other, truth, **judge)
print("two close starts:", growth, end="\n\n")

# What round-off allows: the same series in less precision, and the same in two half steps.
forecasts = {
    "float32": rollout(step, starts.float(), SPAN),
    "float64": rollout(lambda state: step(step(state, DT / 2), DT / 2), starts, SPAN),
}
times, errors = {}, {"a start 1e-8 away": growth.error.cpu()}
for name, forecast in forecasts.items():
    times[name] = chaos.valid_prediction_time(forecast, truth, **judge, lyapunov=KNOWN).cpu()
    errors[name] = chaos.error_growth(forecast, truth, **judge).error.cpu()
    low, middle, high = torch.quantile(times[name], torch.tensor([0.25, 0.5, 0.75])).tolist()
    print(f"{name}: valid for {middle:.1f} Lyapunov times (quartiles {low:.1f} and {high:.1f})")

both = {"truth": truth[0].cpu(), "from a start 1e-8 away": other[0].cpu()}
both = {name: states[: SPAN // 2] for name, states in both.items()}
plot.trajectories_figure(both, title="Two close starts").savefig("lorenz.png", dpi=120)
plot.error_growth_figure(
    growth.time.cpu(), errors, lyapunov=KNOWN, threshold=0.4, title="The Lorenz system"
).savefig("two_starts.png", dpi=120)
plot.prediction_times_figure(times, title="What round-off allows").savefig("precision.png", dpi=120)
assert abs(found.value - KNOWN) < (0.2 if options.smoke else 0.003) and abs(seen.value - KNOWN) < 0.15
assert abs(growth.slope - KNOWN) < (0.2 if options.smoke else 0.05)
assert 10 < times["float32"].median() < 14 and times["float64"].median() > (11 if options.smoke else 30)
