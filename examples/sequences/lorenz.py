"""A causal transformer learns the Lorenz system from 10,000 states, and forecasts it.

Challenge V. Each layer's network is bilinear, so two layers hold every polynomial of degree four of a
state; the last affine map is found by linear least squares, all other weights stay as they were drawn.
Writes lorenz_forecast.png, lorenz_error.png and lorenz_times.png to the current folder. `--smoke` takes fewer
windows, starts and steps.
"""

import time

import torch

from funcsci import chaos, data, examples, models, nn, optim, plot, random, tree

options = examples.options(__doc__)
DT, CONTEXT, LYAPUNOV = 0.01, 50, 0.9056
STARTS, LENGTH, EVERY, STEPS = (8, 500, 100, 100) if options.smoke else (200, 2500, 10, 5000)
torch.set_default_dtype(torch.float64)

series = data.lorenz(10_000, dt=DT).to(options.device)
scaling = models.Scaling.of(series)
model = models.causal_transformer(
    3, width=64, heads=4, layers=2, hidden=64, context=CONTEXT, window=CONTEXT - 1, positions="rotary",
    norm=None, activation="identity", gated=True, weight_init=nn.initializers.lecun_normal(),
    attention_scale=1e-6, scaling=scaling,
)  # fmt: skip
params = model.init(random.key(options.seed, device=options.device))
step = torch.tensor(scaling.step, device=options.device)


def residual(head, window):
    """What is wrong with the step after each state, in units of a step: affine in the head."""
    after = model.apply({**params, "head": head}, window[:-1])
    return ((after - window[1:]) / step).flatten()


begin = time.perf_counter()
windows = data.windows(series, CONTEXT + 1, stride=EVERY)
how = {"method": "gauss_newton", "solver": "qr", "steps": 3, "warn": False}
fit = optim.least_squares(residual, params["head"], windows, **how)
params = {**params, "head": fit.params}
error = float((2 * fit.value / windows[:, 1:].numel()).sqrt())
print(f"the head's {tree.size(fit.params)} of {tree.size(params):,} parameters are fitted")
print(f"error of a step: {error:.1e} of its size; {time.perf_counter() - begin:.0f} s of training")

# Another trajectory, from another initial state: seeds of 50 states each, and what came after them.
other = data.lorenz(STARTS * 100 + CONTEXT + LENGTH, dt=DT, start=(-8.0, 7.0, 25.0)).to(options.device)
seeds, truth = data.windows(other, CONTEXT + LENGTH, stride=100)[:STARTS].split([CONTEXT, LENGTH], 1)
judge = {"dt": DT, "std": chaos.attractor_statistics(series, dt=DT).std}
forecasts, times = {}, {}
for dtype in (torch.float64, torch.float32):
    name = f"rolled out in {dtype}".replace("torch.", "")
    cast = tree.map(lambda leaf, dtype=dtype: leaf.to(dtype), params)
    forecasts[name] = models.generate(model, cast, seeds.to(dtype), LENGTH).double()
    for limit in (0.3, 0.5, 0.4):
        rules = {"lyapunov": LYAPUNOV, "threshold": limit, **judge}
        found = chaos.valid_prediction_time(forecasts[name], truth, **rules).cpu()
        low, median, high = torch.quantile(found, torch.tensor([0.25, 0.5, 0.75])).tolist()
        tracked = float((found > 499.5 * DT * LYAPUNOV).double().mean())
        print(f"{name}, threshold {limit}: median {median:5.2f} Lyapunov times, quartiles {low:.2f}", end=" ")
        print(f"and {high:.2f}; {tracked:.0%} on track for 500 steps")
    times[name] = found
    assert tracked >= 0.95 and (options.smoke or median >= 9)

# The model as a dynamical system of its own: the exponent of its map of windows.
exponent = chaos.largest_lyapunov_exponent(
    lambda window: torch.cat([window[..., 1:, :], model.next(params, window)[..., None, :]], -2),
    seeds[:8], dt=DT, steps=STEPS, state_dims=2, backend="trace", progress_bar=not options.smoke,
)  # fmt: skip
print(f"the model's own {exponent}; the equations' is {LYAPUNOV}")
assert abs(exponent.value - LYAPUNOV) < (1.0 if options.smoke else 0.05)

growth = {name: chaos.error_growth(one, truth, **judge).error.cpu() for name, one in forecasts.items()}
shown = {"truth": truth[0, :1200].cpu(), "forecast": forecasts["rolled out in float64"][0, :1200].cpu()}
plot.trajectories_figure(shown, title="A trajectory, and its forecast from 50 states").savefig(
    "lorenz_forecast.png"
)
after, rules = DT * torch.arange(1.0, LENGTH + 1), {"lyapunov": LYAPUNOV, "threshold": 0.4}
plot.error_growth_figure(after, growth, title="The mean error of forecasts", **rules).savefig(
    "lorenz_error.png"
)
plot.prediction_times_figure(times, title="How long forecasts hold").savefig("lorenz_times.png")
