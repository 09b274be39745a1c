"""What evenly spread points miss: the data of equations, probed densely before any point is chosen."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import vmap

from funcsci import random
from funcsci.pinn import sampling
from funcsci.pinn.equations import Equations
from funcsci.pinn.network import Focus
from funcsci.pinn.timescales import slopes

LINE, BOX = 2**17, 2**16
"""Points at which the data are probed, on a line and in a box."""
COARSE = 128
"""One of so many points of a line is kept; what these do not tell of the others is missed."""
MISSED = 0.02
"""Something is missed where data differ by this share of their largest from what coarse points tell."""
EVERYWHERE = 0.2
"""What is missed on more than this share of the domain is no place of its own."""
INSIDE = 0.1
"""The smallest distance from such a place that matters, as a share of its half length."""
MOST = 8
"""The most places."""
CONCENTRATED = 0.02
"""Data are concentrated if the square of their mean is below this share of their mean square."""


def foci(equations: Equations) -> tuple[Focus, ...]:
    """The places of a line at which coefficients or sources change faster than evenly spread points tell."""
    if not equations.explicit or equations.domain.dimensions > 1:
        return ()
    s = (torch.arange(LINE, dtype=torch.float64) + 0.5) / LINE
    data = _data(equations, equations.domain.unscaled(s[:, None]))
    largest = data.abs().amax(0)
    coarse = data[COARSE // 2 :: COARSE]
    share = ((torch.arange(LINE) - COARSE // 2) / COARSE).clamp(0, len(coarse) - 1)
    left = share.floor().long().clamp(max=len(coarse) - 2)
    told = torch.lerp(coarse[left], coarse[left + 1], (share - left)[:, None].to(coarse))
    missed = ((data - told).abs() > MISSED * largest).any(1)
    if not bool(missed.any()) or float(missed.double().mean()) > EVERYWHERE:
        return ()
    places = missed.nonzero()[:, 0]
    groups = torch.tensor_split(places, (places.diff() > 2 * COARSE).nonzero()[:, 0] + 1)
    groups = tuple(sorted(groups, key=len, reverse=True))[:MOST]
    return tuple(
        Focus(float(2 * s[group].mean() - 1), max(INSIDE * len(group), 1.0) / LINE) for group in groups
    )


def concentrated(equations: Equations) -> Float[Tensor, "n dimensions"] | None:
    """Points of a box, more of them where the data are larger; None where these are spread out."""
    dimensions = equations.domain.dimensions
    if not equations.explicit or dimensions == 1:
        return None
    key = random.key(0)
    x = equations.domain.unscaled(sampling.sample("sobol", key, BOX, dimensions))
    data = _data(equations, x).abs()
    sizes = (data / data.amax(0).clamp(min=torch.finfo(data.dtype).tiny)).amax(1)
    if float(sizes.mean()) ** 2 > CONCENTRATED * float(sizes.square().mean()):
        return None
    uniform = random.uniform(random.fold_in(key, 1), (BOX,), dtype=torch.float64)
    # The largest of log-weights with Gumbel's noise are a sample without replacement.
    chosen = (torch.log(sizes) - torch.log(-torch.log(uniform))).topk(BOX // 8).indices
    return x[chosen]


def _data(equations: Equations, x: Float[Tensor, "n dimensions"]) -> Float[Tensor, "n data"]:
    """The residuals for fields and derivatives that are zero, and their slopes by each of these."""

    def at_point(x: Tensor) -> Tensor:
        values = dict.fromkeys(equations.requests, x.new_zeros(()))
        return torch.cat([equations.residuals(values, x), slopes(equations, values, x).reshape(-1)])

    with torch.no_grad():
        found = vmap(at_point)(x)
    return torch.where(torch.isfinite(found), found, 0.0)
