"""The inverse error function, by the polynomials that XLA takes, since JAX's numbers are the reference.

torch's own is off from them by 2e-5 (float32) and 1e-10 (float64) in the tails, where u**2 is rounded.

Source: Giles (2010), Approximating the erfinv function, GPU Computing Gems, volume 2; the coefficients for
float64 are those of his code, as XLA's ErfInv64 has them.
"""

import math
from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

# The highest power first. In float32 for w < 5 and the rest; in float64 for w < 6.25, w < 16 and the rest.
# fmt: off
_CENTRE_32 = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
    -0.00417768164, 0.246640727, 1.50140941,
)
_TAIL_32 = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
    0.00943887047, 1.00167406, 2.83297682,
)
_CENTRE_64 = (
    -3.64441206401782e-21, -1.6850591381820166e-19, 1.28584807152564e-18, 1.1157877678025181e-17,
    -1.333171662854621e-16, 2.0972767875968562e-17, 6.637638134358324e-15, -4.054566272975207e-14,
    -8.151934197605472e-14, 2.6335093153082323e-12, -1.2975133253453532e-11, -5.415412054294628e-11,
    1.0512122733215323e-09, -4.112633980346984e-09, -2.9070369957882005e-08, 4.2347877827932404e-07,
    -1.3654692000834679e-06, -1.3882523362786469e-05, 0.00018673420803405714, -0.000740702534166267,
    -0.006033670871430149, 0.24015818242558962, 1.6536545626831027,
)
_MIDDLE_64 = (
    2.2137376921775787e-09, 9.075656193888539e-08, -2.7517406297064545e-07, 1.8239629214389228e-08,
    1.5027403968909828e-06, -4.013867526981546e-06, 2.9234449089955446e-06, 1.2475304481671779e-05,
    -4.7318229009055734e-05, 6.828485145957318e-05, 2.4031110387097894e-05, -0.0003550375203628475,
    0.0009532893797373805, -0.0016882755560235047, 0.002491442096107851, -0.003751208507569241,
    0.005370914553590064, 1.0052589676941592, 3.0838856104922208,
)
_TAIL_64 = (
    -2.7109920616438573e-11, -2.555641816996525e-10, 1.5076572693500548e-09, -3.789465440126737e-09,
    7.61570120807834e-09, -1.496002662714924e-08, 2.914795345090108e-08, -6.771199775845234e-08,
    2.2900482228026655e-07, -9.9298272942317e-07, 4.526062597223154e-06, -1.968177810553167e-05,
    7.599527703001776e-05, -0.00021503011930044477, -0.00013871931833623122, 1.0103004648645344,
    4.849906401408584,
)
# fmt: on


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    start = coefficients[0] * x + coefficients[1]
    return reduce(lambda value, coefficient: value * x + coefficient, coefficients[2:], start)


def inverse_error(u: Tensor) -> Tensor:
    """erfinv(u) for u in [-1, 1], in float32 or float64: u times a polynomial in w = -log(1 - u**2)."""
    inside = u.abs() < 1
    v = torch.where(inside, u, 0)
    w = -torch.log1p(-v * v)
    # Clamped below where its branch begins, for sqrt has no slope at 0.
    if u.dtype == torch.float32:
        root = torch.sqrt(w.clamp(min=5.0))
        factor = torch.where(w < 5.0, _polynomial(_CENTRE_32, w - 2.5), _polynomial(_TAIL_32, root - 3.0))
    else:
        root = torch.sqrt(w.clamp(min=6.25))
        outer = torch.where(w < 16.0, _polynomial(_MIDDLE_64, root - 3.25), _polynomial(_TAIL_64, root - 5.0))
        factor = torch.where(w < 6.25, _polynomial(_CENTRE_64, w - 3.125), outer)
    return torch.where(inside, factor * v, u.detach() * math.inf)
