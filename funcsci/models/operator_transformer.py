"""A transformer that learns an operator: what becomes of a whole function, from examples."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, nn, random
from funcsci.nn import Attended, Model, Params
from funcsci.nn.model import check_length, placed
from funcsci.random import Key

NEAREST = 8.0
"""How strongly the first head looks near itself at the start; each further one a quarter of that."""


class OperatorTransformer(NamedTuple):
    """A map of functions on a circle to functions on a circle, as pure functions.

    Its params are `embed` and `head`, of `nn.linear`, and `layers`, each with `project` and `out`, of
    `nn.linear`, and `nearness`, shape `(heads, points)`.

    Attributes:
        init: `init(key, *, dtype=None, device=None) -> params`.
        apply: `apply(params, u) -> v`, both of shape `(*batch, points)`.
        attention: `attention(params, u)` gives the weights of every layer, in a list, each of shape `(*batch,
            heads, points, points)`: the share that the point of the last dimension has in what the point
            before it takes up.
    """

    init: Callable[..., Params]
    apply: Callable[[Params, Tensor], Tensor]
    attention: Callable[[Params, Tensor], list[Tensor]]

    @property
    def model(self) -> Model:
        """The first two, for what takes a `Model`."""
        return Model(self.init, self.apply)


def operator_transformer(
    points: int = 64, width: int = 16, heads: int = 4, layers: int = 2
) -> OperatorTransformer:
    r"""Every point looks at the function from its own place, and attends to the others.

    $h_i = E\,(u_i, u_{i+1}, \dots, u_{i+n-1}) + b$ with the indices modulo $n$; then layers, $h_i' = h_i +
    W^O \sum_j \mathrm{softmax}_j(q_i \cdot k_j / \sqrt d + r_{j - i})\, v_j$ with queries, keys and values
    affine in $h$ and a learned number $r$ for each head and each way around the circle; and $v_i = c^\top h_i
    + d$.

    There are no positions but those relative to a point, so a shift of `u` by whole points shifts `v` as
    much, to round-off: what holds for an equation with constant coefficients on a circle need not be learned.
    Nothing normalises, for the size of a function matters to an equation that is not linear.

    Args:
        points: $n$, at equal distances on one period.
        width: numbers at each point, in every layer.
        heads: of the attention.
        layers: how many.

    Returns:
        An `OperatorTransformer`.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive, or the heads do not divide the width; when applied, if `u` has
            another number of points.

    Example:
        >>> model = operator_transformer()
        >>> params = model.init(random.key(0))
        >>> u = random.normal(random.key(1), (2, 64))
        >>> v = model.apply(params, u)
        >>> v.shape, torch.allclose(model.apply(params, u.roll(5, -1)), v.roll(5, -1), atol=1e-5)
        (torch.Size([2, 64]), True)
        >>> model.attention(params, u)[0].shape
        torch.Size([2, 4, 64, 64])

    Source: Vaswani et al. (2017), arXiv:1706.03762, for the attention; Shaw et al. (2018), arXiv:1803.02155,
        and Press et al. (2021), arXiv:2108.12409, for positions relative to each other, as numbers added to
        the scores.
    """
    checks.integer(least=1, points=points, width=width, heads=heads, layers=layers)
    if width % heads:
        fitting = max(count for count in range(1, heads + 1) if width % count == 0)
        raise ValueError(checks.message(f"divide the width {width}", "heads", heads, f"Try heads={fitting}."))
    embed, head = nn.linear(points, width), nn.linear(width, 1)
    project, out = nn.linear(width, 3 * width), nn.linear(width, width)

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        first, last, *others = random.split(placed(key, device), 2 + layers)
        return {
            "embed": embed.init(first, dtype=dtype),
            "layers": [layer(one, dtype) for one in others],
            "head": head.init(last, dtype=dtype),
        }

    def layer(key: Key, dtype: torch.dtype | None) -> Params:
        inward, outward = random.split(key)
        made = {"project": project.init(inward, dtype=dtype), "out": out.init(outward, dtype=dtype)}
        weight = made["out"]["weight"]
        around = torch.arange(points, dtype=weight.dtype, device=weight.device) / points
        strength = NEAREST * 0.25 ** torch.arange(heads, dtype=weight.dtype, device=weight.device)
        return {**made, "nearness": -strength[:, None] * torch.sin(torch.pi * around).square()}

    def attend(params: Params, x: Tensor, return_weights: bool) -> Attended:
        """What a layer adds; queries, keys and values have the shape `(*batch, heads, points, d)`."""
        apart = project.apply(params["project"], x).reshape(*x.shape[:-1], 3, heads, -1)
        query, key, value = apart.transpose(-4, -2).unbind(-3)
        found = nn.attention(
            query, key, value, mask=_on_the_circle(params["nearness"]), return_weights=return_weights
        )
        joined = found.output.transpose(-3, -2).flatten(-2)
        return Attended(out.apply(params["out"], joined), found.weights)

    def through(params: Params, u: Tensor, return_weights: bool) -> tuple[Tensor, list[Attended]]:
        _check_points(points, u)
        check_length(layers, **{"params['layers']": params["layers"]})
        x = embed.apply(params["embed"], _from_each_point(u))  # (*batch, points, width)
        found = []
        for one in params["layers"]:
            found.append(attend(one, x, return_weights))
            x = x + found[-1].output
        return x, found

    def apply(params: Params, u: Float[Tensor, "*batch points"]) -> Float[Tensor, "*batch points"]:
        x, _ = through(params, u, return_weights=False)
        return head.apply(params["head"], x).squeeze(-1)

    def attention(params: Params, u: Float[Tensor, "*batch points"]) -> list[Tensor]:
        _, found = through(params, u, return_weights=True)
        return [one.weights for one in found if one.weights is not None]

    return OperatorTransformer(init, apply, attention)


def _from_each_point(u: Tensor) -> Tensor:
    """Row `i` is the function from point `i` on, once around, shape `(*batch, points, points)`."""
    points = u.shape[-1]
    return torch.cat([u, u[..., :-1]], -1).unfold(-1, points, 1)


def _on_the_circle(nearness: Tensor) -> Tensor:
    """`nearness[..., j - i]` in row `i` and column `j`, the indices modulo their number."""
    points = nearness.shape[-1]
    place = torch.arange(points, device=nearness.device)
    way = (place - place[:, None]).remainder(points)
    return nearness.index_select(-1, way.flatten()).reshape(*nearness.shape, points)


def _check_points(points: int, u: Tensor) -> None:
    if not isinstance(u, Tensor):
        raise TypeError(checks.message("be a tensor", "u", u, "Try torch.as_tensor(u)."))
    if u.dim() == 0 or u.shape[-1] != points:
        raise ValueError(
            f"u must have {points} points in its last dimension. Got u of shape {tuple(u.shape)}. "
            f"Pass u of shape (..., {points}), or make the model for another number of points."
        )
