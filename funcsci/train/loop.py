"""The training loop: one compiled step, called as often as asked."""

import inspect
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from funcsci import checks, progress, random, tree
from funcsci.compile import jit
from funcsci.data import Batch, Batches, batches
from funcsci.optim import Optimizer, Status
from funcsci.optim.course import Clock, interrupted
from funcsci.random import Key
from funcsci.train.checkpoint import Checkpoints
from funcsci.train.identity import differences, identity, traced_alike
from funcsci.train.loss import Loss, averaged, check_averages, full
from funcsci.train.report import Report, Watch
from funcsci.train.result import FitResult
from funcsci.train.run import Run, under
from funcsci.train.step import TrainState, start, train_step
from funcsci.tree import Params, PyTree

DATA = 2**32 - 1
"""What is folded into the run's key for the order of the data; no step has this number."""

Callback: TypeAlias = Callable[[Report], object]
"""Called with each report; what it returns counts only if it is True, which ends the run."""


def fit(
    loss: Callable[..., Any],
    params: Params,
    optimizer: Optimizer,
    data: Any = None,
    *,
    state: PyTree | None = None,
    key: Key | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    shuffle: bool = True,
    drop_last: bool = False,
    workers: int = 0,
    evaluate: Callable[..., dict[str, Any]] | None = None,
    report_every: int = 100,
    callbacks: Sequence[Callback] = (),
    monitor: str = "loss",
    mode: str = "min",
    patience: int | None = None,
    min_delta: float = 0.0,
    time_limit: float | None = None,
    checkpoint: str | Path | Checkpoints | None = None,
    backend: str | None = None,
    progress_bar: bool = True,
) -> FitResult:
    r"""Minimize a loss by taking steps on batches.

    $\theta_{n+1} = \theta_n + \Delta_n$ with the update $\Delta_n$ for $\nabla \ell(\theta_n, b_n)$.

    A run is a function of its arguments: the same key gives the same run. One that is
    stopped and resumed from its checkpoint ends with the same bits as one that was not.

    Args:
        loss: `loss(params, batch, *, state, key, mask) -> (value, (state, metrics))`. It may take less,
            `loss(params)` at the least, and return less, `(value, metrics)` or the value alone. `key` is
            another one at each step; `mask` is True for the samples that count, shape `(samples,)`.
        params: where to start; a pytree of floating-point tensors. It is not changed.
        optimizer: turns gradients into updates.
        data: a pytree of tensors with the samples along their first dimension, a map-style dataset, a
            DataLoader, or an iterator of batches; see `data.batches`. None: the loss draws its own points
            from `key`, or needs none.
        state: the model's state, which the loss takes and returns; None is an empty tree.
        key: decides the order of the data and what the loss draws; None is `random.key(0)`.
        steps: the most steps to take; fewer if an iterator runs out.
        epochs: how often to go through the data, instead of `steps`.
        batch_size: samples in a batch of tensors or a dataset; None: all of them.
        shuffle: whether each epoch has an order of its own.
        drop_last: whether to leave out a short last batch. Otherwise it is filled up and masked, for
            which a loss that does not take `mask` must be the mean of its samples' losses.
        workers: how many processes fetch the batches of a dataset; see `data.batches`.
        evaluate: `evaluate(params, *, state) -> {name: number}`, for each report; `state` may be missing.
        report_every: steps between two reports; the last step has one in any case.
        callbacks: functions of a `Report`; one that returns True ends the run.
        monitor: the number of the reports by which the best is told.
        mode: whether the best is the `"min"` or the `"max"`.
        patience: end the run after so many reports in a row without a better one; None: never.
        min_delta: better means by more than this, in units of the number.
        time_limit: seconds of wall-clock time, in this call, after which the run ends as it does on Ctrl-C,
            with a last report; looked at between steps, so that a step and its compilation are not
            divided. None is no limit.
        checkpoint: a folder or `Checkpoints`: the run is saved there, also at its end and on Ctrl-C. Where
            the folder holds checkpoints already, the run goes on from the newest whole one.
        backend: as in `jit`, which is told the number of steps.
        progress_bar: whether to show one, with the loss, the rate and the time left.

    Returns:
        A `FitResult`. A loss that is not finite ends the run with the parameters at which it last
        was, and the status names the step. Ctrl-C ends it with what is there, and the status says so.

    Raises:
        TypeError: if a leaf of `params` is not a floating-point tensor, `data` cannot be read, or the loss
            does not return what it should.
        ValueError: if a number is out of its range, there is no batch, a short batch cannot be masked,
            or the checkpoint is of another run: the message says what differs.
        OSError: if the checkpoint's folder cannot be written.

    Example:
        >>> import torch
        >>> from funcsci import optim
        >>> x = torch.linspace(-1, 1, 64)
        >>> loss = lambda w, batch: ((w * batch["x"] - batch["y"]) ** 2).mean()
        >>> result = fit(loss, torch.tensor(0.0), optim.sgd(0.5), {"x": x, "y": 3 * x},
        ...              epochs=20, batch_size=16, backend="trace", progress_bar=False)
        >>> round(float(result.params), 3), str(result.status)
        (3.0, 'finished: all 80 steps were taken')
    """
    watch = Watch(monitor, mode, patience, min_delta)
    watch.check()
    checks.integer(least=1, report_every=report_every)
    if time_limit is not None:
        checks.positive(time_limit=time_limit)
    clock = Clock(time_limit)
    whole = full(loss)
    _check_data(whole, data)
    begin = start(params, optimizer, state=state, key=key)
    saving = Checkpoints(checkpoint) if isinstance(checkpoint, str | Path) else checkpoint
    run = Run(begin, watch)
    story = _restored(run, saving, key)

    supply = _supply(data, run.now, batch_size, shuffle, drop_last, workers)
    steps = _steps(steps, epochs, supply)
    if supply.masked and "mask" not in whole.takes:
        if not run.steps:
            _check_averages(whole, supply, begin)
        whole = averaged(whole)
    step = jit(train_step(whole, optimizer), backend=backend, steps=steps)
    facts: dict[str, Any] = {"backend": step.backend}
    arguments = _arguments(whole, supply.start(run.steps))

    saved = run.steps

    def save() -> None:
        nonlocal saved
        if saving is not None and run.steps > saved and run.read():
            trees, history, numbers = run.saved()
            saving.save(run.steps, trees, extra=history, story={**numbers, **facts})
            saved = run.steps

    def report() -> Status | None:
        """Tell what there is to tell, and whether that ends the run."""
        told = run.report(_evaluated(evaluate, run.now)) if run.read() else None
        if told is not None and any([callback(told) is True for callback in callbacks]):
            return _finished(f"a callback ended the run after {told.step} of {steps} steps")
        return run.stalled()

    late = 0 if begin.step.device.type == "cpu" else 1  # so that a GPU has work while a loss is read
    status = run.stalled()  # a run that had come to its end does not go on
    with progress.bar(steps, "training", initial=run.steps, shown=progress_bar) as bar:
        if step.backend == "compile":
            bar.set_postfix_str("compiling")  # shown at once: nothing moves until the first step is there
        try:
            if saving is not None:
                example, arguments = _peeked(arguments)
                settings = {"per_epoch": supply.per_epoch, "masked": supply.masked}
                settings |= {"shuffle": shuffle, "report_every": report_every}
                facts["identity"] = identity(whole, optimizer, begin, example, data, watch, settings)
                _compare(story, facts, run.steps, steps)
            while True:
                if run.reported < run.steps and run.steps % report_every == 0:
                    status = report()
                if saving is not None and run.steps % saving.every == 0:
                    save()
                if status is not None or run.bad is not None or run.steps >= steps:
                    break
                status = clock.ended(run.steps, steps)
                if status is not None:
                    break
                batch = next(arguments, None)
                if batch is None:
                    status = _finished(f"all {run.steps} batches were used, of {steps} steps allowed")
                    break
                now = run.now
                run.record(now, *step(now, *batch))
                bar.update()
                if run.read(unread=late) and run.losses:
                    bar.set_postfix_str(f"loss {run.losses[-1]:.2e}", refresh=False)
            if run.reported < run.steps:
                report()
        except KeyboardInterrupt:
            status = interrupted(run.steps, steps)
    if not run.steps and steps and status is not None and status.finished:
        raise ValueError("data must yield at least one batch. Got none. Pass itertools.repeat(batch).")
    run.finish()
    save()
    return _result(run, status or _finished(f"all {steps} steps were taken"), step.backend)


def _finished(reason: str) -> Status:
    return Status(False, reason, finished=True)


def _result(run: Run, status: Status, backend: str) -> FitResult:
    if run.bad is not None:
        status = Status(False, f"{run.bad}; the parameters are those of the last finite loss")
    history = run.history()
    reports = under("report.", history)
    now = run.now
    return FitResult(
        now.params,
        now.state,
        now.optimizer_state,
        status,
        history["loss"],
        history["seconds"],
        reports,
        run.best,
        backend,
    )


def _check_data(loss: Loss, data: Any) -> None:
    if data is None and ("mask" in loss.takes or (loss.batch == "required" and "key" not in loss.takes)):
        raise ValueError(
            "data must be given where the loss takes a batch and no key. Got data=None. "
            "Pass data=..., or let the loss take key and draw its own points."
        )
    if data is not None and loss.batch == "none":
        raise ValueError(
            "loss must take a batch where there are data. Got one that takes params alone. "
            "Try loss(params, batch)."
        )


def _supply(
    data: Any, now: TrainState, batch_size: int | None, shuffle: bool, drop_last: bool, workers: int
) -> Batches:
    """The batches, on the device of the parameters; endless empty ones where there are no data."""
    if data is None:
        return Batches(lambda step: itertools.repeat(Batch(None, None)), None, False)
    return batches(
        data,
        batch_size=batch_size,
        key=random.fold_in(now.key, DATA),
        shuffle=shuffle,
        drop_last=drop_last,
        workers=workers,
        device=now.step.device,
    )


def _steps(steps: int | None, epochs: int | None, supply: Batches) -> int:
    """The number of steps to take in all."""
    if (steps is None) == (epochs is None):
        raise ValueError(
            f"One of steps and epochs must be given. Got steps={steps!r}, epochs={epochs!r}. Try steps=1000."
        )
    if epochs is None:
        checks.integer(least=0, steps=steps)
        return int(steps or 0)
    checks.integer(least=0, epochs=epochs)
    if supply.per_epoch is None:
        raise ValueError(
            "epochs must be None where the length of the data is not known. "
            f"Got epochs={epochs}. Try steps=1000."
        )
    return epochs * supply.per_epoch


def _check_averages(loss: Loss, supply: Batches, begin: TrainState) -> None:
    first = next(supply.start(0))
    check_averages(loss, begin.params, first.data, state=begin.state, key=begin.key)


def _arguments(loss: Loss, supply: Iterable[Batch]) -> Iterator[tuple[Any, ...]]:
    """What the step is called with besides the state: the batch, and its mask where the loss takes one."""
    everything: Tensor | None = None
    for data, mask in supply:
        if "mask" not in loss.takes:
            yield (data,)
            continue
        if mask is None and everything is None:
            first = tree.leaves(data)[0]
            everything = torch.ones(len(first), dtype=torch.bool, device=first.device)
        yield data, everything if mask is None else mask


def _evaluated(evaluate: Callable[..., dict[str, Any]] | None, now: TrainState) -> dict[str, float]:
    if evaluate is None:
        return {}
    takes_state = "state" in inspect.signature(evaluate).parameters
    with torch.no_grad():
        found = evaluate(now.params, state=now.state) if takes_state else evaluate(now.params)
    if not isinstance(found, dict):
        raise TypeError(
            f"evaluate must return a dict of numbers by name. Got {found!r}. Return {{'error': ...}}."
        )
    return {name: float(value) for name, value in found.items()}


def _restored(run: Run, saving: Checkpoints | None, key: Key | None) -> dict[str, Any]:
    """Put the run where its newest checkpoint left it; the checkpoint's story, or an empty one."""
    if saving is None:
        return {}
    saving.check()
    trees, _, _ = run.saved()
    found = saving.latest(trees)
    if found is None:
        return {}
    run.restore(found.tree, found.extra, found.story)
    if key is not None and not torch.equal(key.cpu(), run.now.key.cpu()):
        raise ValueError(
            f"key must be the one of the run in the checkpoint. Got key={key.tolist()}, where that was "
            f"{run.now.key.tolist()}. Leave it out to go on, or take another folder."
        )
    return found.story


def _compare(story: dict[str, Any], facts: dict[str, Any], taken: int, steps: int) -> None:
    """A run goes on as what it was; only its end may move. Another backend rounds differently."""
    if not story:
        return
    then, now = story["identity"], facts["identity"]
    found = differences(then, now)
    if found:
        raise ValueError(
            "A run must be that of the checkpoint it goes on from. "
            f"Got another: {'; '.join(found)}. Pass what that run was given, of which steps, epochs and "
            "patience may grow, or take another folder."
        )
    if taken > steps:
        must = f"be at least the {taken} of the run in the checkpoint"
        raise ValueError(checks.message(must, "steps", steps, "Ask for more, or take another folder."))
    if not traced_alike(then, now) and differences(then, {**now, **_where(then)}):
        warnings.warn(
            "The loss and the optimizer cannot be compared with those of the checkpoint, which were traced "
            f"by torch {then['torch']} on {then['device']}, not {now['torch']} on {now['device']}. See "
            "that they are the same.",
            RuntimeWarning,
            stacklevel=3,
        )
    if story["backend"] != facts["backend"]:
        warnings.warn(
            f"The run in the checkpoint used backend {story['backend']!r} and goes on with "
            f"{facts['backend']!r}, which rounds differently.",
            RuntimeWarning,
            stacklevel=3,
        )


def _where(told: dict[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in ("torch", "device")}


def _peeked(supply: Iterator[tuple[Any, ...]]) -> tuple[tuple[Any, ...] | None, Iterator[tuple[Any, ...]]]:
    """What comes first, and everything with it; None where nothing is left."""
    first = next(supply, None)
    return first, supply if first is None else itertools.chain([first], supply)
