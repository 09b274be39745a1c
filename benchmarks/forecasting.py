"""The next value of a noisy signal: an LSTM, autoregression, and what knows the law. One run, one table.

    python benchmarks/forecasting.py [--first 0] [--seeds 10] [--threads 1]

1,000 points of sin t + sin(t / 2) + noise of standard deviation 0.1, at dt = 0.1; each seed has a noise and
first weights of its own. Windows of 50 values are to tell the next one; the last 200 points are held out, as
targets. The errors are root mean squares over these 200 against the noisy values, in units of the noise,
which alone makes one of 1.0: no forecaster is better but by chance. The rows:

persistence     the value before
AR(50)          50 coefficients by least squares on the 750 windows of the first 800 points
ridge AR(50)    the same with a penalty, chosen on the last 150 of the 750
best linear     the 50 coefficients that are best for noise and waves of unknown phase, from their covariance
LSTM            models.forecaster, trained on the same 750 windows
sinusoids       two sinusoids of any frequency, fitted to the first 800 points and continued; it knows the law
"""

import argparse
import math
import sys
import time

import torch

from funcsci import data, models, nn, optim, random, train

LENGTH, SPLIT, DT, NOISE = 50, 800, 0.1, 0.1


def signal(seed: int):
    """The signal, and the windows to learn from and to be judged by, the target last."""
    series = data.noisy_waves(random.key(seed), dt=DT, noise=NOISE, dtype=torch.float64)
    windows = data.windows(series["y"], LENGTH + 1)
    return series, windows[: SPLIT - LENGTH], windows[SPLIT - LENGTH :]


def error(found, windows) -> float:
    """Root mean square, in units of the noise."""
    return float(nn.mse(found, windows[:, -1]).sqrt()) / NOISE


def regression(windows, penalty: float = 0.0):
    """Coefficients of an autoregression by least squares."""
    x, y = windows[:, :-1, 0], windows[:, -1]
    ridge = math.sqrt(penalty) * torch.eye(LENGTH, dtype=x.dtype)
    return torch.linalg.lstsq(torch.cat([x, ridge]), torch.cat([y, torch.zeros_like(ridge[:, :1])])).solution


def by_autoregression(seen, unseen, coefficients) -> float:
    return error(unseen[:, :-1, 0] @ coefficients, unseen)


def by_ridge(seen, unseen) -> float:
    first, last = seen[:-150], seen[-150:]
    penalties = [10.0**power for power in range(-3, 3)]
    best = min(penalties, key=lambda one: by_autoregression(first, last, regression(first, one)))
    return by_autoregression(seen, unseen, regression(seen, best))


def best_linear():
    """What minimizes the expected error by the covariances, (cos(s) + cos(s / 2)) / 2 and the noise's."""
    lag = DT * torch.arange(LENGTH + 1, dtype=torch.float64)
    apart = (lag[:, None] - lag).abs()
    waves = (torch.cos(apart) + torch.cos(apart / 2)) / 2
    noisy = waves[:-1, :-1] + NOISE**2 * torch.eye(LENGTH, dtype=torch.float64)
    return torch.linalg.solve(noisy, waves[:-1, -1:])


def by_sinusoids(series, unseen) -> float:
    """Frequencies from the two highest peaks of the spectrum, then all at once by least squares."""
    t, y = series["t"], series["y"]
    spectrum = torch.fft.rfft(y[:SPLIT, 0]).abs()
    peaks = [
        place for place in range(1, 40) if spectrum[place] == spectrum[max(place - 2, 0) : place + 3].max()
    ]
    highest = sorted(peaks, key=lambda place: -float(spectrum[place]))[:2]
    start = {
        "frequency": 2 * math.pi / (SPLIT * DT) * torch.tensor(highest, dtype=y.dtype),
        "sine": torch.ones(2, dtype=y.dtype), "cosine": torch.zeros(2, dtype=y.dtype),
    }  # fmt: skip

    def waves(params, t):
        angle = params["frequency"] * t
        return (params["sine"] * torch.sin(angle) + params["cosine"] * torch.cos(angle)).sum(-1, keepdim=True)

    found = optim.least_squares(
        lambda params: (waves(params, t[:SPLIT]) - y[:SPLIT]).squeeze(-1), start, progress_bar=False
    )
    return error(waves(found.params, t[SPLIT:]), unseen)


def by_lstm(seen, unseen, key, options) -> float:
    model = models.forecaster(1, options.hidden, options.layers)
    keys = random.split(key)
    windows = seen.to(torch.float32)

    def loss(params, w):
        return nn.mse(model.apply(params, w[:, :-1]), w[:, -1])

    result = train.fit(
        loss, model.init(keys[0], dtype=torch.float32),
        optim.soap(optim.one_cycle(options.rate, options.steps)), windows,
        key=keys[1], batch_size=options.batch, drop_last=True, steps=options.steps, backend="trace",
        report_every=options.steps, progress_bar=False,
    )  # fmt: skip
    return error(model.apply(result.params, unseen[:, :-1].to(torch.float32)).double(), unseen)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    table: dict[str, list[float]] = {}
    linear = best_linear()
    seconds = []
    for seed in range(options.first, options.first + options.seeds):
        series, seen, unseen = signal(seed)
        begin = time.perf_counter()
        lstm = by_lstm(seen, unseen, random.fold_in(random.key(seed), 1), options)
        seconds.append(time.perf_counter() - begin)
        found = {
            "persistence": error(unseen[:, -2], unseen),
            "AR(50)": by_autoregression(seen, unseen, regression(seen)),
            "ridge AR(50)": by_ridge(seen, unseen),
            "best linear": by_autoregression(seen, unseen, linear),
            "LSTM": lstm,
            "sinusoids": by_sinusoids(series, unseen),
        }
        for name, value in found.items():
            table.setdefault(name, []).append(value)
        told = ", ".join(f"{name} {value:.3f}" for name, value in found.items())
        print(f"seed {seed}: {told}", file=sys.stderr, flush=True)
    print("| one step ahead, error / noise | mean | lowest | highest |\n|---|---:|---:|---:|")
    for name, values in table.items():
        print(f"| {name} | {sum(values) / len(values):.3f} | {min(values):.3f} | {max(values):.3f} |")
    ahead = sum(one < other for one, other in zip(table["LSTM"], table["AR(50)"], strict=True))
    print(f"\nThe LSTM is ahead of AR(50) in {ahead} of {options.seeds} seeds.")
    print(f"Its training took {min(seconds):.0f} to {max(seconds):.0f} s.")


if __name__ == "__main__":
    main()
