"""What a run leaves: parameters, history, and a picture of it."""

from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from torch import Tensor

from funcsci import tree
from funcsci.optim import Status
from funcsci.plot import figure_path, training_figure
from funcsci.train.report import Best
from funcsci.tree import Params, PyTree


class FitResult(NamedTuple):
    """What `fit` returns.

    Attributes:
        params: the parameters after the last good step.
        state: the model's state after it.
        optimizer_state: the optimizer's state after it.
        status: whether the run came to its end, and if not, why.
        loss: the loss before each step, shape `(steps,)`, on the CPU; where a loss was not finite, it
            is the last one.
        seconds: the time since the start after each step, shape `(steps,)`, float64.
        reports: the numbers of each report by name, `step` among them, each of shape `(reports,)`, float64.
        best: the parameters of the best report.
        backend: the backend the step ran on.
    """

    params: Params
    state: PyTree
    optimizer_state: PyTree
    status: Status
    loss: Tensor
    seconds: Tensor
    reports: dict[str, Tensor]
    best: Best
    backend: str

    def __repr__(self) -> str:
        last = f"loss {float(self.loss[-1]):.3e}" if len(self.loss) else "no step taken"
        spent = float(self.seconds[-1]) if len(self.seconds) else 0.0
        return "\n".join(
            (
                f"FitResult of {tree.size(self.params):,} parameters, {self.status}",
                f"  {last} after {len(self.loss):,} steps in {spent:.2f} s, backend {self.backend!r}",
                f"  best {self.best.monitor}: {self.best.value:.3e} after {self.best.step:,} steps",
            )
        )

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the loss of each step and the numbers of the reports, with the best report marked.

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
        figure = training_figure(
            self.loss.numpy(),
            {name: column.numpy() for name, column in self.reports.items()},
            best=(self.best.monitor, self.best.step),
            title=str(self.status),
        )
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure
