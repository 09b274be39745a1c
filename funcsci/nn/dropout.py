"""Dropout with a key."""

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, random
from funcsci.nn.model import Params, State, StatefulModel
from funcsci.random import Key


def dropout(p: float = 0.5) -> StatefulModel:
    r"""In training some entries are set to zero, and the others grow so that the mean stays.

    $y = m x / (1 - p)$ with $m$ from `random.bernoulli(key, 1 - p)`.

    Args:
        p: probability of an entry to be set to zero; 0 changes nothing.

    Returns:
        A stateful model without params and state. The same key drops the same entries, eager or compiled, on
        every device.

    Raises:
        TypeError: if `p` is no real number.
        ValueError: if it is not in [0, 1); when applied in training, if there is no key.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.dropout(0.5)
        >>> y, _ = model.apply({}, {}, torch.ones(8), train=True, key=random.key(0))
        >>> sorted(set(y.tolist()))
        [0.0, 2.0]
        >>> model.apply({}, {}, torch.ones(2), train=False)[0]
        tensor([1., 1.])

    Source: Srivastava et al. (2014), Journal of Machine Learning Research 15, 1929.

    Differs from: `torch.nn.Dropout`, which draws from the global generator.
    """
    checks.non_negative(p=p)
    if p >= 1:
        raise ValueError(checks.message("be below 1, or nothing is left", "p", p, "Try p=0.5."))

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> tuple[Params, State]:
        return {}, {}

    def apply(
        params: Params, state: State, x: Float[Tensor, "*shape"], *, train: bool, key: Key | None = None
    ) -> tuple[Float[Tensor, "*shape"], State]:
        if not train or p == 0:
            return x, state
        if key is None:
            raise ValueError(
                "dropout must have a key in training. Got key=None. "
                "Pass key=random.key(0) to apply, or let the loss take key, which fit gives it."
            )
        kept = random.bernoulli(key, 1 - p, tuple(x.shape))
        return torch.where(kept, x / (1 - p), torch.zeros_like(x)), state

    return StatefulModel(init, apply)
