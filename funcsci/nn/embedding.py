"""Embeddings of a point: fixed features that stand before a network, joined to it by `sequential`."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from funcsci import checks
from funcsci.nn import initializers
from funcsci.nn.linear import check_features
from funcsci.nn.model import Model, Params, placed
from funcsci.random import Key


def fourier_features(in_features: int, count: int, *, scale: float = 1.0) -> Model:
    r"""Waves of random frequencies, $x \mapsto (\cos(2\pi B x), \sin(2\pi B x))$.

    They let a network behind them learn what oscillates faster than its activations would.

    Args:
        in_features: size of the last dimension of `x`.
        count: the number of frequencies, rows of `B`.
        scale: the standard deviation of `B`'s normal entries, in waves per unit of `x`. The result
            depends on it: too small underfits, too large overfits between the points.

    Returns:
        A model whose params are `frequencies`, the matrix `B` of shape `(count, in_features)`. It maps `x`,
        shape `(*batch, in_features)`, to `(*batch, 2 * count)`, the cosines first. The frequencies are a
        leaf like any other, so an optimizer trains them; `optim.multi_transform` with `optim.freeze()` for
        the leaf of this name holds them fixed, as the paper does.

    Raises:
        TypeError: if a size is not an integer, or `scale` not a number.
        ValueError: if one is not positive; and, when applied, if `x` has another last dimension.

    Example:
        >>> import torch
        >>> from funcsci import nn, optim, random
        >>> model = nn.sequential(nn.fourier_features(2, 8, scale=3.0), nn.mlp((16, 32, 1)))
        >>> params = model.init(random.key(0))
        >>> model.apply(params, torch.zeros(5, 2)).shape
        torch.Size([5, 1])
        >>> optimizer = optim.multi_transform(
        ...     {"fixed": optim.freeze(), "learned": optim.adam(1e-3)},
        ...     lambda path, leaf: "fixed" if "frequencies" in path else "learned",
        ... )
        >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
        >>> updates[0]["frequencies"].any()
        tensor(False)

    Source: Tancik et al. (2020), arXiv:2006.10739, section 6.1, the Gaussian mapping.
    """
    checks.integer(least=1, in_features=in_features, count=count)
    checks.positive(scale=scale)
    draw = initializers.normal(scale)

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        drawn = draw(placed(key, device), (count, in_features), dtype=dtype, device=device)
        return {"frequencies": drawn}

    def apply(params: Params, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        check_features(in_features, x)
        angles = math.tau * F.linear(x, params["frequencies"])  # (*batch, count)
        return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)

    return Model(init, apply)


def periodic_embedding(
    periods: Sequence[float | None], *, harmonics: int = 1, lower: Sequence[float] | None = None
) -> Model:
    r"""Coordinates on circles, $x_i \mapsto \cos, \sin(2\pi k (x_i - l_i) / P_i)$ for $k = 1, \dots, K$.

    Any function of the result has the period, exactly and with all its derivatives.

    Args:
        periods: for each coordinate its period `P_i`, in the units of `x`, or None for one that passes
            as it is.
        harmonics: `K`, how many waves to a period the fastest has.
        lower: for each coordinate the `l_i` at which its angle is zero, of no effect where there is no
            period; None is zero for all.

    Returns:
        A model without parameters: its params are an empty dict. It maps `x`, shape
        `(*batch, len(periods))`, to the coordinates that pass, then all cosines, then all sines, each
        ordered by coordinate and within it by `k`: with `n` periods in all, a last dimension of
        `len(periods) - n + 2 * n * harmonics`.

    Raises:
        TypeError: if `periods` or `lower` is no sequence of numbers, or `harmonics` no integer.
        ValueError: if no coordinate has a period, one is not positive, `harmonics` is not, or `lower` has
            another length; and, when applied, if `x` has another last dimension.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.sequential(nn.periodic_embedding((2.0, None), harmonics=3), nn.mlp((7, 32, 1)))
        >>> params = model.init(random.key(0), dtype=torch.float64)
        >>> left = torch.tensor([-1.0, 0.3], dtype=torch.float64)
        >>> right = torch.tensor([1.0, 0.3], dtype=torch.float64)
        >>> torch.allclose(model.apply(params, left), model.apply(params, right), rtol=0, atol=1e-14)
        True

    Source: Dong and Ni (2021), arXiv:2007.07442, section 2.2, for the exactness; they follow the waves with
    a layer of their own, which is the first of the network's here.
    """
    _check_periods(periods, lower)
    checks.integer(least=1, harmonics=harmonics)
    passing = [place for place, period in enumerate(periods) if period is None]
    starts = [0.0] * len(periods) if lower is None else [float(start) for start in lower]
    waves = [
        (place, starts[place], math.tau * multiple / period)
        for place, period in enumerate(periods)
        if period is not None
        for multiple in range(1, harmonics + 1)
    ]
    coordinates = len(periods)

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        placed(key, device)
        return {}

    def apply(params: Params, x: Float[Tensor, "*batch in"]) -> Float[Tensor, "*batch out"]:
        check_features(coordinates, x)
        # Slices, which keep the dimension: indices would be constants of the program.
        kept = [x[..., place : place + 1] for place in passing]
        turned = [(x[..., place : place + 1] - start) * rate for place, start, rate in waves]
        angles = torch.cat(turned, dim=-1)  # (*batch, waves)
        return torch.cat([*kept, torch.cos(angles), torch.sin(angles)], dim=-1)

    return Model(init, apply)


def _check_periods(periods: Sequence[float | None], lower: Sequence[float] | None) -> None:
    for name, values in (("periods", periods), ("lower", lower)):
        if values is not None and (isinstance(values, str) or not isinstance(values, Sequence)):
            must = "be a sequence with an entry for each coordinate"
            raise TypeError(checks.message(must, name, values, f"Try {name}=(1.0,)."))
    given = {f"periods[{place}]": period for place, period in enumerate(periods) if period is not None}
    if not given:
        must = "hold at least one period"
        raise ValueError(checks.message(must, "periods", periods, "Try periods=(1.0,)."))
    checks.positive(**given)
    if lower is None:
        return
    checks.finite(**{f"lower[{place}]": start for place, start in enumerate(lower)})
    if len(lower) != len(periods):
        must = f"have {len(periods)} entries, one for each of periods"
        remedy = f"Try lower={(0.0,) * len(periods)}."
        raise ValueError(checks.message(must, "lower", lower, remedy))
