"""What a comparison found."""

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure

from funcsci.compare.forms import FUNCTIONAL, MODULE
from funcsci.compare.measure import Cost
from funcsci.compare.pair import Run
from funcsci.compare.units import readable_bytes, readable_seconds
from funcsci.plot import comparison_figure, figure_path

HEADINGS = ("", "a step", "of the fastest nn.Module", "the first step", "peak memory")
WIDTH = 110
"""The reason why a form does not run is cut here, in characters."""


class Comparison(NamedTuple):
    """What `compare` found. It prints as a table.

    Attributes:
        name: the model's name.
        setting: what is trained on what, in a line.
        run: the losses of both programs, how far they part, and their accuracies.
        dtype: the precision of `run`.
        lines: the lines of code of each program, by style.
        costs: what a step costs in each form; empty where it was not measured.
        costs_dtype: the precision of `costs`.
        machine: device, threads and torch of `costs`, in a line.
    """

    name: str
    setting: str
    run: Run
    dtype: torch.dtype
    lines: dict[str, int]
    costs: tuple[Cost, ...]
    costs_dtype: torch.dtype
    machine: str

    @property
    def fastest_module(self) -> float | None:
        """The seconds of a step in the fastest form of the class style; None where none was measured."""
        times = [one.seconds for one in self.costs if one.name.startswith(MODULE) and one.seconds is not None]
        return min(times, default=None)

    def cells(self) -> list[tuple[str, str, str, str, str]]:
        """What each form costs in words: its name and one text for each of the other `HEADINGS`."""
        base = self.fastest_module
        return [
            (
                cost.name,
                readable_seconds(cost.seconds),
                "" if base is None or cost.seconds is None else f"{cost.seconds / base:.2f}",
                readable_seconds(cost.first),
                readable_bytes(cost.memory),
            )
            for cost in self.costs
        ]

    def __repr__(self) -> str:
        run, losses = self.run, self.run.functional_loss
        lines = [
            f"{self.name}: {self.setting}",
            f"  {len(losses)} steps in {_short(self.dtype)}: losses differ by at most "
            f"{run.loss_difference:.1e}, parameters by {run.parameter_difference:.1e}",
        ]
        if run.free_difference is not None:
            lines.append(f"  what the loss does not depend on differs by {run.free_difference:.1e}")
        lines.append(f"  loss: {float(losses[0]):.4g} at the first step, {float(losses[-1]):.4g} at the last")
        if run.functional_accuracy is not None and run.module_accuracy is not None:
            shares = {FUNCTIONAL: run.functional_accuracy, MODULE: run.module_accuracy}
            lines.append(
                "  accuracy: " + ", ".join(f"{share:.2%} {style}" for style, share in shares.items())
            )
        lines.append("  lines of code: " + ", ".join(f"{n} {style}" for style, n in self.lines.items()))
        return "\n".join((*lines, *self._table()))

    def _table(self) -> list[str]:
        if not self.costs:
            return []
        rows = [HEADINGS, *self.cells()]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["", f"  {_short(self.costs_dtype)}, {self.machine}"]
        for row in rows:
            padded = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append("  ".join(("", row[0].ljust(widths[0]), *padded[1:])).rstrip())
        for cost in self.costs:
            if cost.failure:
                lines.append("  " + textwrap.shorten(f"{cost.name} does not run: {cost.failure}", WIDTH - 2))
        return lines

    def facts(self) -> dict[str, Any]:
        """All that was found, in what JSON knows."""
        run = self.run
        losses = {"functional_loss": run.functional_loss.tolist(), "module_loss": run.module_loss.tolist()}
        return {
            **self._asdict(),
            "run": {
                **run._asdict(),
                **losses,
                "loss_difference": run.loss_difference,
                "free_difference": run.free_difference,
            },
            "dtype": _short(self.dtype),
            "costs": [cost._asdict() for cost in self.costs],
            "costs_dtype": _short(self.costs_dtype),
        }

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the losses on each other, their difference, and what a step costs in each form.

        Args:
            path: where to write the figure too; its ending is a format of matplotlib.

        Returns:
            The figure, which belongs to no window.

        Raises:
            OSError: if the path cannot be written.
            ValueError: if its ending is no format.
        """
        if path is not None:
            figure_path(path=path)
        figure = comparison_figure(
            {FUNCTIONAL: self.run.functional_loss.numpy(), MODULE: self.run.module_loss.numpy()},
            {cost.name: cost.seconds for cost in self.costs if cost.seconds is not None},
            {cost.name: cost.memory for cost in self.costs if cost.memory is not None},
            title=f"{self.name}: {self.setting}",
        )
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
