"""A causal transformer for states of three numbers: a training step and a generated state, beside nn.Module.

Width 64, 4 heads, 4 layers, 50 states, batches of 64, float32. Every form is timed in turn, block by block,
and the median of its blocks is printed: the forms share whatever else the machine does. Run it with
OMP_NUM_THREADS=1 for the figures of one core.
"""

import argparse
import statistics
import time

import torch

from funcsci import models, nn, optim, random, train
from funcsci.compare.twins.causal import CausalTransformer
from funcsci.compile import jit

SHAPE, LAYERS = (64, 50, 3), 4
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--blocks", type=int, default=7)
parser.add_argument("--steps", type=int, default=5, help="training steps in a block")
parser.add_argument("--states", type=int, default=500, help="generated states in a block")
parser.add_argument("--device", default="cpu")
options = parser.parse_args()
keys = random.split(random.key(0, device=options.device), 3)
x, y = (random.normal(key, SHAPE, dtype=torch.float32) for key in keys[:2])


def functional(backend, fused):
    """A training step of pure functions in one program."""
    model = models.causal_transformer(layers=LAYERS, fused=fused)
    optimizer = optim.adam(1e-3)
    step = jit(
        train.train_step(lambda params, batch: nn.mse(model.apply(params, batch[0]), batch[1]), optimizer),
        backend=backend,
    )
    now = [train.start(model.init(keys[2], dtype=torch.float32), optimizer)]

    def run():
        for _ in range(options.steps):
            now[0], metrics = step(now[0], (x, y))
        return float(metrics["loss"])

    return run


def module(compiled):
    network = CausalTransformer(LAYERS).to(options.device)
    forward = torch.compile(network) if compiled else network
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def run():
        for _ in range(options.steps):
            loss = torch.nn.functional.mse_loss(forward(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()

    return run


def generation(backend, **kind):
    model = models.causal_transformer(layers=LAYERS, **kind)
    params = model.init(keys[2], dtype=torch.float32)

    def run():
        states = models.generate(model, params, x[:1], options.states, backend=backend, progress_bar=False)
        return float(states.sum())

    return run


def module_generation(compiled):
    network = CausalTransformer(LAYERS).to(options.device)
    forward = torch.compile(network) if compiled else network

    @torch.no_grad()
    def run():
        window = x[:1]
        for _ in range(options.states):
            window = torch.cat([window[:, 1:], forward(window)[:, -1:]], 1)
        return window.sum().item()

    return run


def table(title, forms, count):
    """The median time of each form, and the ratio to the first."""
    for run in forms.values():
        run()  # compiles
    seconds = {name: [] for name in forms}
    for _ in range(options.blocks):
        for name, run in forms.items():
            start = time.perf_counter()
            run()
            seconds[name].append((time.perf_counter() - start) / count)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    first = next(iter(medians.values()))
    print(f"\n| {title} | ms | ratio |\n|---|---:|---:|")
    for name, median in medians.items():
        print(f"| {name} | {1e3 * median:.3f} | {median / first:.2f} |", flush=True)


table(
    "training step",
    {
        "nn.Module eager": module(False),
        "nn.Module compiled": module(True),
        "funcsci trace, torch's kernel for attention": functional("trace", True),
        "funcsci compile, torch's kernel": functional("compile", True),
        "funcsci compile, matrix products": functional("compile", False),
    },
    options.steps,
)
BANDED = {"positions": "rotary", "window": 49}
table(
    "generated state",
    {
        "nn.Module eager, windows": module_generation(False),
        "nn.Module compiled, windows": module_generation(True),
        "funcsci trace, windows": generation("trace"),
        "funcsci compile, windows": generation("compile"),
        "funcsci compile, windows, torch's kernel": generation("compile", fused=True),
        "funcsci trace, band of 49 remembered": generation("trace", **BANDED),
        "funcsci compile, band of 49 remembered": generation("compile", **BANDED),
    },
    options.states,
)
