"""From a direction to a step: weight decay, the sign, the learning rate."""

from funcsci import checks
from funcsci.optim.learning_rate import Schedule, scale_by_learning_rate
from funcsci.optim.masking import Mask, masked
from funcsci.optim.transform import Optimizer, chain, map_leaves, scale
from funcsci.tree import Params, PyTree


def add_decayed_weights(weight_decay: float, mask: Mask | None = None) -> Optimizer:
    r"""Pulls the parameters to zero, $\Delta = g + \lambda \theta$.

    Before a direction such as `scale_by_adam` it is an L2 penalty; after it, decoupled decay, which the
    direction does not rescale.

    Args:
        weight_decay: $\lambda$, in units of gradient per parameter before a direction, dimensionless
            after it; at least 0.
        mask: which leaves decay, as for `masked`; None for all.

    Returns:
        An optimizer, one link of a `chain`; its state is empty.

    Raises:
        ValueError: if `weight_decay` is negative.

    Example:
        AdamW that leaves biases alone:

        >>> import torch
        >>> from funcsci.optim import scale_by_adam
        >>> decay = add_decayed_weights(0.1, mask=lambda path, leaf: "bias" not in path)
        >>> optimizer = chain(scale_by_adam(), decay, scale_by_learning_rate(0.01))
        >>> params = {"weight": torch.tensor(10.0), "bias": torch.tensor(10.0)}
        >>> grads = {"weight": torch.tensor(1.0), "bias": torch.tensor(1.0)}
        >>> optimizer.update(grads, optimizer.init(params), params)[0]
        {'weight': tensor(-0.0200), 'bias': tensor(-0.0100)}

    Source: Loshchilov and Hutter (2019), arXiv:1711.05101, algorithms 1 and 2.
    """
    checks.non_negative(weight_decay=weight_decay)

    def update(grads: Params, state: PyTree, params: Params) -> tuple[Params, PyTree]:
        (decayed,) = map_leaves(lambda p, g: (g + weight_decay * p,), params, grads)
        return decayed, state

    everywhere = Optimizer(lambda params: (), update)
    return everywhere if mask is None else masked(everywhere, mask)


def descend(
    *directions: Optimizer,
    lr: float | Schedule,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
) -> Optimizer:
    r"""What the named optimizers share: from a direction $d(g)$ to a step.

    $\Delta\theta = -\eta\, d(g + \lambda\theta)$, or decoupled $-\eta\,(d(g) + \lambda\theta)$; to maximize,
    with $-g$ for $g$.

    Args:
        *directions: the links of the chain that make the direction.
        lr: $\eta$, or a schedule of the step count.
        weight_decay: $\lambda$, at least 0; 0 leaves the link out.
        decoupled: whether the decay comes after the direction.
        maximize: whether to go up.

    Returns:
        A `chain`, with the rate in its last link.

    Raises:
        ValueError: if the rate or the decay is negative.

    Example:
        >>> import torch
        >>> w = torch.tensor(1.0)
        >>> ascent = descend(lr=0.5, maximize=True)
        >>> ascent.update(torch.tensor(2.0), ascent.init(w), w)[0]
        tensor(1.)
    """
    sign = [scale(-1.0)] if maximize else []
    decay = [add_decayed_weights(weight_decay)] if weight_decay != 0 else []
    rate = scale_by_learning_rate(lr)
    if decoupled:
        return chain(*sign, *directions, *decay, rate)
    return chain(*sign, *decay, *directions, rate)
