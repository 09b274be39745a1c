"""Losses of predictions and targets; each is smallest, and mostly zero, where they agree."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from funcsci import checks

REDUCTIONS = ("mean", "sum", "none")
"""What becomes of the losses of the single entries (of `cross_entropy` and `relative_l2`: of the samples)."""


def mse(
    prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"], *, reduction: str = "mean"
) -> Float[Tensor, "..."]:
    r"""The mean squared error, $\overline{(p - t)^2}$.

    Args:
        prediction: $p$.
        target: $t$, of the same shape.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Returns:
        The loss, shape (), or one for each entry.

    Raises:
        ValueError: if the shapes differ, or the reduction is unknown.

    Example:
        >>> import torch
        >>> mse(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        tensor(2.)

    Differs from: `torch.nn.functional.mse_loss`, which broadcasts unlike shapes with a warning.
    """
    _check_shapes(prediction, target)
    return _reduced((prediction - target) ** 2, reduction)


def mae(
    prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"], *, reduction: str = "mean"
) -> Float[Tensor, "..."]:
    r"""The mean absolute error, $\overline{|p - t|}$.

    Args:
        prediction: $p$.
        target: $t$, of the same shape.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Returns:
        The loss, shape (), or one for each entry.

    Raises:
        ValueError: if the shapes differ, or the reduction is unknown.

    Example:
        >>> import torch
        >>> mae(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        tensor(1.)
    """
    _check_shapes(prediction, target)
    return _reduced((prediction - target).abs(), reduction)


def huber(
    prediction: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    *,
    delta: float = 1.0,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""Quadratic for small errors, linear for large ones, so that a few outliers do not decide.

    $\tfrac12 e^2$ for $|e| \le \delta$ and $\delta (|e| - \tfrac12 \delta)$ beyond, with $e = p - t$.

    Args:
        prediction: $p$.
        target: $t$, of the same shape.
        delta: $\delta$, where the two meet, in units of the target.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Returns:
        The loss, shape (), or one for each entry.

    Raises:
        ValueError: if the shapes differ, `delta` is not positive, or the reduction is unknown.

    Example:
        >>> import torch
        >>> huber(torch.tensor([1.0, 5.0]), torch.tensor([0.0, 0.0]), reduction="none")
        tensor([0.5000, 4.5000])

    Source: Huber (1964), doi:10.1214/aoms/1177703732.
    """
    checks.positive(delta=delta)
    _check_shapes(prediction, target)
    error = (prediction - target).abs()
    return _reduced(torch.where(error <= delta, error**2 / 2, delta * (error - delta / 2)), reduction)


def binary_cross_entropy(
    probability: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"], *, reduction: str = "mean"
) -> Float[Tensor, "..."]:
    r"""The cross-entropy of two classes from a probability, $-t \log p - (1 - t) \log (1 - p)$.

    Args:
        probability: $p$, of class 1, in [0, 1].
        target: $t$, 0 or 1 or a probability between, of the same shape.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Returns:
        The loss, shape (), or one for each entry; each logarithm is at least -100, so that it is finite.

    Raises:
        ValueError: if the shapes differ, the reduction is unknown, or an entry is not in [0, 1] (not
            looked at while a program is traced).

    Example:
        >>> import torch
        >>> binary_cross_entropy(torch.tensor([0.5, 0.5]), torch.tensor([0.0, 1.0]))
        tensor(0.6931)

    Differs from: `binary_cross_entropy_with_logits`, which does not lose digits where p is near 0 or 1.
    """
    _check_shapes(probability, target)
    remedy = "Pass sigmoid(logits), or use binary_cross_entropy_with_logits."
    _check_range(0, 1, remedy, probability=probability)
    _check_range(0, 1, "Pass 0 for one class and 1 for the other.", target=target)
    one, other = torch.log(probability).clamp_min(-100), torch.log1p(-probability).clamp_min(-100)
    return _reduced(-target * one - (1 - target) * other, reduction)


def binary_cross_entropy_with_logits(
    logits: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"], *, reduction: str = "mean"
) -> Float[Tensor, "..."]:
    r"""The cross-entropy of two classes from logits, $t \log(1 + e^{-z}) + (1 - t) \log(1 + e^z)$.

    It is finite for every $z$, and keeps its digits however sure and right an answer is.

    Args:
        logits: $z$; the probability of class 1 is $1 / (1 + e^{-z})$.
        target: $t$, 0 or 1 or a probability between, of the same shape.
        reduction: `"mean"`, `"sum"` or `"none"`.

    Returns:
        The loss, shape (), or one for each entry.

    Raises:
        ValueError: if the shapes differ, the reduction is unknown, or a target is not in [0, 1] (not
            looked at while a program is traced).

    Example:
        >>> import torch
        >>> binary_cross_entropy_with_logits(torch.tensor([-1000.0]), torch.tensor([1.0]))
        tensor(1000.)
    """
    _check_shapes(logits, target)
    _check_range(0, 1, "Pass 0 for one class and 1 for the other.", target=target)
    zero = torch.zeros_like(logits)
    # Both logarithms: the difference of one and a multiple of z would round a sure, right answer's loss to 0.
    wrong = target * torch.logaddexp(-logits, zero) + (1 - target) * torch.logaddexp(logits, zero)
    return _reduced(wrong, reduction)


def cross_entropy(
    logits: Float[Tensor, "batch classes *size"],
    labels: Int[Tensor, "batch *size"],
    *,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""The cross-entropy of several classes from logits, $-\sum_c q_c \log \mathrm{softmax}(z)_c$.

    $q$ is 1 at the label and 0 elsewhere, or with smoothing $\epsilon$ it is $1 - \epsilon + \epsilon / C$
    and $\epsilon / C$.

    Args:
        logits: $z$, the classes in dimension 1.
        labels: the class of each sample, integers from 0.
        label_smoothing: $\epsilon$, in [0, 1].
        reduction: `"mean"`, `"sum"` or `"none"`.

    Returns:
        The loss, shape (), or one for each sample.

    Raises:
        TypeError: if the labels are not integers.
        ValueError: if the shapes do not fit, a number is out of its range, the reduction is unknown, or a
            label is not among the classes. While a program is traced labels have no values; its loss is nan
            then.

    Example:
        >>> import torch
        >>> cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor(0.6931)

    Source: Szegedy et al. (2015), arXiv:1512.00567, section 7, for the smoothing.
    """
    checks.non_negative(label_smoothing=label_smoothing)
    if label_smoothing > 1:
        must = "be at most 1"
        raise ValueError(checks.message(must, "label_smoothing", label_smoothing, "Try label_smoothing=0.1."))
    checks.one_of(REDUCTIONS, reduction=reduction)
    if logits.dim() < 2 or labels.shape != logits.shape[:1] + logits.shape[2:]:
        raise ValueError(
            "labels must have the shape of logits without its dimension 1, which holds the classes. "
            f"Got labels of shape {tuple(labels.shape)} for logits of shape {tuple(logits.shape)}. "
            "Pass logits of shape (batch, classes) and labels of shape (batch,)."
        )
    if labels.dtype.is_floating_point:
        raise TypeError(f"labels must be integers. Got labels of {labels.dtype}. Try labels.long().")
    classes = logits.shape[1]
    _check_range(0, classes - 1, f"There are {classes} classes: make the last layer wider.", labels=labels)
    known = (labels >= 0) & (labels < classes)
    index = torch.where(known, labels, 0).long()
    losses = F.cross_entropy(logits, index, reduction="none", label_smoothing=label_smoothing)
    # A program cannot raise; its loss is nan then, and a run that trains on it stops there.
    return _reduced(torch.where(known, losses, torch.nan), reduction)


def relative_l2(
    prediction: Float[Tensor, "batch *shape"],
    target: Float[Tensor, "batch *shape"],
    *,
    reduction: str = "mean",
) -> Float[Tensor, "..."]:
    r"""The error of each sample in units of its size, $\|p - t\|_2 / \|t\|_2$.

    Args:
        prediction: $p$, samples along the first dimension.
        target: $t$, of the same shape; no sample of it is zero everywhere.
        reduction: `"mean"`, `"sum"` or `"none"`, over the samples.

    Returns:
        The loss, shape (), or one for each sample.

    Raises:
        ValueError: if the shapes differ, or the reduction is unknown.

    Example:
        >>> import torch
        >>> relative_l2(torch.tensor([[3.0, 5.0]]), torch.tensor([[3.0, 4.0]]))
        tensor(0.2000)

    Source: Li et al. (2020), arXiv:2010.08895, the loss and the error of neural operators.
    """
    _check_shapes(prediction, target)
    if target.dim() < 1:
        must = "have samples along its first dimension"
        raise ValueError(checks.message(must, "target.shape", (), "Try target[None]."))
    error, size = ((a.reshape(len(a), -1) ** 2).sum(1).sqrt() for a in (prediction - target, target))
    return _reduced(error / size, reduction)


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    checks.one_of(REDUCTIONS, reduction=reduction)
    return {"mean": losses.mean, "sum": losses.sum}.get(reduction, lambda: losses)()


def _check_shapes(prediction: Tensor, target: Tensor) -> None:
    if prediction.shape != target.shape:
        raise ValueError(
            "prediction and target must have one shape: broadcasting would pair every prediction with every "
            f"target. Got {tuple(prediction.shape)} and {tuple(target.shape)}. Reshape one of them."
        )


def _check_range(least: int, most: int, remedy: str, **values: Tensor) -> None:
    """No entry lies outside. While a program is traced entries have no values, and nothing is checked."""
    for name, value in values.items():
        outside = ~((value >= least) & (value <= most))
        try:
            found = bool(outside.any())
        except RuntimeError:  # what reading a value under a trace or a transform, or on meta, ends with
            continue
        if found:
            one = value[outside][0].item()
            raise ValueError(f"{name} must lie in [{least}, {most}]. Got {one}. {remedy}")
