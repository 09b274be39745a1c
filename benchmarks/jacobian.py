"""The per-sample Jacobian of a PINN in micro-batches beside all samples at once: time and memory.

    python benchmarks/jacobian.py [--points 4096] [--hidden 36 36] [--share 0.25]

The residual is a Laplacian by nested derivatives, in float64. Each way runs in a process of its own, on one
thread: first a small call, so that libraries are loaded, then the calls that count. Memory is what they add
to the process's peak, in which the trace of a program has its part, and next to it the most bytes of tensors
that live at once when the program is there. The result counts in both. Micro-batches may take `--share` of
what the unbounded way needs, and at least what holds the result and a few points.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch.autograd.profiler import profile
from torch.func import grad, vmap

from funcsci import nn, random, tree
from funcsci.autodiff import laplacian
from funcsci.compile import jit
from funcsci.optim import per_sample_jacobian

REPEATS = 7
LEAST_WORK = 2**21
"""Bytes beside the result that micro-batches get at least."""


def resident() -> int:
    """The process's peak so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def live_peak(function: Callable[[], object]) -> int:
    """The most bytes that torch's allocator had given out at once, by its own record."""
    with profile(profile_memory=True) as record:
        function()
    events = [event for event in record.kineto_results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns() if hasattr(event, "start_ns") else event.start_us())
    now = peak = 0
    for event in events:
        now += event.nbytes()
        peak = max(peak, now)
    return peak


def measured(way: str, backend: str, memory: int) -> dict[str, float]:
    """Time and memory of one way; `memory` bounds that of micro-batches."""
    torch.set_num_threads(1)
    network = nn.mlp((2, *arguments.hidden, 1), activation=torch.tanh)
    params = network.init(random.key(0), dtype=torch.float64)
    points = random.uniform(random.key(1), (arguments.points, 2), dtype=torch.float64)

    def residual(params, x):
        return laplacian(lambda x: network.apply(params, x)[0])(x) + torch.sin(x[0])

    at_once = jit(vmap(grad(residual), (None, 0)), backend=backend)
    parted = per_sample_jacobian(residual, memory=memory or None, backend=backend)
    function = at_once if way == "at once" else parted
    vmap(grad(residual), (None, 0))(params, points[:8])
    before = resident()
    function(params, points)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function(params, points)
        seconds.append(time.perf_counter() - start)
    process = resident() - before
    result = 8 * arguments.points * tree.size(params)
    live = live_peak(lambda: function(params, points))
    return {"seconds": min(seconds), "process": process, "live": live, "result": result}


def in_a_process(way: str, backend: str, memory: int = 0) -> dict[str, float]:
    command = [sys.executable, __file__, *sys.argv[1:], "--one", way, backend, str(memory)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    print("| backend | way | ms | ratio | process MB | ratio | live MB | ratio | result alone |")
    print("|---|---|---|---|---|---|---|---|---|")
    for backend in ("trace", "eager"):
        whole = in_a_process("at once", backend)
        memory = max(int(arguments.share * whole["live"]), int(whole["result"]) + LEAST_WORK)
        ways = {
            "at once": whole,
            f"micro-batches in {memory / 1e6:.0f} MB": in_a_process("parts", backend, memory),
            "micro-batches by default": in_a_process("parts", backend),
        }
        for name, one in ways.items():
            cells = [f"{1e3 * one['seconds']:.0f}", f"{one['seconds'] / whole['seconds']:.2f}"]
            for kind in ("process", "live"):
                cells += [f"{one[kind] / 1e6:.0f}", f"{one[kind] / whole[kind]:.3f}"]
            cells += [f"{one['result'] / whole['live']:.3f}"]
            print(f"| {backend} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=4096)
    parser.add_argument("--hidden", type=int, nargs="+", default=[36, 36])
    parser.add_argument("--share", type=float, default=0.25)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one[0], arguments.one[1], int(arguments.one[2]))))
    else:
        main()
