"""Positions: what tells attention, which does not know any order, where each of its inputs stands."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from funcsci import checks
from funcsci.nn import initializers
from funcsci.nn.model import Model, Params, placed
from funcsci.random import Key


def sinusoidal_positions(
    positions: int | Int[Tensor, "positions"],
    width: int,
    *,
    longest: float = 10_000.0,
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
) -> Float[Tensor, "positions width"]:
    r"""Waves that tell positions apart, $\sin(t / L^{2 i / w})$ and $\cos(t / L^{2 i / w})$ in turn.

    Args:
        positions: how many, $t = 0, 1, \dots$, or the $t$ themselves.
        width: $w$, how many numbers for each; even.
        longest: $L$; the wavelengths go from $2 \pi$ to nearly $2 \pi L$ positions.
        dtype: of the result; None is torch's default.
        device: where it goes; None is where the positions are.

    Returns:
        What is added to the inputs of the first layer.

    Raises:
        TypeError: if a number is of the wrong kind.
        ValueError: if one is not positive, or the width is odd.

    Example:
        >>> sinusoidal_positions(2, 2)
        tensor([[0.0000, 1.0000],
                [0.8415, 0.5403]])

    Source: Vaswani et al. (2017), arXiv:1706.03762, section 3.5.
    """
    checks.integer(least=1, width=width)
    checks.positive(longest=longest)
    if width % 2:
        must = "be even, a sine and a cosine for each wavelength"
        raise ValueError(checks.message(must, "width", width, f"Try width={width + 1}."))
    dtype = torch.get_default_dtype() if dtype is None else dtype
    checks.floating(dtype=dtype)
    if not isinstance(positions, Tensor):
        checks.integer(least=1, positions=positions)
        positions = torch.arange(positions, device=device)
    angles = _angles(positions, width // 2, longest)
    return torch.stack([torch.sin(angles), torch.cos(angles)], -1).flatten(-2).to(dtype=dtype, device=device)


def learned_positions(positions: int, width: int) -> Model:
    """A vector for each position, which is learned and added to the input there.

    Args:
        positions: how many there are at most.
        width: size of the last dimension of `x`.

    Returns:
        A model whose params are `weight`, shape `(positions, width)`, normal with a standard deviation of
        0.02. It adds its first rows to `x`, shape `(*batch, positions, width)`, or those from `first` on,
        which `apply` takes as an optional third argument, a number or an integer tensor of shape ().

    Raises:
        TypeError: if a number is no integer.
        ValueError: if it is not positive; when applied, if `x` has more positions or another width.

    Example:
        >>> import torch
        >>> from funcsci import nn, random
        >>> model = nn.learned_positions(50, 16)
        >>> model.apply(model.init(random.key(0)), torch.zeros(2, 10, 16)).shape
        torch.Size([2, 10, 16])

    Source: Gehring et al. (2017), arXiv:1705.03122, section 3.1.
    """
    checks.integer(least=1, positions=positions, width=width)
    draw = initializers.normal(std=0.02)

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        return {"weight": draw(placed(key, device), (positions, width), dtype=dtype)}

    def apply(
        params: Params, x: Float[Tensor, "*batch there width"], first: int | Tensor = 0
    ) -> Float[Tensor, "*batch there width"]:
        _check_rows(positions, width, x)
        rows = first + torch.arange(x.shape[-2], device=x.device)
        weight: Tensor = params["weight"]
        return x + weight.index_select(0, rows)

    return Model(init, apply)


def rotary_positions(
    x: Float[Tensor, "*batch positions width"], *, first: int = 0, longest: float = 10_000.0
) -> Float[Tensor, "*batch positions width"]:
    r"""Queries or keys turned by their positions, so that their product depends on the distance alone.

    The entries $i$ and $i + w / 2$ are turned as one point of a plane by the angle $t / L^{2 i / w}$:
    $\langle R_s q, R_t k \rangle = \langle q, R_{t - s} k \rangle$.

    Args:
        x: queries or keys, with an even last dimension, $w$.
        first: the position of the first of them; the others follow.
        longest: $L$; the wavelengths go from $2 \pi$ to nearly $2 \pi L$ positions.

    Returns:
        The turned vectors, of the same lengths.

    Raises:
        TypeError: if a number is of the wrong kind.
        ValueError: if the last dimension is odd, `first` is negative, or `longest` is not positive.

    Example:
        >>> import torch
        >>> rotary_positions(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
        tensor([[1.0000, 0.0000],
                [0.5403, 0.8415]])

    Source: Su et al. (2021), arXiv:2104.09864, equation 34.

    Differs from: the paper in which entries make a pair, $i$ and $i + w / 2$ instead of neighbours; the
        columns of the maps that make queries and keys may be in any order.
    """
    checks.integer(least=0, first=first)
    checks.positive(longest=longest)
    if x.shape[-1] % 2:
        raise ValueError(
            f"x must have an even last dimension, two entries for each angle. Got shape {tuple(x.shape)}. "
            "Choose a width that is an even multiple of the heads."
        )
    positions = first + torch.arange(x.shape[-2], device=x.device)
    angles = _angles(positions, x.shape[-1] // 2, longest)
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    left, right = x.chunk(2, -1)
    return torch.cat([left * cosine - right * sine, right * cosine + left * sine], -1)


def _angles(positions: Tensor, waves: int, longest: float) -> Tensor:
    """The angle of each wave at each position, in float64 whatever is made of it."""
    rates = longest ** (-torch.arange(waves, dtype=torch.float64, device=positions.device) / waves)
    return positions[:, None] * rates


def _check_rows(positions: int, width: int, x: Tensor) -> None:
    if x.dim() < 2 or x.shape[-1] != width:
        raise ValueError(
            f"x must have the shape (..., positions, {width}). Got x of shape {tuple(x.shape)}. "
            "Choose the width of learned_positions to match."
        )
    if x.shape[-2] > positions:
        raise ValueError(
            f"x must have at most {positions} positions. Got {x.shape[-2]}, shape {tuple(x.shape)}. "
            f"Cut it, x[..., -{positions}:, :], or make the model longer."
        )
