"""Whether what a solve says of itself is true, on problems whose answers are known: one run, one table.

    python benchmarks/verdict.py [--processes 2] [--draw 0] [--only Poisson beam] [--json rows.json] [--check]

Each solve is told from the exact solution, which it does not see: the estimated error of each field against
the true one, which is measured on points that no solve uses, finer toward layers and weighted by the length
that they stand for. Errors below 1e-12 count as 1e-12. An estimate that says that it is not to be trusted
counts as outside the factor, unless the true error exceeds `tol`; it is never counted as below a tenth. A
problem that the library refuses with the reason counts as named. `--draw 1` makes other problems of the same
families, and `--check` solves none: it puts the exact solutions into the equations and conditions.
"""

import argparse
import contextlib
import json
import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from verdict_base import Case
from verdict_cases import cases
from verdict_check import defects

from funcsci import pinn

FLOOR = 1e-12
FACTOR = 10.0
POINTS = {1: 4001, 2: 97, 3: 25}
"""Cells along each coordinate, in whose middles errors are measured."""
GRADED = 120
"""Further points on each side of a layer."""
SOLVES_OF_A_PROCESS = 40
PATIENCE = 5.0
"""Seconds in which a process may end by itself."""
WORDS = {"not unique": ("under-determined",), "no solution": ("contradict", "over-determined")}
"""What a refusal says of a problem that has many solutions, or none."""
ASKED = {"within": 0.95, "below": 0.01, "untrusted": 0.10, "alarms": 0.02, "named": 0.98}
Row = dict[str, Any]


def said(solution: pinn.Solution) -> Row:
    """What a solution says of itself; the only place that knows how it is asked."""
    return {
        "estimates": dict.fromkeys(solution.problem.fields, math.inf) | solution.error_estimate,
        "trusted": bool(solution.estimate_trusted),
        "named": str(solution.verdict.ill_posed),
        "converged": bool(solution.status.converged),
        "status": str(solution.status.reason),
        "tol": solution.settings.tol,
        "residuals": {name: float(value) for name, value in solution.residuals.items()},
    }


def axis(span: tuple[float, float], count: int, layers: Sequence[float]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points of an interval and the length that each stands for."""
    low, length = span[0], span[1] - span[0]
    points = low + length * (np.arange(count) + 0.5) / count
    steps = length * np.logspace(-7, -1, GRADED)
    near = [place + sign * steps for place in layers for sign in (-1, 1)]
    points = np.unique(np.concatenate([points, *near]))
    points = points[(points > low) & (points < span[1])]
    ends = np.concatenate([[low], (points[1:] + points[:-1]) / 2, [span[1]]])
    return points, np.diff(ends)


def true_errors(solution: Callable[..., Any], case: Case) -> dict[str, float]:
    """The relative error of each field, as the root of an integral over the domain."""
    count = POINTS[len(case.domain)]
    axes = [axis(span, count, case.layers.get(name, ())) for name, span in case.domain.items()]
    points = [one.reshape(-1) for one in np.meshgrid(*(points for points, _ in axes), indexing="ij")]
    weights = math.prod(np.meshgrid(*(lengths / lengths.sum() for _, lengths in axes), indexing="ij"))
    weights = weights.reshape(-1)
    found = solution(*points)
    found = found if isinstance(found, tuple) else (found,)
    exact = [one.numpy() for one in case.exact(*map(torch.from_numpy, points))]
    errors = {}
    for name, got, wanted in zip(case.fields, found, exact, strict=True):
        size = np.abs(wanted).max()  # squares of numbers in any units would overflow
        miss, whole = (np.sqrt((weights * one**2).sum()) for one in ((got - wanted) / size, wanted / size))
        errors[name] = float(miss / whole) if np.isfinite(miss) else math.inf
    return errors


def measured(case: Case) -> Row:
    """One solve; what is refused or fails is told in its row."""
    row: Row = {"family": case.family, "name": case.name, "expected": case.expected, "failed": ""}
    row["options"] = {name: str(value) for name, value in case.options.items()}
    begun, processor = time.perf_counter(), time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            solution = pinn.solve(case.problem(), seed=0, progress=False, **case.options)
        row |= {"seconds": time.perf_counter() - begun, "processor": time.process_time() - processor}
        row |= said(solution)
        row["errors"] = {} if case.expected else true_errors(solution, case)
    except Exception as error:
        row |= {"failed": f"{type(error).__name__}: {error}", "seconds": time.perf_counter() - begun}
    return row


def serve(connection: Any, draw: int) -> None:
    """Solve the cases whose places come in, one after the other, in this process."""
    torch.set_num_threads(1)
    every = cases(draw)
    connection.send("ready")
    while (place := connection.recv()) is not None:
        connection.send(measured(every[place]))


class Worker:
    """A process that solves; a new one takes its place when a solve takes too long."""

    def __init__(self, draw: int, limit: float) -> None:
        self.draw, self.limit, self.process, self.solved = draw, limit, None, 0

    def start(self) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, self.draw), daemon=True)
        self.process.start()
        theirs.close()
        self.solved = 0
        self.connection.recv()

    def stop(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.process.join(PATIENCE)
        self.process.kill()  # where a solve still runs
        self.process.join()
        self.process = None

    def row(self, place: int, case: Case) -> Row:
        if self.process is None or self.solved == SOLVES_OF_A_PROCESS:
            self.stop()
            self.start()
        self.solved += 1
        blank = {"family": case.family, "name": case.name, "expected": case.expected, "seconds": self.limit}
        self.connection.send(place)
        try:
            if self.connection.poll(self.limit):
                return self.connection.recv()
            failed = f"took longer than {self.limit:g} s"
        except EOFError:
            failed = "the process ended"
        self.stop()
        return {**blank, "failed": failed}


def rows_of(
    chosen: Sequence[tuple[int, Case]], draw: int, processes: int, limit: float, tell: Callable[[Row], None]
) -> list[Row]:
    """One row for each case, in order; every process takes the next one that is left."""
    left = list(enumerate(chosen))[::-1]
    rows: list[Row] = [{} for _ in chosen]

    def work() -> None:
        worker = Worker(draw, limit)
        while left:
            try:
                index, (place, case) = left.pop()
            except IndexError:  # another thread took the last one
                break
            rows[index] = worker.row(place, case)
            tell(rows[index])
        worker.stop()

    with ThreadPoolExecutor(processes) as pool:
        for one in [pool.submit(work) for _ in range(processes)]:
            one.result()
    return rows


def judged(row: Row) -> Row:
    """The row with what counts of it."""
    ill, failed = bool(row["expected"]), row["failed"]
    if ill:
        refused = any(word in failed for word in WORDS[row["expected"]])
        return {**row, "counts": {"named": refused or row.get("named") == row["expected"]}}
    if failed:
        return {
            **row, "counts": {"within": False, "below": False, "untrusted": False,
                "alarms": "ValueError" in failed},
        }  # fmt: skip
    ratios = [max(row["estimates"][name], FLOOR) / max(error, FLOOR) for name, error in row["errors"].items()]
    within = all(1 / FACTOR <= ratio <= FACTOR for ratio in ratios)
    below = not all(ratio >= 1 / FACTOR for ratio in ratios)
    if not row["trusted"]:
        within, below = max(row["errors"].values()) > row["tol"], False
    counts = {"within": within, "below": below, "untrusted": not row["trusted"], "alarms": bool(row["named"])}
    return {**row, "counts": counts}


def total(rows: Sequence[Row], name: str) -> tuple[int, int]:
    """How many rows count, of how many that could."""
    could = [row["counts"][name] for row in rows if name in row["counts"]]
    return sum(could), len(could)


def told(row: Row) -> str:
    """A miss in a line."""
    if row["failed"]:
        return f"- {row['family']}, {row['name']}: {row['failed'][:300]}"
    numbers = ", ".join(
        f"{name} {row['errors'][name]:.1e} (said {row['estimates'][name]:.1e})" for name in row["errors"]
    )
    trusted = "" if row["trusted"] else ", not to be trusted"
    wanted = f"expected {row['expected']!r}, " if row["expected"] else f"error {numbers}{trusted}, "
    how = row["options"] or "default"
    return f"- {row['family']}, {row['name']}: {wanted}named {row['named']!r}; {row['status']}; {how}"


def show(rows: list[Row], seconds: float) -> None:
    print("| family | number | within 10 | below a tenth | not trusted | false alarms | named | s |")
    print("|---|---|---|---|---|---|---|---|")
    for family in dict.fromkeys(row["family"] for row in rows):
        here = [row for row in rows if row["family"] == family]
        cells = []
        for name in ASKED:
            found, of = total(here, name)
            cells.append(f"{found} of {of}" if of else "")
        print(f"| {family} | {len(here)} | {' | '.join(cells)} | {sum(row['seconds'] for row in here):.0f} |")
    print("\n| | found | share | asked |\n|---|---|---|---|")
    told_as = {
        "within": "estimate within a factor of 10", "below": "estimate below a tenth",
        "untrusted": "not trusted",
        "alarms": "false alarms", "named": "ill-posed ones named",
    }  # fmt: skip
    for name, share in ASKED.items():
        found, of = total(rows, name)
        sign = "≥" if name in ("within", "named") else "≤"
        if of:
            print(f"| {told_as[name]} | {found} of {of} | {found / of:.1%} | {sign} {share:.0%} |")
    wanted = {"within": True, "below": False, "alarms": False, "named": True}
    misses = [
        row for row in rows if any(row["counts"].get(name, good) != good for name, good in wanted.items())
    ]
    print(f"\n{len(misses)} misses:\n" + "\n".join(map(told, misses)))
    solving = sum(row["seconds"] for row in rows)
    print(f"\n{len(rows)} problems in {seconds:.0f} s; the solves took {solving:.0f} s.")


def check(chosen: Sequence[tuple[int, Case]]) -> None:
    """The largest defect of each family's exact solutions."""
    worst: dict[str, tuple[float, str]] = {}
    for _, case in chosen:
        case.problem()
        found = defects(case)
        text = f"{case.name}: {max(found, key=found.get)}" if found else f"no solution: {case.why}"
        worst[case.family] = max(worst.get(case.family, (-1.0, "")), (max(found.values(), default=0.0), text))
    for family, (defect, text) in worst.items():
        print(f"{'ok  ' if defect < 1e-9 else 'BAD '} {family}: {defect:.1e} ({text})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", help="problems with one of these words in family or name")
    parser.add_argument("--draw", type=int, default=0, help="which problems the families make")
    parser.add_argument("--json", type=Path, help="where to keep the raw rows")
    parser.add_argument("--limit", type=float, default=90.0, help="seconds for one solve")
    parser.add_argument("--check", action="store_true", help="check the exact solutions and solve nothing")
    parser.add_argument("--verbose", action="store_true", help="print each row as it comes")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    torch.set_num_threads(1)
    words = [word.lower() for word in arguments.only or [""]]
    chosen = [
        (place, case)
        for place, case in enumerate(cases(arguments.draw))
        if any(word in f"{case.family}, {case.name}".lower() for word in words)
    ]
    if arguments.check:
        check(chosen)
    else:

        def tell(row: Row) -> None:
            if arguments.verbose:
                print(json.dumps(row), file=sys.stderr, flush=True)

        found = rows_of(chosen, arguments.draw, arguments.processes, arguments.limit, tell)
        rows = list(map(judged, found))
        if arguments.json:
            arguments.json.write_text(json.dumps(rows, indent=1))
        show(rows, time.perf_counter() - begun)
