"""First-order methods: new random points at each step, as a course teaches it, compiled as one program."""

from collections.abc import Callable, Iterator
from functools import partial

import torch

from funcsci import optim, random
from funcsci.optim import Optimizer
from funcsci.pinn.requirements import Points, all_residuals
from funcsci.pinn.second_order import Found
from funcsci.pinn.task import Task
from funcsci.train import Report, fit
from funcsci.tree import Params, Scalar

STEPS = 20_000
POINTS_PER_DIMENSION = {1: 64, 2: 1_024}
MOST_POINTS = 2_048
BLOCK = 64
"""Batches that are drawn at once."""
CHUNKS = 16
"""Intervals of time that causal weighting tells apart."""
REBALANCE = 1_000
"""Steps after which the weights of conditions are balanced anew."""
RATES = {"adam": 5e-3, "soap": 3e-3}
OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adam": optim.adam, "soap": optim.soap}


class Balance:
    """The factors of the requirements' weights, which change as a run goes on."""

    def __init__(self, task: Task, params: Params) -> None:
        self.task = task.balanced(params)

    def update(self, report: Report) -> None:
        """Balance anew for the parameters of a report."""
        self.task = self.task.balanced(report.params)


def first_order(name: str, task: Task, params: Params, steps: int | None) -> Found:
    """Adam or SOAP with a cosine schedule.

    Args:
        name: in `OPTIMIZERS`.
        task: what is asked.
        params: where to start.
        steps: how many steps; None is 20,000.
    """
    settings = task.settings
    steps = STEPS if steps is None else steps
    balance = Balance(task, params)
    optimizer = OPTIMIZERS[name](optim.cosine(RATES[name], max(steps, 1)))
    alone = len(task.requirements) == 1
    result = fit(
        partial(causal_loss, task) if settings.causal else task.loss,
        params,
        optimizer,
        batches(balance),
        steps=steps,
        report_every=REBALANCE,
        callbacks=[] if alone else [balance.update],
        backend=settings.backend,
        progress_bar=settings.progress,
        time_limit=settings.remaining,
    )
    return Found(result.params, result.loss.to(torch.float64), result.seconds, result.status, result.backend)


def batches(balance: Balance) -> Iterator[tuple[Points, ...]]:
    """Points for each requirement, new at every step, without end; each batch covers the domain.

    Args:
        balance: gives the task, with the weights that hold at the time.

    Yields:
        The points of each requirement; batch `i` depends on the key and on `i`, its weights on the run.
    """
    settings, dimensions = balance.task.settings, balance.task.problem.domain.dimensions
    count = settings.points or POINTS_PER_DIMENSION.get(dimensions, MOST_POINTS)
    name = settings.sampling or "uniform"
    block = 0
    while True:
        task, key = balance.task, random.fold_in(random.fold_in(settings.key, 4), block)
        drawn = [points for _, points in task.training(count, key, name, BLOCK)]
        parts = [
            [points] * BLOCK if fixed else _apart(points)
            for points, fixed in zip(drawn, task.fixed, strict=True)
        ]
        yield from zip(*parts, strict=True)
        block += 1


def _apart(points: Points) -> list[Points]:
    """The batches of a block, of the block's weight each."""
    x, target, weight = (tensor.reshape(BLOCK, -1, *tensor.shape[1:]) for tensor in points)
    weight = weight / weight.sum(1, keepdim=True) * points.weight.sum()
    return [Points(*batch) for batch in zip(x, target, weight, strict=True)]


def causal_loss(task: Task, params: Params, training: tuple[Points, ...]) -> Scalar:
    r"""The loss in which a time counts once the times before it are solved.

    $\sum_k w_k L_k / K$ with $w_k = \exp(-\epsilon \sum_{j<k} L_j)$, which is not differentiated, and $L_k$
    the mean square of the equations' residuals in the interval $k$ of $K$.

    Source: Wang, Sankaran and Perdikaris (2022), arXiv:2203.07404, equations 15 and 16.
    """
    equations, inside = task.requirements[0], training[0]
    squares = all_residuals(task.residual(equations), params, inside).square().sum(1) / inside.weight
    name = task.problem.marches or "t"
    index = task.problem.domain.index(name)
    start, length = task.problem.domain.lower[index], task.problem.domain.lengths[index]
    chunk = ((inside.x[:, index] - start) / length * CHUNKS).floor().clamp(0, CHUNKS - 1)
    member = (chunk[None] == torch.arange(CHUNKS, device=chunk.device)[:, None]).to(squares.dtype)
    means = member @ squares / member.sum(1).clamp(min=1.0)  # (chunks,)
    before = torch.cumsum(means, 0) - means
    weights = torch.exp(-task.settings.causal * before.detach())
    others = [
        all_residuals(task.residual(one), params, points).square().sum()
        for one, points in zip(task.requirements[1:], training[1:], strict=True)
    ]
    return torch.stack([(weights * means).sum() / CHUNKS, *others]).sum()


FIRST_ORDER = {name: partial(first_order, name) for name in OPTIMIZERS}
"""Each method by its name."""
