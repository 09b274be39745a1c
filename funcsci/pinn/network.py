"""The network of a trial function: features of a point, and a linear layer for each field."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from funcsci import checks, nn, random
from funcsci.nn import ACTIVATIONS
from funcsci.nn.activations import Activation
from funcsci.nn.model import Model
from funcsci.random import Key
from funcsci.tree import Params

FIRST_OMEGA, OMEGA = 10.0, 10.0
"""Frequencies of a sine network in its first and its other layers, on a domain of length 2."""
LAYER_SHARE = 0.25
"""The share of features, and of points, that look at a place where something happens on a small scale."""
MOST_GRADED = 0.6
"""The share that looks at all such places together."""
SPARSE_FROM = 3
"""From so many inputs on, some features look at one or two of them only."""
FAST = 10.0
"""A transient that decays by more than this, in exponents over the domain, gets features of its own."""
ACTIVATION_NAMES = (*ACTIVATIONS, "siren", "waves")


class Focus(NamedTuple):
    """A place of a line where something happens on a small scale, with the domain scaled to [-1, 1].

    Attributes:
        place: where.
        reach: the smallest distance from it that matters.
    """

    place: float
    reach: float

    def near(self, distance: Tensor, side: Tensor) -> Tensor:
        """Places at distances to either side, kept in the domain."""
        place = self.place + torch.where(side > 0, distance, -distance)
        return torch.where(place.abs() > 1, 2 * self.place - place, place).clamp(-1.0, 1.0)


class NetworkSettings(NamedTuple):
    """How a network is built; numbers and names only, so that a file can hold them.

    Attributes:
        hidden: widths of the hidden layers.
        activation: a name in `nn.ACTIVATIONS`, `"siren"` or `"waves"`.
        fourier_features: how many random frequencies the first layer sees; 0 is none.
        fourier_scale: their standard deviation, in waves per half of the domain.
        harmonics: sines and cosines of each periodic coordinate.
    """

    hidden: tuple[int, ...]
    activation: str = "tanh"
    fourier_features: int = 0
    fourier_scale: float = 1.0
    harmonics: int = 1


class Network(NamedTuple):
    """A network that is linear in its last layer.

    Attributes:
        init: `init(key, *, dtype, device, scales=None, foci=()) -> params`, the last two as in `spread`.
        features: `features(params, s)`, what the last layer sees at a scaled point, shape `(width + 1,)`;
            the last one is constant.
        outputs: how many numbers the network returns.
        spreads: whether its first layer is drawn by `spread` or `waves`, with slopes that can be chosen.
    """

    init: Any
    features: Any
    outputs: int
    spreads: bool

    def apply(self, params: Params, s: Float[Tensor, "dimensions"]) -> Float[Tensor, "outputs"]:
        """The network at a scaled point."""
        last = params["layers"][-1]
        return F.linear(self.features(params, s)[:-1], last["weight"], last["bias"])


def check_settings(settings: NetworkSettings, periodic: Sequence[int]) -> NetworkSettings:
    """The settings, with plain integers for the widths.

    Args:
        settings: of a network.
        periodic: places of the coordinates in which it has the domain's period.

    Raises:
        TypeError: if a setting has the wrong type.
        ValueError: if a width or a number is not positive, the activation is unknown, or a setting would have
            no effect.
    """
    if settings.hidden:
        checks.widths(hidden=settings.hidden)
    checks.one_of(ACTIVATION_NAMES, activation=settings.activation)
    checks.integer(fourier_features=settings.fourier_features, least=0)
    checks.positive(fourier_scale=settings.fourier_scale)
    checks.integer(harmonics=settings.harmonics, least=1)
    if settings.activation in ("siren", "waves") and settings.fourier_features:
        must = "be 0 for a network of sines, which has frequencies of its own"
        raise ValueError(
            checks.message(must, "fourier_features", settings.fourier_features, "Try activation='tanh'.")
        )
    if settings.activation == "waves" and settings.harmonics > 1:
        must = "be 1 for waves, which have numbers of their own"
        raise ValueError(checks.message(must, "harmonics", settings.harmonics, "Try activation='tanh'."))
    if settings.harmonics > 1 and not periodic:
        must = "be 1 where no coordinate is periodic"
        remedy = "Leave it out, or add pinn.periodic."
        raise ValueError(checks.message(must, "harmonics", settings.harmonics, remedy))
    if settings.fourier_scale != 1 and not settings.fourier_features:
        must = "be left out where there are no Fourier features"
        remedy = "Try fourier_features=64."
        raise ValueError(checks.message(must, "fourier_scale", settings.fourier_scale, remedy))
    return settings._replace(hidden=tuple(int(width) for width in settings.hidden))


def network(
    settings: NetworkSettings, dimensions: int, outputs: int, periodic: Sequence[int] = ()
) -> Network:
    """A network of a point scaled to [-1, 1].

    Args:
        settings: its layers.
        dimensions: coordinates of a point.
        outputs: the number of fields.
        periodic: places of the coordinates in which it has the domain's period.
    """
    embeddings: list[Model] = []
    inputs = dimensions
    whole = sorted(periodic) if settings.activation == "waves" else []
    if periodic and not whole:
        periods = [2.0 if place in periodic else None for place in range(dimensions)]
        embeddings.append(nn.periodic_embedding(periods, harmonics=settings.harmonics))
        inputs = dimensions + (2 * settings.harmonics - 1) * len(periodic)
    if settings.fourier_features:
        embeddings.append(
            nn.fourier_features(inputs, settings.fourier_features, scale=settings.fourier_scale)
        )
        inputs = 2 * settings.fourier_features
    widths = (inputs, *settings.hidden, outputs)
    siren = settings.activation == "siren"
    spreads = not siren and not settings.fourier_features
    name = "sin" if settings.activation == "waves" else settings.activation
    layers = nn.siren(widths, omega0=FIRST_OMEGA, omega=OMEGA) if siren else nn.mlp(widths, activation=name)
    sigma: Activation = torch.sin if siren else ACTIVATIONS[name]

    def init(key: Key, *, scales: Tensor | None = None, foci: Sequence[Focus] = (), **where: Any) -> Params:
        keys = random.split(key, 3)
        params = layers.init(keys[0], **where)
        if embeddings:
            made = [one.init(random.fold_in(keys[2], place), **where) for place, one in enumerate(embeddings)]
            params = {"embeddings": made, **params}
        if not spreads:
            return params
        first, *others = params["layers"]
        if settings.activation == "waves":
            return {**params, "layers": [waves(keys[1], first, scales, whole), *others]}
        return {**params, "layers": [spread(keys[1], first, scales, foci), *others]}

    def features(params: Params, s: Float[Tensor, "dimensions"]) -> Float[Tensor, "width"]:
        for place, one in enumerate(embeddings):
            s = one.apply(params["embeddings"][place], s)
        for place, layer in enumerate(params["layers"][:-1]):
            weight = layer["weight"]
            if whole and not place:  # rounded, so that they have the period whatever trains them
                here = torch.tensor([index in whole for index in range(inputs)]).to(weight.device)
                weight = torch.where(here, math.pi * torch.round(weight), weight)
            s = F.linear(s, weight, layer["bias"])
            s = sigma((OMEGA if place else FIRST_OMEGA) * s if siren else s)
        return torch.cat([s, torch.ones_like(s[:1])])

    return Network(init, features, outputs, spreads)


def spread(key: Key, layer: Params, scales: Tensor | None, foci: Sequence[Focus] = ()) -> Params:
    r"""A first layer that resolves the domain: features $\sigma(w \cdot (s - c))$ of many slopes everywhere.

    Centres $c$ are uniform in the box. A slope $w$ has a random direction and a length uniform up to one,
    times `scales`; from three inputs on, a third of them looks at one input each, and a third at two, since
    most functions of many coordinates are sums of functions of few. Where something happens to a function of
    one coordinate on a small scale, a quarter of the features is graded toward each such place: at distances
    between that scale and the interval's length, log-uniform, with slopes to match.

    Args:
        key: the random key.
        layer: gives the shapes.
        scales: the largest slope along each input, on [-1, 1]; None is 2.
        foci: the places of a line toward which features are graded.

    Source: Dong and Li (2021), arXiv:2012.02895, on the range of random coefficients; Dong and Yang (2022),
    arXiv:2110.14121, on choosing it; Hashemi, Schaeffer, Shi, Topcu, Tran and Ward (2023), arXiv:2103.03191,
    on sparse features.
    """
    weight = layer["weight"]
    width, inputs = weight.shape
    keys = random.split(key, 7)

    def uniform(place: int, *shape: int, low: float = 0.0) -> Tensor:
        drawn = random.uniform(keys[place], shape, dtype=weight.dtype, minval=low, maxval=1.0)
        return drawn.to(weight.device)

    direction = random.normal(keys[0], (width, inputs), dtype=weight.dtype).to(weight.device)
    if inputs >= SPARSE_FROM:
        direction = direction * sparse(keys[6], width, inputs).to(weight)
    direction = direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True)
    centre = uniform(2, width, inputs, low=-1.0)
    slope = uniform(1, width, 1) * direction * (2.0 if scales is None else scales)
    start = 0
    for focus, graded in zip(foci, shares(width, foci) if inputs == 1 else (), strict=False):
        here = slice(start, start + graded)
        reach = distances(focus, uniform(3, width, 1)[here])
        near = focus.near(reach * uniform(4, width, 1)[here], slope[here])
        steep = (1 + 4 * uniform(5, width, 1)[here]) / reach
        slope = torch.cat([slope[:start], torch.sign(slope[here]) * steep, slope[start + graded :]])
        centre = torch.cat([centre[:start], near, centre[start + graded :]])
        start += graded
    return {"weight": slope, "bias": -(slope * centre).sum(1)}


def waves(key: Key, layer: Params, scales: Tensor | None, whole: Sequence[int]) -> Params:
    r"""A first layer of plane waves $\sin(w \cdot s + b)$ that fit the periods of some coordinates.

    They come in pairs, a sine and a cosine of one $w$. Along a periodic coordinate the weight counts waves in
    the period, a whole number. Along the first such coordinate there are more small numbers than large ones,
    since long waves carry most of a function: their density falls linearly, and where pairs are few some of
    the largest are left out. Weights along the other coordinates are spread evenly, of either sign. If there
    are no others, every number occurs alike.

    Args:
        key: the random key.
        layer: gives the shapes.
        scales: the largest number of waves, or the largest weight, along each input; None is 2.
        whole: the places of the periodic coordinates.

    Source: Kuipers and Niederreiter (1974), Uniform Distribution of Sequences (multiples of one vector).
    """
    weight = layer["weight"]
    width, inputs = weight.shape
    keys = random.split(key, 2)
    pairs = (width + 1) // 2
    place = torch.arange(pairs, dtype=weight.dtype, device=weight.device)
    start = random.uniform(keys[0], (inputs,), dtype=weight.dtype).to(weight.device)
    step, rising = _even_step(inputs), (place + 0.5) / pairs
    if inputs > 1:
        rising = 1 - torch.sqrt(1 - rising)
    columns = []
    for index, most in enumerate([2.0] * inputs if scales is None else scales.tolist()):
        share = 2 * torch.frac(start[index] + step ** (index + 1) * place) - 1
        if index in whole[:1]:
            columns.append(torch.floor(rising * (round(most) + 1)))
        else:
            columns.append(torch.round(share * (round(most) + 0.5)) if index in whole else share * most)
    phase = random.uniform(keys[1], (pairs,), dtype=weight.dtype, maxval=2 * math.pi).to(weight.device)
    both = torch.cat([phase, phase + math.pi / 2])
    return {"weight": torch.stack(columns, 1).repeat(2, 1)[:width], "bias": both[:width]}


def _even_step(dimensions: int) -> float:
    r"""$1 / r$, where the multiples of $(r^{-1}, ..., r^{-d})$, modulo one, fill the unit box evenly.

    $r$ is the root of $x^{d + 1} = x + 1$ above one; for one coordinate the golden ratio.
    """
    root = 1.0
    for _ in range(64):
        root = (1 + root) ** (1 / (dimensions + 1))
    return 1 / root


def sparse(key: Key, width: int, inputs: int) -> Tensor:
    """Which inputs each feature looks at, shape `(width, inputs)`: one, two or all of them, in turn."""
    ranks = random.uniform(key, (width, inputs), dtype=torch.float64).argsort(1).argsort(1)
    most = torch.tensor((1, 2, inputs)).to(ranks.device).repeat(width // 3 + 1)[:width]
    return ranks < most[:, None]


def shares(count: int, foci: Sequence[Focus]) -> tuple[int, ...]:
    """How many of so many features or points look at each place: a quarter at each, most of them at all."""
    return (int(min(LAYER_SHARE, MOST_GRADED / max(len(foci), 1)) * count),) * len(foci)


def distances(focus: Focus, share: Tensor) -> Tensor:
    """Distances from a place on [-1, 1]: from 2 (share 0) down to its reach (share 1)."""
    return 2 * (focus.reach / 2) ** share
