"""Accuracy and time of `pinn.solve` on problems with an oracle: one run, one table.

    python benchmarks/pinn.py [--seeds 0 1 2 3 4] [--only pendulum Burgers] [--threads 1]

float64, on the CPU. Each solve is the first one of a process of its own, so that its time holds whatever is
traced or compiled; imports are not counted, nor is the measuring of the error. Time is the wall's, beside
that of the processor, which other work on the machine hardly lengthens. Of several seeds the worst counts.
Errors are measured on equally spaced points of the whole domain, edges included. `pinn_cases.py` has the
problems. The wall's times are the ones that count, on a machine that does nothing else.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings

import numpy as np
import torch
from pinn_cases import CASES, Case

from funcsci import pinn


def error_of(solution: pinn.Solution, case: Case) -> float:
    """The error on a grid, over all fields."""
    domain = solution.problem.domain
    found = solution.to_numpy(case.count)
    axes = [found[name] for name in domain.names]
    wanted = case.exact(*np.meshgrid(*axes, indexing="ij"))
    exact = np.stack(wanted if isinstance(wanted, tuple) else (wanted,))
    error = np.stack([found[name] for name in solution.fields]) - exact
    rms, size = (float(np.sqrt(np.mean(one**2))) for one in (error, exact))
    return rms if case.kind == "rms" else rms / size


def measured(case: Case, seed: int) -> dict[str, float | str]:
    """One solve of this process."""
    problem = case.problem()
    begun, processor = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "solve did not converge")
        solution = pinn.solve(problem, seed=seed, progress=False, **case.options)
    seconds, busy = time.perf_counter() - begun, time.process_time() - processor
    slabs, hidden = len(solution.parts), solution.parts[0].stages[0].shape.hidden
    how = f"{solution.method.replace('_', ' ')}, {'-'.join(map(str, hidden))}"
    how += f", {slabs} slabs" if slabs > 1 else ""
    return {"error": error_of(solution, case), "seconds": seconds, "processor": busy, "how": how}


def in_a_process(place: int, seed: int) -> dict[str, float | str]:
    """One solve of a new process; an infinite error if it fails."""
    command = [sys.executable, __file__, "--threads", str(arguments.threads)]
    command += ["--one", str(place), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        how = (done.stderr.strip().splitlines() or ["failed"])[-1]
        return {"error": float("inf"), "seconds": float("inf"), "processor": float("inf"), "how": how}
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    print("| problem | oracle | error asked | error | s asked | s | processor s | met | how |")
    print("|---|---|---|---|---|---|---|---|---|")
    for place, case in enumerate(CASES):
        if arguments.only and not any(word.lower() in case.name.lower() for word in arguments.only):
            continue
        runs = [in_a_process(place, seed) for seed in arguments.seeds]
        error, seconds, busy = (max(run[key] for run in runs) for key in ("error", "seconds", "processor"))
        slowest = max(runs, key=lambda run: run["seconds"])
        met = sum(run["error"] <= case.error and run["seconds"] <= case.seconds for run in runs)
        print(
            f"| {case.name} | {case.oracle} | {case.kind} {case.error:.0e} | {error:.1e} | {case.seconds} "
            f"| {seconds:.1f} | {busy:.1f} | {met} of {len(runs)} | {slowest['how']} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--only", nargs="+", help="problems whose name has one of these words in it")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.one:
        print(json.dumps(measured(CASES[arguments.one[0]], arguments.one[1])))
    else:
        main()
