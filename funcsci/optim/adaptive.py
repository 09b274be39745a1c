"""Steps scaled by the size of past gradients: Adagrad, Adadelta and RMSprop."""

from typing import NamedTuple

import torch
from torch import Tensor

from funcsci import checks, tree
from funcsci.optim.descent import descend
from funcsci.optim.learning_rate import Schedule
from funcsci.optim.moments import running_mean, running_square
from funcsci.optim.sgd import scale_by_momentum
from funcsci.optim.transform import Optimizer, decay_factor, map_leaves, zero_steps, zeros
from funcsci.tree import Params, PyTree, Scalar


class AdagradState(NamedTuple):
    """The sum of squares of `scale_by_adagrad`.

    Attributes:
        steps: $n$, the number of steps taken, int64, shape ().
        total: $s$, of the structure, shapes and dtypes of the parameters.
    """

    steps: Scalar
    total: Params


def scale_by_adagrad(
    lr_decay: float = 0.0, initial_accumulator_value: float = 0.0, eps: float = 1e-10
) -> Optimizer:
    r"""Adagrad's direction, $g / (\sqrt{s'} + \epsilon)$ with $s' = s + g^2$.

    It is divided by $1 + (n - 1) \gamma$ at step $n$.

    Args:
        lr_decay: $\gamma$, dimensionless, at least 0.
        initial_accumulator_value: $s$ before the first step, in units of the squared gradient.
        eps: keeps the division finite, in units of the gradient.

    Returns:
        An optimizer, one link of a `chain`.

    Raises:
        ValueError: if an argument is negative.

    Example:
        >>> import torch
        >>> direction = scale_by_adagrad()
        >>> params = torch.tensor([1.0, 1.0])
        >>> direction.update(torch.tensor([3.0, -0.1]), direction.init(params), params)[0]
        tensor([ 1., -1.])

    Source: Duchi, Hazan and Singer (2011), JMLR 12, 2121, with diagonal matrices.
    """
    checks.non_negative(lr_decay=lr_decay, initial_accumulator_value=initial_accumulator_value, eps=eps)

    def init(params: Params) -> AdagradState:
        total = tree.map(lambda zero: zero + initial_accumulator_value, zeros(params))
        return AdagradState(zero_steps(params), total)

    def update(grads: Params, state: AdagradState, params: Params) -> tuple[Params, AdagradState]:
        slower = 1 / (1 + lr_decay * state.steps.to(torch.float64))

        def leaf(p: Tensor, g: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
            s = torch.addcmul(s, g, g)
            direction = g / (torch.sqrt(s) + eps)
            return direction if lr_decay == 0 else slower.to(g.dtype) * direction, s

        direction, total = map_leaves(leaf, params, grads, state.total)
        return direction, AdagradState(state.steps + 1, total)

    return Optimizer(init, update)


def adagrad(
    lr: float | Schedule = 1e-2,
    *,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    maximize: bool = False,
) -> Optimizer:
    r"""Adagrad, $\theta' = \theta - \eta_n g / (\sqrt{s'} + \epsilon)$ with $s'$ the sum of all $g^2$ so far.

    $\eta_n = \eta / (1 + (n - 1)\gamma)$ at step $n$.

    Args:
        lr: $\eta$, or a schedule of the step count.
        lr_decay: $\gamma$, dimensionless.
        weight_decay: an L2 penalty.
        initial_accumulator_value: the sum of squares before the first step.
        eps: keeps the division finite, in units of the gradient.
        maximize: whether to go up.

    Returns:
        An optimizer, equal to `torch.optim.Adagrad` step by step.

    Raises:
        ValueError: if an argument is negative.

    Example:
        >>> import torch
        >>> w = torch.tensor(1.0)
        >>> optimizer = adagrad(0.1)
        >>> optimizer.update(torch.tensor(2.0), optimizer.init(w), w)[0]
        tensor(-0.1000)

    Source: Duchi, Hazan and Singer (2011), JMLR 12, 2121.

    Differs from `torch.optim.Adagrad`: a pure function, and the rate stands in the state as a tensor.
    """
    direction = scale_by_adagrad(lr_decay, initial_accumulator_value, eps)
    return descend(direction, lr=lr, weight_decay=weight_decay, maximize=maximize)


class AdadeltaState(NamedTuple):
    r"""The running squares of `scale_by_adadelta`.

    Attributes:
        square: $v$, of gradients, of the structure, shapes and dtypes of the parameters.
        moved: $a$, of directions, likewise.
    """

    square: Params
    moved: Params


def scale_by_adadelta(rho: float = 0.9, eps: float = 1e-6) -> Optimizer:
    r"""Adadelta's direction, $\delta = g \sqrt{a + \epsilon} / \sqrt{v' + \epsilon}$.

    $v' = \rho v + (1 - \rho) g^2,\quad a' = \rho a + (1 - \rho) \delta^2$.

    Args:
        rho: the decay of the two means, dimensionless, in [0, 1).
        eps: starts the motion, in units of the squared gradient and of the squared parameter.

    Returns:
        An optimizer, one link of a `chain`.

    Raises:
        ValueError: if `rho` is outside [0, 1) or `eps` is negative.

    Example:
        >>> import torch
        >>> direction = scale_by_adadelta()
        >>> params = torch.tensor([1.0, 1.0])
        >>> direction.update(torch.tensor([3.0, -0.1]), direction.init(params), params)[0]
        tensor([ 0.0032, -0.0032])

    Source: Zeiler (2012), arXiv:1212.5701, algorithm 1.
    """
    decay_factor(rho=rho)
    checks.non_negative(eps=eps)

    def init(params: Params) -> AdadeltaState:
        return AdadeltaState(zeros(params), zeros(params))

    def leaf(p: Tensor, g: Tensor, v: Tensor, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        v = running_square(v, g, rho)
        delta = torch.sqrt((a + eps) / (v + eps)) * g
        return delta, v, running_square(a, delta, rho)

    def update(grads: Params, state: AdadeltaState, params: Params) -> tuple[Params, AdadeltaState]:
        direction, *squares = map_leaves(leaf, params, grads, *state)
        return direction, AdadeltaState(*squares)

    return Optimizer(init, update)


def adadelta(
    lr: float | Schedule = 1.0,
    *,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> Optimizer:
    r"""Adadelta, $\theta' = \theta - \eta\, g \sqrt{a + \epsilon} / \sqrt{v' + \epsilon}$.

    Args:
        lr: $\eta$, dimensionless, or a schedule of the step count.
        rho: the decay of the two running squares, dimensionless, in [0, 1).
        eps: starts the motion, in units of the squared gradient and of the squared parameter.
        weight_decay: an L2 penalty.
        maximize: whether to go up.

    Returns:
        An optimizer, equal to `torch.optim.Adadelta` step by step.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> w = torch.tensor(1.0)
        >>> optimizer = adadelta()
        >>> optimizer.update(torch.tensor(2.0), optimizer.init(w), w)[0]
        tensor(-0.0032)

    Source: Zeiler (2012), arXiv:1212.5701, algorithm 1.

    Differs from `torch.optim.Adadelta`: a pure function, and the rate stands in the state as a tensor.
    """
    return descend(scale_by_adadelta(rho, eps), lr=lr, weight_decay=weight_decay, maximize=maximize)


class RmsState(NamedTuple):
    r"""The running means of `scale_by_rms`.

    Attributes:
        square: $v$, of the structure, shapes and dtypes of the parameters.
        mean: $\bar g$ if centered, likewise; an empty tuple if not.
    """

    square: Params
    mean: Params = ()


def scale_by_rms(alpha: float = 0.99, eps: float = 1e-8, *, centered: bool = False) -> Optimizer:
    r"""RMSprop's direction, $g / (\sqrt{v'} + \epsilon)$; centered, $v' - \bar g'^2$ stands for $v'$.

    $v' = \alpha v + (1 - \alpha) g^2,\quad \bar g' = \alpha \bar g + (1 - \alpha) g$.

    Args:
        alpha: the decay of the means, dimensionless, in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        centered: whether to divide by the standard deviation.

    Returns:
        An optimizer, one link of a `chain`.

    Raises:
        ValueError: if `alpha` is outside [0, 1) or `eps` is negative.

    Example:
        >>> import torch
        >>> direction = scale_by_rms()
        >>> params = torch.tensor([1.0, 1.0])
        >>> direction.update(torch.tensor([3.0, -0.1]), direction.init(params), params)[0]
        tensor([ 10.0000, -10.0000])

    Source: Tieleman and Hinton (2012), Lecture 6.5, Coursera; Graves (2013), arXiv:1308.0850, equations
    38 to 41 (centered).

    Differs from `torch.optim.RMSprop`: a variance that round-off makes negative counts as 0, not as nan.
    """
    decay_factor(alpha=alpha)
    checks.non_negative(eps=eps)

    def init(params: Params) -> RmsState:
        return RmsState(zeros(params), zeros(params) if centered else ())

    def leaf(p: Tensor, g: Tensor, v: Tensor, *mean: Tensor) -> tuple[Tensor, ...]:
        v = running_square(v, g, alpha)
        means = [running_mean(one, g, alpha) for one in mean]
        variance = torch.clamp(torch.addcmul(v, means[0], means[0], value=-1), min=0) if centered else v
        return g / (torch.sqrt(variance) + eps), v, *means

    def update(grads: Params, state: RmsState, params: Params) -> tuple[Params, RmsState]:
        trees: list[PyTree] = [state.square, *([state.mean] if centered else [])]
        direction, *means = map_leaves(leaf, params, grads, *trees)
        return direction, RmsState(*means)

    return Optimizer(init, update)


def rmsprop(
    lr: float | Schedule = 1e-2,
    *,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    maximize: bool = False,
) -> Optimizer:
    r"""RMSprop, $\theta' = \theta - \eta b'$ with $b' = \mu b + g / (\sqrt{v'} + \epsilon)$.

    Args:
        lr: $\eta$, or a schedule of the step count.
        alpha: the decay of the running square, dimensionless, in [0, 1).
        eps: keeps the division finite, in units of the gradient.
        weight_decay: an L2 penalty.
        momentum: $\mu$, dimensionless; 0 keeps no state for it.
        centered: whether to divide by the standard deviation.
        maximize: whether to go up.

    Returns:
        An optimizer, equal to `torch.optim.RMSprop` step by step.

    Raises:
        ValueError: if an argument is out of its range.

    Example:
        >>> import torch
        >>> w = torch.tensor(1.0)
        >>> optimizer = rmsprop(0.1)
        >>> optimizer.update(torch.tensor(2.0), optimizer.init(w), w)[0]
        tensor(-1.0000)

    Source: Tieleman and Hinton (2012), Lecture 6.5, Coursera; Graves (2013), arXiv:1308.0850 (centered).

    Differs from `torch.optim.RMSprop`: a pure function, and the rate stands in the state as a tensor.
    """
    directions = [scale_by_rms(alpha, eps, centered=centered)]
    checks.non_negative(momentum=momentum)
    if momentum != 0:
        directions.append(scale_by_momentum(momentum))
    return descend(*directions, lr=lr, weight_decay=weight_decay, maximize=maximize)
