"""Taylor mode beside nested `torch.func` derivatives, all compiled: one run, two tables.

    OMP_NUM_THREADS=1 python benchmarks/derivatives.py [--dimensions 10 50] [--tables laplacian steps]

1. The Laplacian of a tanh network 768-768-512-512-1 at 512 points of 10 and of 50 dimensions, float32.
   Nested in two ways: reverse over reverse along each axis (`autodiff.laplacian`), and forward over reverse
   (`jvp` of `grad`). Each way has a process of its own; memory is what the process's peak rises by while the
   program runs.
2. A step's loss and gradient, float32: the oscillator u_tt + u on a 1-32-32-1 network at 64 points, and
   Burgers' equation at 2,000. Programs take turns in one process, and the median counts.

Times are processor times of one thread, so that what else the machine does disturbs little.
"""

import argparse
import ctypes
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, grad_and_value, jvp, vmap

from funcsci import autodiff, nn, random
from funcsci.compile import jit

WIDTHS = (768, 768, 512, 512, 1)
POINTS = 512
STEPS: dict[str, tuple[tuple[int, ...], int, int]] = {
    "oscillator, 1-32-32-1, 64 points": ((1, 32, 32, 1), 64, 300),
    "Burgers, 2-20-20-20-1, 2,000 points": ((2, 20, 20, 20, 1), 2000, 20),
    "Burgers, 2-32-32-1, 2,000 points": ((2, 32, 32, 1), 2000, 20),
}
"""Widths of the network, how many points, and how many calls in a block."""


def taylor(field: Callable[[Tensor], Tensor], dimensions: int) -> Callable[[Tensor], Tensor]:
    laplacian = tuple((place, place) for place in range(dimensions))
    return lambda x: autodiff.partials(field, (laplacian,))(x)[0]


def reverse_over_reverse(field: Callable[[Tensor], Tensor], dimensions: int) -> Callable[[Tensor], Tensor]:
    return autodiff.laplacian(field)


def forward_over_reverse(field: Callable[[Tensor], Tensor], dimensions: int) -> Callable[[Tensor], Tensor]:
    def laplacian(x: Tensor) -> Tensor:
        def along(direction: Tensor) -> Tensor:
            return (jvp(grad(field), (x,), (direction,))[1] * direction).sum()

        return vmap(along)(torch.eye(dimensions)).sum()

    return laplacian


WAYS = {
    "collapsed Taylor": taylor,
    "nested, forward over reverse": forward_over_reverse,
    "nested, reverse over reverse": reverse_over_reverse,
}


def laplacians() -> None:
    print("| inputs | way | seconds | MB | time of Taylor's | memory of Taylor's |")
    print("|---|---|---|---|---|---|", flush=True)
    for dimensions in arguments.dimensions:
        base: dict[str, float] = {}
        for way in WAYS:
            command = [sys.executable, __file__, "--measure", way, "--dimensions", str(dimensions)]
            command += ["--blocks", str(arguments.blocks)]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found = json.loads(output.splitlines()[-1])
            base = base or found
            assert abs(found["value"] / base["value"] - 1) < 1e-3, "the ways disagree"
            time_share, memory_share = (found[what] / base[what] for what in ("seconds", "megabytes"))
            figures = (
                f"{found['seconds']:.3f} | {found['megabytes']:.0f} | {time_share:.2f} | {memory_share:.2f}"
            )
            print(f"| {dimensions} | {way} | {figures} |", flush=True)


def measure(way: str, dimensions: int) -> dict[str, float]:
    """One way in this process: the median time of a call, and how far the memory's peak rises in one."""
    model = nn.mlp((dimensions, *WIDTHS))
    params = model.init(random.key(0), dtype=torch.float32)
    points = random.uniform(random.key(1), (POINTS, dimensions), dtype=torch.float32)

    def batched(params: Any, points: Tensor) -> Tensor:
        return vmap(WAYS[way](lambda x: model.apply(params, x)[0], dimensions))(points)

    program = jit(batched, backend="compile")
    program(params, points)
    seconds = [timed(lambda: program(params, points), 1) for _ in range(arguments.blocks)]
    megabytes = peak_megabytes(lambda: program(params, points))
    value = program(params, points).double().norm().item()
    return {"seconds": statistics.median(seconds), "megabytes": megabytes, "value": value}


def peak_megabytes(function: Callable[[], object]) -> float:
    """By how much the resident memory's peak rises above what is there before; Linux keeps count of it."""
    ctypes.CDLL(None).malloc_trim(0)  # what was freed earlier is not there before
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    function()
    return (resident("VmHWM") - before) / 1024


def resident(entry: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(entry)).split()[1])


def timed(function: Callable[[], object], calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        function()
    return (time.process_time() - start) / calls


def step(model: Any, derivatives: str, dimensions: int) -> Callable[[Any, Tensor], tuple[Any, Tensor]]:
    def residual(params: Any, x: Tensor) -> Tensor:
        def field(x: Tensor) -> Tensor:
            return model.apply(params, x)[0]

        if dimensions == 1:
            u, u_tt = autodiff.partials(field, (((),), ((0, 0),)), derivatives=derivatives)(x)
            return u_tt + u
        operators = (((),), ((1,),), ((0,),), ((0, 0),))
        u, u_t, u_x, u_xx = autodiff.partials(field, operators, derivatives=derivatives)(x)
        return u_t + u * u_x - 0.01 * u_xx

    def loss(params: Any, points: Tensor) -> Tensor:
        return vmap(residual, in_dims=(None, 0))(params, points).square().mean()

    return grad_and_value(loss)


def steps() -> None:
    print("\n| loss and gradient | Taylor, us | nested, us | Taylor / nested | nested / Taylor |")
    print("|---|---|---|---|---|", flush=True)
    for name, (widths, count, calls) in STEPS.items():
        model = nn.mlp(widths)
        params = model.init(random.key(0), dtype=torch.float32)
        points = random.uniform(random.key(1), (count, widths[0]), dtype=torch.float32)
        programs = {
            mode: jit(step(model, mode, widths[0]), backend="compile") for mode in ("taylor", "nested")
        }
        losses = {mode: program(params, points)[1].item() for mode, program in programs.items()}
        assert abs(losses["taylor"] / losses["nested"] - 1) < 1e-4, "the ways disagree"
        blocks = turns(programs, params, points, calls)
        found = {mode: 1e6 * statistics.median(times) for mode, times in blocks.items()}
        share = found["taylor"] / found["nested"]
        print(
            f"| {name} | {found['taylor']:.0f} | {found['nested']:.0f} | {share:.2f} | {1 / share:.2f} |",
            flush=True,
        )


def turns(programs: dict[str, Any], params: Any, points: Tensor, calls: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(arguments.blocks):
        for name, program in programs.items():
            seconds[name].append(timed(lambda program=program: program(params, points), calls))
    return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dimensions", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--tables", nargs="+", choices=("laplacian", "steps"), default=["laplacian", "steps"])
    parser.add_argument("--measure", choices=tuple(WAYS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, *arguments.dimensions)))
    else:
        if "laplacian" in arguments.tables:
            laplacians()
        if "steps" in arguments.tables:
            steps()
