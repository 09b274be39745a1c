"""Every model of the course as pure functions and as nn.Module: tables and figures.

    python benchmarks/vs_nn_module/all_models.py [--names vgg line] [--steps 100]

Prints what `funcsci compare` prints of each: the convolutional ones on two threads and the small ones, which
do not gain by a second, on one. `--write` also writes the tables beside this script and the figures into
docs/images; docs/functional_or_module.md shows both. FUNCSCI_DATA names the folder of MNIST's files.
"""

import argparse
import platform
from pathlib import Path

import torch

from funcsci.compare import TWINS, Comparison, compare
from funcsci.compare.measure import BLOCKS

TABLES = Path(__file__).parent / "results.md"
IMAGES = Path(__file__).parents[2] / "docs" / "images"
STYLES = ("functional", "nn.Module")


def threads(name: str) -> int:
    return 2 if TWINS[name].images else 1


def table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def numbers(found: list[Comparison]) -> str:
    """How far the programs part, and how long they are."""
    heads = [
        "model",
        "losses differ by",
        "parameters by",
        "accuracy of both",
        *(f"lines, {s}" for s in STYLES),
    ]
    rows = []
    for one in found:
        run, accuracy = one.run, ""
        if run.functional_accuracy is not None:
            shares = sorted({f"{share:.1%}" for share in (run.functional_accuracy, run.module_accuracy)})
            accuracy = " and ".join(shares)
        lengths = [str(one.lines[style]) for style in STYLES]
        apart = (run.loss_difference, run.parameter_difference)
        differences = [f"{size:.0e}" if size else "0" for size in apart]
        rows.append([one.name, *differences, accuracy, *lengths])
    return table(heads, rows)


def costs(found: list[Comparison], column: int) -> str:
    """One of the columns of `Comparison.cells` for every form, the least of a model in bold."""
    names = max(
        ([cost.name for cost in one.costs] for one in found), key=len
    )  # which has the others among it
    cells = [{row[0]: row[column] for row in one.cells()} for one in found]
    field = {1: "seconds", 4: "memory"}[column]
    for texts, one in zip(cells, found, strict=True):
        known = {cost.name: getattr(cost, field) for cost in one.costs if getattr(cost, field) is not None}
        best = min(known, key=known.__getitem__)
        texts[best] = f"**{texts[best]}**"
        texts.update({cost.name: "does not run" for cost in one.costs if cost.failure})
    rows = [[name, *(texts.get(name, "") for texts in cells)] for name in names]
    return table(["form", *(one.name for one in found)], rows)


def report(found: list[Comparison]) -> str:
    steps = len(found[0].run.functional_loss)
    many, few = (", ".join(one.name for one in found if threads(one.name) == count) for count in (2, 1))
    failures = [
        f"`{one.name}` does not run as {cost.name}: {' '.join(cost.failure.split())}"
        for one in found
        for cost in one.costs
        if cost.failure
    ]
    parts = [
        f"{steps} steps in float64 from the same weights on the same batches:",
        numbers(found),
        f"A step in float32 on a CPU ({platform.machine()}, torch {torch.__version__}), two threads for "
        f"{many or 'none'}, one for {few or 'none'}; the median of {BLOCKS} blocks:",
        costs(found, 1),
        "The peak memory of the program's tensors during a step:",
        costs(found, 4),
        *failures,
    ]
    return "\n\n".join(parts) + "\n"


def main(arguments: argparse.Namespace) -> None:
    found = []
    for name in arguments.names:
        torch.set_num_threads(threads(name))
        found.append(compare(name, steps=arguments.steps))
        print(f"{found[-1]}\n", flush=True)
        if arguments.write:
            found[-1].plot(IMAGES / f"comparison_{name}.png")
    print(report(found))
    if arguments.write:
        TABLES.write_text(report(found), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", nargs="+", default=list(TWINS), choices=list(TWINS))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--write", action="store_true")
    main(parser.parse_args())
