"""Time to each error beside jinns, where it is installed: one run, two tables.

    python benchmarks/rivals.py [--problems oscillator poisson] [--share 1.0]

The oscillator u'' + u = 0 on [0, 2 pi] with a network 1-32-32-1 on 64 equally spaced points, relative L2
error; and Poisson's equation on the unit square with a network 2-64-1 on 30 x 30 points, root mean square
error. float64, conditions built in, tanh. A cell is the time, from the end of imports, at which an error of
at most that level was reached first, with whatever is traced or compiled. "share" is our best time over the
best of jinns.

Every run has a process of its own and one thread; jinns is held to one core, since XLA takes a second one
in spite of its flag. Times are the processor's, which other work on the machine hardly lengthens. jinns'
curve is read from one run of its compiled loop. Ours is made of whole calls of `pinn.solve`, each with so
many steps and each in a new process: a time is the shortest of those calls that end at that level, with all
that a call does. `--share` shortens jinns' runs, and so the levels that it reaches.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import torch
from pinn_cases import poisson

from funcsci import pinn

LEVELS = [10.0**-digits for digits in range(2, 14)]
SHAPES = {
    "oscillator": {"hidden": (32, 32), "points": 64, "sampling": "grid", "slabs": 1},
    "poisson": {"hidden": (64,), "points": 900, "sampling": "grid"},
}
METHODS = {
    "random features": ("random_features",),
    "Levenberg-Marquardt": ("levenberg_marquardt",),
    "features, then Levenberg-Marquardt": ("random_features", "levenberg_marquardt"),
    "self-scaled Broyden": ("ssbroyden",),
}
"""Ours, by their titles."""
STEPS = {
    "random_features": (0,),
    "levenberg_marquardt": (1, 3, 10, 25, 60, 150),
    "ssbroyden": (50, 150, 500, 1500),
}
"""The steps of the calls that make our curve."""
THEIRS = {
    "jinns natural gradient": ("natural_gradient", {"oscillator": 1100, "poisson": 6500}),
    "jinns self-scaled Broyden": ("ssbroyden", {"oscillator": 2500, "poisson": 4000}),
}
"""Methods of jinns with the iterations that they take at most."""
ONE_CORE = {"OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "JAX_PLATFORMS": "cpu"}

Curve = list[tuple[float, float]]
"""Pairs of a time and the error at that time."""


def solve(problem: str, title: str, steps: int) -> tuple[float, float]:
    """One call in this process: its time and its error."""
    stated = poisson() if problem == "poisson" else pinn.oscillator()
    methods = METHODS[title]
    begun = time.process_time()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "solve did not converge")
        found = pinn.solve(
            stated,
            method=methods,
            steps=[None] * (len(methods) - 1) + [steps],
            tol=1e-16,
            progress=False,
            **SHAPES[problem],
        )
    seconds = time.process_time() - begun
    if problem == "oscillator":
        return seconds, found.relative_l2
    return seconds, found.errors(lambda x, y: torch.sin(torch.pi * x) * torch.sin(torch.pi * y))["rms"]


def in_a_process(command: list[str], *, pinned: bool = False) -> Curve:
    """What a script prints in its last line; nothing if it fails."""
    done = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env=os.environ | ONE_CORE,
        preexec_fn=_one_core if pinned else None,
    )
    if done.returncode:
        print(" ".join(command), *done.stderr.strip().splitlines()[-3:], sep="\n", file=sys.stderr)
        return []
    return json.loads(done.stdout.strip().splitlines()[-1])


def _one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def ours(problem: str, title: str) -> Curve:
    """Whole calls with more and more steps; it ends where the error does."""
    curve: Curve = []
    for steps in STEPS[METHODS[title][-1]]:
        curve += in_a_process([__file__, "--one", problem, title, str(steps)])
        print(problem, title, steps, curve[-1:], file=sys.stderr, flush=True)
        if len(curve) > 3 and curve[-1][1] >= 0.99 * min(error for _, error in curve[:-2]):
            break
    return curve


def theirs(problem: str, title: str) -> Curve:
    method, iterations = THEIRS[title]
    script = str(Path(__file__).with_name("jinns_solve.py"))
    count = str(int(arguments.share * iterations[problem]))
    return in_a_process([script, problem, method, count], pinned=True)


def first(curve: Curve, level: float) -> float:
    return min((seconds for seconds, error in curve if error <= level), default=float("inf"))


def table(problem: str) -> None:
    curves = {title: ours(problem, title) for title in METHODS}
    rivals = {}
    if importlib.util.find_spec("jinns"):
        rivals = {title: theirs(problem, title) for title in THEIRS}
    print(f"\n{problem}, seconds to an error of at most\n")
    print(f"| error | {' | '.join((*curves, *rivals))} | share |")
    print(f"|---{'|---' * (len(curves) + len(rivals) + 1)}|")
    for level in LEVELS:
        own, other = ([first(curve, level) for curve in some.values()] for some in (curves, rivals))
        if min(own + other) == float("inf"):
            break
        best = min(other, default=float("inf"))
        cells = [f"{one:.2f}" if one < float("inf") else "" for one in own + other]
        share = f"{min(own) / best:.3f}" if best < float("inf") else ""
        print(f"| {level:.0e} | {' | '.join(cells)} | {share} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--problems", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.one:
        print(json.dumps([solve(arguments.one[0], arguments.one[1], int(arguments.one[2]))]))
    else:
        for one in arguments.problems:
            table(one)
