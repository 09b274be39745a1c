"""A transformer that continues a series of states, each from those before it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, nn, random
from funcsci.nn import KeyValues, Model, Params
from funcsci.nn.activations import Activation
from funcsci.nn.initializers import Initializer
from funcsci.nn.model import placed
from funcsci.random import Key

POSITIONS = ("learned", "sinusoidal", "rotary")
"""How a state may know its place in the window."""


class Scaling(NamedTuple):
    """The units in which a model sees its states and gives its steps; plain numbers, one for each feature.

    Attributes:
        mean: of the states.
        std: their standard deviation.
        step: the standard deviation of the step from one state to the next.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    step: tuple[float, ...]

    @classmethod
    def of(cls, series: Float[Tensor, "time features"]) -> "Scaling":
        """Those of a series.

        Raises:
            ValueError: if the series has not two dimensions and three times, or a feature never changes.

        Example:
            >>> import torch
            >>> Scaling.of(torch.tensor([[0.0], [1.0], [0.0], [1.0]])).mean
            (0.5,)
        """
        if series.dim() != 2 or len(series) < 3:
            raise ValueError(
                f"series must have the shape (time, features) with three times at least. "
                f"Got shape {tuple(series.shape)}. Join trajectories by torch.cat."
            )
        found = cls(*(tuple(x.tolist()) for x in (series.mean(0), series.std(0), series.diff(dim=0).std(0))))
        flat = [
            place for place, size in enumerate(zip(found.std, found.step, strict=True)) if not min(size) > 0
        ]
        if flat:
            raise ValueError(
                f"series must change in every feature. Got one in which feature {flat[0]} does not, or has "
                "numbers that are not finite. Leave that feature out."
            )
        return found


class CausalTransformer(NamedTuple):
    """A model of a series of states, as pure functions.

    Attributes:
        init: `init(key, *, dtype=None, device=None) -> params`: `embed`, `positions` where they are learned,
            `stack` and `head`.
        apply: `apply(params, x) -> y`, the state after each one of `x`, both of shape `(*batch, time,
            features)`, from that one and those before it alone.
        next: `next(params, x)`, the state after the last one alone, shape `(*batch, features)`, for less.
        attention: `attention(params, x)`, what every layer looks at, shape `(layers, *batch, heads, time,
            time)`.
        start: `start(params, batch) -> past`, nothing seen yet, for the shape of the batch dimensions.
        extend: `extend(params, x, past) -> (y, past)`: the same as `apply` to the whole series, of which `x`
            are the next states, without working through the others again. Where there is a context, it is so
            until that is full; learned positions end there.
        context: how many states `apply` and `extend` see at most, the latest included; None: no end.
        window: how many states each layer looks back; None: all.
        features: numbers in a state.
    """

    init: Callable[..., Params]
    apply: Callable[[Params, Tensor], Tensor]
    next: Callable[[Params, Tensor], Tensor]
    attention: Callable[[Params, Tensor], Tensor]
    start: Callable[[Params, tuple[int, ...]], list[KeyValues]]
    extend: Callable[[Params, Tensor, list[KeyValues]], tuple[Tensor, list[KeyValues]]]
    context: int | None
    window: int | None
    features: int

    @property
    def model(self) -> Model:
        """`init` and `apply` alone."""
        return Model(self.init, self.apply)


def causal_transformer(
    features: int = 3,
    *,
    width: int = 64,
    heads: int = 4,
    layers: int = 2,
    hidden: int | None = None,
    context: int = 50,
    window: int | None = None,
    positions: str = "learned",
    activation: str | Activation = "gelu",
    gated: bool = False,
    norm: str | None = "layer",
    attention_scale: float = 1.0,
    weight_init: Initializer | None = None,
    scaling: Scaling | None = None,
    fused: bool = False,
) -> CausalTransformer:
    r"""A decoder-only transformer for continuous states, $x_{t+1} = x_t + s \odot f(z_t, z_{t-1}, \dots)$.

    $z = (x - \mu) / \sigma$ are the states in their own units, $s$ is the size of a step: the network learns
    the change, so that doing nothing is the worst that it does at first, and rounding harms least.

    Args:
        features: numbers in a state.
        width: of the network.
        heads: of each attention.
        layers: how many.
        hidden: width of the network at each position; None is `4 * width`.
        context: the most states that the model looks at, and those it is made for.
        window: how many states each layer looks back, itself not counted: banded attention, which needs
            rotary positions, has no end, and goes on for ever at the same cost. None: all of the context.
        positions: `"learned"`, `"sinusoidal"` or `"rotary"`.
        activation: of the network at each position.
        gated: whether that network has a gate; with the activation `"identity"` it is bilinear.
        norm: `"layer"`, `"rms"` or None, before each part and at the end.
        attention_scale: what the output map of each attention is multiplied with at first. A small one lets
            the networks begin, for states whose past says nothing new.
        weight_init: draws the weights of the embedding and of those networks; see `nn.feed_forward`.
        scaling: $\mu$, $\sigma$ and $s$; None: 0, 1 and 1.
        fused: whether attention is torch's kernel, which has one derivative and no forward mode.

    Returns:
        A `CausalTransformer`.

    Raises:
        TypeError: if an argument is of the wrong kind.
        ValueError: if a number is out of its range, the heads do not divide the width, the scaling has other
            features, or a window comes without rotary positions; when applied, if `x` has other features, or
            more states than the context.

    Example:
        >>> import torch
        >>> from funcsci import models, random
        >>> model = models.causal_transformer(3, width=16, layers=2)
        >>> params = model.init(random.key(0))
        >>> model.apply(params, torch.zeros(8, 50, 3)).shape
        torch.Size([8, 50, 3])

    Source: Radford et al. (2018), "Improving language understanding by generative pre-training".
    """
    checks.integer(least=1, features=features, context=context)
    checks.one_of(POSITIONS, positions=positions)
    checks.non_negative(attention_scale=attention_scale)
    if window is not None:
        checks.integer(least=0, window=window)
        if positions != "rotary":
            must = "be 'rotary' where there is a window: the others end with the context"
            raise ValueError(checks.message(must, "positions", positions, "Try positions='rotary'."))
    scale = Scaling((0.0,) * features, (1.0,) * features, (1.0,) * features) if scaling is None else scaling
    _check_scaling(features, scale)
    embed, head = nn.linear(features, width, weight_init=weight_init), nn.linear(width, features)
    learned = nn.learned_positions(context, width) if positions == "learned" else None
    stack = nn.transformer_stack(
        width, heads, layers, hidden, activation=activation, gated=gated, norm=norm, norm_first=True,
        rotary=positions == "rotary", weight_init=weight_init,
    )  # fmt: skip
    limit = context if window is None else None

    def init(
        key: Key, *, dtype: torch.dtype | None = None, device: str | torch.device | None = None
    ) -> Params:
        keys = random.split(placed(key, device), 4)
        made = stack.init(keys[1], dtype=dtype)
        for layer in made["layers"]:
            layer["self_attn"]["out_proj"] = {
                name: attention_scale * leaf for name, leaf in layer["self_attn"]["out_proj"].items()
            }
        return {
            "embed": embed.init(keys[0], dtype=dtype),
            **({} if learned is None else {"positions": learned.init(keys[2], dtype=dtype)}),
            "stack": made,
            "head": head.init(keys[3], dtype=dtype),
        }

    def embedded(params: Params, x: Tensor, first: int | Tensor) -> Tensor:
        mean, std, _ = _units(scale, x)
        inner = embed.apply(params["embed"], (x - mean) / std)
        if learned is not None:
            return learned.apply(params["positions"], inner, first)
        if positions == "sinusoidal":
            rows = first + torch.arange(x.shape[-2], device=x.device)
            return inner + nn.sinusoidal_positions(rows, width, dtype=inner.dtype)
        return inner

    def stepped(params: Params, x: Tensor, inner: Tensor) -> Tensor:
        return x + _units(scale, x)[2] * head.apply(params["head"], inner)

    def seen(params: Params, x: Tensor, **how: Any) -> Any:
        _check_states(features, limit, x)
        mask = nn.causal_mask(x.shape[-2], window=window, device=x.device)
        return stack.apply(params["stack"], embedded(params, x, 0), mask=mask, **how)

    def apply(params: Params, x: Float[Tensor, "*batch time features"]) -> Tensor:
        return stepped(params, x, seen(params, x, fused=fused).output)

    def next_state(params: Params, x: Float[Tensor, "*batch time features"]) -> Tensor:
        return stepped(params, x[..., -1:, :], seen(params, x, fused=fused, last=1).output).squeeze(-2)

    def attention(params: Params, x: Float[Tensor, "*batch time features"]) -> Tensor:
        weights: Tensor = seen(params, x, return_weights=True).weights
        return weights

    def start(params: Params, batch: tuple[int, ...]) -> list[KeyValues]:
        back = context - 1 if window is None else window
        past: list[KeyValues] = stack.start(params["stack"], batch, back)
        return past

    def extend(
        params: Params, x: Float[Tensor, "*batch time features"], past: list[KeyValues]
    ) -> tuple[Tensor, list[KeyValues]]:
        _check_states(features, limit, x)
        inner, rolled = stack.extend(params["stack"], embedded(params, x, past[0].seen), past)
        return stepped(params, x, inner), rolled

    return CausalTransformer(init, apply, next_state, attention, start, extend, limit, window, features)


def _units(scale: Scaling, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    # Made on the CPU and moved: inside a transform torch.tensor cannot make a tensor on another device.
    mean, std, step = (torch.tensor(part, dtype=x.dtype, device="cpu").to(x.device) for part in scale)
    return mean, std, step


def _check_scaling(features: int, scale: Scaling) -> None:
    for name, values in scale._asdict().items():
        if len(values) != features:
            must = f"have {features} entries, one for each feature"
            raise ValueError(checks.message(must, f"scaling.{name}", values, "Try Scaling.of(series)."))
        checks.finite(**{f"scaling.{name}[{place}]": value for place, value in enumerate(values)})
        if name != "mean":
            checks.positive(**{f"scaling.{name}[{place}]": value for place, value in enumerate(values)})


def _check_states(features: int, limit: int | None, x: Tensor) -> None:
    if x.dim() < 2 or x.shape[-1] != features or not x.shape[-2]:
        raise ValueError(
            f"x must have the shape (..., time, {features}) with one time at least. "
            f"Got shape {tuple(x.shape)}. One state is a series too: x[None]."
        )
    if limit is not None and x.shape[-2] > limit:
        raise ValueError(
            f"x must have at most {limit} states, the model's context. Got {x.shape[-2]}, shape "
            f"{tuple(x.shape)}. Cut it, x[..., -{limit}:, :], or make the context longer."
        )
