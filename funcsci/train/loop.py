"""The training loop: one compiled step, called as often as asked."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks, progress, tree
from funcsci.compile import jit
from funcsci.optim import Optimizer, Status
from funcsci.train.step import Loss, TrainState, train_step
from funcsci.tree import Params, PyTree, Scalar

END = object()
"""Stands behind the last batch; a batch may be anything, None included."""


class FitResult(NamedTuple):
    """What `fit` returns.

    Attributes:
        params: the parameters after the last good step.
        optimizer_state: the optimizer's state after it.
        status: whether all the steps were taken, and if not, why.
        loss: the loss before each step, shape `(steps,)`, on the CPU; where a loss was not finite, it
            is the last one.
        seconds: the time since the start after each step, shape `(steps,)`, float64.
        backend: the backend the step ran on.
    """

    params: Params
    optimizer_state: PyTree
    status: Status
    loss: Tensor
    seconds: Tensor
    backend: str


def fit(
    loss: Loss,
    params: Params,
    optimizer: Optimizer,
    batches: Iterable[PyTree],
    *,
    steps: int,
    backend: str | None = None,
    progress_bar: bool = True,
) -> FitResult:
    r"""Minimize a loss by taking steps on batches.

    $\theta_{n+1} = \theta_n + \Delta_n$ with the update $\Delta_n$ for $\nabla \ell(\theta_n, b_n)$.

    Args:
        loss: `loss(params, batch) -> scalar`.
        params: where to start; a pytree of floating-point tensors. It is not changed.
        optimizer: turns gradients into updates.
        batches: yields batches of one shape; up to `steps` of them are taken from it, in order.
        steps: the most steps to take; fewer if the batches run out.
        backend: as in `jit`, which is told `steps`.
        progress_bar: whether to show one.

    Returns:
        A `FitResult`. A loss that is not finite ends the run with the parameters at which it last
        was, and the status names the step. Ctrl-C ends it with what is there, and the status says so.

    Raises:
        TypeError: if a leaf of `params` is not a floating-point tensor, `batches` is a single batch,
            or the loss does not return a scalar.
        ValueError: if `steps` is negative or there is no batch.

    Example:
        >>> import itertools, torch
        >>> from funcsci import optim
        >>> batches = itertools.repeat(torch.tensor(1.0))
        >>> w = torch.tensor(0.0)
        >>> result = fit(lambda w, x: (w - x) ** 2, w, optim.sgd(0.25), batches, steps=20, backend="trace")
        >>> result.params, str(result.status)
        (tensor(1.0000), 'converged: all 20 steps were taken')
    """
    checks.integer(steps=steps, least=0)
    tree.check_tensors(params=params)
    supply = _supply(batches)
    step = jit(train_step(loss, optimizer), backend=backend, steps=steps)
    params = tree.map(Tensor.detach, params)  # with requires_grad, every step would keep the one before
    run = _Run(TrainState(params, optimizer.init(params)))
    status = Status(True, f"all {steps} steps were taken")
    batch: PyTree = None

    with progress.bar(steps, "training", shown=progress_bar) as bar:
        if step.backend == "compile":
            bar.set_postfix_str("compiling")  # shown at once: nothing moves until the first step is there
        try:
            for taken in range(steps):
                batch = next(supply, END)
                if batch is END:
                    status = Status(True, f"all {taken} batches were used, of {steps} steps allowed")
                    break
                run.record(*step(run.now, batch))
                bar.update()
                if not run.read(unread=1):
                    break
                bar.set_postfix_str(f"loss {run.losses[-1]:.2e}" if run.losses else "", refresh=False)
        except KeyboardInterrupt:
            status = Status(False, f"interrupted after {len(run.seconds)} of {steps} steps")
    if batch is END and not run.seconds:
        raise ValueError("batches must yield at least one batch. Got none. Pass itertools.repeat(batch).")
    return run.result(status, step.backend)


class _Run:
    """What has been computed. Losses are read one step late, so that a GPU has work while one is read."""

    def __init__(self, start: TrainState) -> None:
        self.now = self.good = start
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self._unread: deque[tuple[TrainState, Scalar]] = deque()
        self._bad: str | None = None
        self._dtype = torch.get_default_dtype()
        self._start = time.perf_counter()

    def record(self, after: TrainState, value: Scalar) -> None:
        """Take the results of a step."""
        self._unread.append((self.now, value))
        self.now = after
        self._dtype = value.dtype
        self.seconds.append(time.perf_counter() - self._start)

    def read(self, unread: int) -> bool:
        """Look at all losses but the last few; False where one was not finite, which ends the run."""
        while self._bad is None and len(self._unread) > unread:
            before, value = self._unread.popleft()
            self.losses.append(float(value))
            if not math.isfinite(self.losses[-1]):
                self._bad = f"the loss was {self.losses[-1]} at step {len(self.losses) - 1}"
                self.now = self.good
            else:
                self.good = before
        return self._bad is None

    def result(self, status: Status, backend: str) -> FitResult:
        """Everything that was computed up to the first loss, or parameter, that was not finite."""
        if self.read(unread=0) and self.losses and not _finite(self.now.params):
            self._bad = f"the parameters were not finite after step {len(self.losses) - 1}"
            self.now = self.good
        if self._bad is not None:
            status = Status(False, f"{self._bad}; the parameters are those of the last finite loss")
        return FitResult(
            self.now.params,
            self.now.optimizer_state,
            status,
            torch.tensor(self.losses, dtype=self._dtype),
            torch.tensor(self.seconds[: len(self.losses)], dtype=torch.float64),
            backend,
        )


def _finite(params: Params) -> bool:
    return all(bool(torch.isfinite(leaf).all()) for leaf in tree.leaves(params))


def _supply(batches: Iterable[PyTree]) -> Iterator[PyTree]:
    if isinstance(batches, (Tensor, Mapping)):
        raise TypeError(
            f"batches must be an iterable of batches. Got a single batch, a {type(batches).__name__}. "
            "Try itertools.repeat(batch)."
        )
    return iter(batches)
