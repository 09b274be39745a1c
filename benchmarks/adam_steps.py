"""One Adam step of a PINN, by Taylor mode and by nested derivatives, beside eager PyTorch: two tables.

    python benchmarks/adam_steps.py [--problems oscillator burgers] [--threads 1] [--steps 900]

float32, conditions in the loss, the points fixed.

- oscillator: u'' + u = 0 with a network 1-32-32-1 on 64 points, beside nn.Module with torch.autograd.grad.
- Burgers' equation with a network 2-20-20-20-1 on 2,000 points inside, 100 at both edges and 100 at the
  start, beside DeepXDE's PyTorch backend, where it is installed. DeepXDE asks the equation of all 2,200.

The ways run in alternating blocks and the medians count. Times are the processor's, which other work on the
machine hardly lengthens; on one thread they are the wall's where there is none.
"""

import argparse
import contextlib
import importlib.util
import math
import os
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault("DDE_BACKEND", "pytorch")

import torch

from funcsci import optim, pinn, random, train
from funcsci.compare.twins.oscillator import Network, module_step
from funcsci.compile import jit
from funcsci.interop import state_dict
from funcsci.pinn.network import NetworkSettings
from funcsci.pinn.requirements import Points
from funcsci.pinn.settings import Settings
from funcsci.pinn.task import make_task

BLOCKS = 9
RATE = 1e-3
DTYPE = torch.float32
INSIDE, BOUNDARY, INITIAL = 2_000, 100, 100
VISCOSITY = 0.01 / math.pi

Way = Callable[[int], object]
"""Takes so many steps."""


def burgers() -> pinn.Problem:
    """The equation with its conditions in the loss, each of weight one."""
    soft = {"hard": False, "weight": 1.0}
    return pinn.pde(
        lambda u: u.t + u * u.x - VISCOSITY * u.xx,
        {"x": (-1.0, 1.0), "t": (0.0, 1.0)},
        [pinn.dirichlet("x", 0.0, **soft), pinn.initial(lambda x: -torch.sin(math.pi * x), **soft)],
    )


def fewer(points: Points, count: int) -> Points:
    """The first of some points, with the weight of all."""
    x, target, weight = (one[:count] for one in points)
    return Points(x, target, weight * (points.weight.sum() / weight.sum()))


def our_step(problem: pinn.Problem, hidden: tuple[int, ...], counts: tuple[int, ...], mode: str):
    """The pure step, its first state and its points: `counts` inside and for each condition."""
    settings = Settings(random.key(0), network=NetworkSettings(hidden), derivatives=mode, dtype=DTYPE)
    task = make_task(problem, settings, settings.network)
    drawn = task.training(counts[0], random.key(1), "grid" if len(counts) == 1 else "uniform")
    training = tuple(fewer(points, count) for (_, points), count in zip(drawn, (*counts, 1, 1), strict=False))
    params = task.trial.init(settings.key, dtype=DTYPE)
    optimizer = optim.adam(RATE)
    return train.train_step(task.loss, optimizer), train.start(params, optimizer), training


def program(step, state, training, backend: str) -> Way:
    compiled, now = jit(step, backend=backend), [state]

    def advance(count: int) -> None:
        for _ in range(count):
            now[0], _ = compiled(now[0], training)

    return advance


def oscillator_ways() -> dict[str, Way]:
    problem, hidden = pinn.oscillator(soft=True), (32, 32)
    ways: dict[str, Way] = {}
    for mode in ("taylor", "nested"):
        step, state, training = our_step(problem, hidden, (64,), mode)
        for backend in ("compile", "trace"):
            ways[f"funcsci, {mode}, {backend}"] = program(step, state, training, backend)
    (span,) = problem.domain.ranges.values()
    network = Network(hidden, span).to(DTYPE)
    network.load_state_dict(state_dict(state.params))
    eager = module_step(network, torch.optim.Adam(network.parameters(), lr=RATE))
    points = training[0].x
    ways["nn.Module, eager"] = lambda count: [eager(points) for _ in range(count)]
    return ways


def burgers_ways() -> dict[str, Way]:
    hidden, counts = (20, 20, 20), (INSIDE, BOUNDARY // 2, BOUNDARY // 2, INITIAL)
    ways: dict[str, Way] = {}
    for mode in ("taylor", "nested"):
        ways[f"funcsci, {mode}, compile"] = program(*our_step(burgers(), hidden, counts, mode), "compile")
    if importlib.util.find_spec("deepxde"):
        ways["DeepXDE"] = deepxde_steps(hidden)
    return ways


def deepxde_steps(hidden: tuple[int, ...]) -> Way:
    threads = torch.get_num_threads()  # importing it sets another number
    import deepxde

    deepxde.config.set_random_seed(0)
    with contextlib.redirect_stdout(sys.stderr):  # it says so, amid the table
        deepxde.config.set_default_float("float32")
    torch.set_num_threads(threads)
    space, times = deepxde.geometry.Interval(-1, 1), deepxde.geometry.TimeDomain(0, 1)
    domain = deepxde.geometry.GeometryXTime(space, times)

    def equation(x, u):
        slope_x, slope_t = (deepxde.grad.jacobian(u, x, i=0, j=place) for place in (0, 1))
        return slope_t + u * slope_x - VISCOSITY * deepxde.grad.hessian(u, x, i=0, j=0)

    conditions = [
        deepxde.icbc.DirichletBC(domain, lambda x: 0.0, lambda _, on: on),
        deepxde.icbc.IC(domain, lambda x: -torch.sin(math.pi * torch.as_tensor(x[:, :1])), lambda _, on: on),
    ]
    data = deepxde.data.TimePDE(
        domain, equation, conditions, num_domain=INSIDE, num_boundary=BOUNDARY, num_initial=INITIAL
    )
    model = deepxde.Model(data, deepxde.nn.FNN([2, *hidden, 1], "tanh", "Glorot normal"))
    model.compile("adam", lr=RATE, verbose=0)
    return lambda count: model.train(iterations=count, display_every=10**9, verbose=0)


def timed(way: Way, count: int) -> float:
    begun = time.process_time()
    way(count)
    return time.process_time() - begun


def table(title: str, ways: dict[str, Way], steps: int) -> None:
    """Print the median time of a step in each way; `steps` is how many each takes in all."""
    first = {name: timed(way, 1) for name, way in ways.items()}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(BLOCKS):
        for name, way in ways.items():
            count = max(1, steps // BLOCKS)
            taken[name].append(timed(way, count) / count)
    medians = {name: statistics.median(blocks) for name, blocks in taken.items()}
    best = min(medians.values())
    print(f"\n| {title}, one Adam step | microseconds | times the least | seconds to the first |")
    print("|---|---|---|---|")
    for name, seconds in medians.items():
        print(f"| {name} | {1e6 * seconds:.0f} | {seconds / best:.2f} | {first[name]:.1f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = {"oscillator": oscillator_ways, "burgers": burgers_ways}
    parser.add_argument("--problems", nargs="+", default=list(kinds), choices=list(kinds))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=900)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for kind in arguments.problems:
        table(kind, kinds[kind](), arguments.steps)
