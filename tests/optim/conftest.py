"""The published problems of Moré, Garbow and Hillstrom (1981), doi:10.1145/355934.355936.

Each stands with its number, its standard start and the sums of squares of its known minima. A test that takes
`published` runs on every one of them, one that takes `all_published` on all at once.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor


class Published(NamedTuple):
    residual: Callable[[Tensor], Tensor]
    start: tuple[float, ...]
    minima: tuple[float, ...]


def series(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def steps_of(count: int, start: int = 1) -> Tensor:
    return torch.arange(start, start + count, dtype=torch.float64)


BARD = series(0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39)
GAUSSIAN = series(0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989)
MEYER = series(
    34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872
)
KOWALIK = series(0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246)
OSBORNE = series(
    *(0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751, 0.718, 0.685, 0.658),
    *(0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490, 0.478, 0.467, 0.457, 0.448, 0.438, 0.431),
    *(0.424, 0.420, 0.414, 0.411, 0.406),
)


def rosenbrock(x):
    return torch.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def freudenstein_roth(x):
    return torch.stack(
        [
            -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1],
            -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1],
        ]
    )


def powell_badly_scaled(x):
    return torch.stack([1e4 * x[0] * x[1] - 1, torch.exp(-x[0]) + torch.exp(-x[1]) - 1.0001])


def brown_badly_scaled(x):
    return torch.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2])


def beale(x):
    return series(1.5, 2.25, 2.625) - x[0] * (1 - x[1] ** steps_of(3))


def jennrich_sampson(x):
    i = steps_of(10)
    return 2 + 2 * i - (torch.exp(i * x[0]) + torch.exp(i * x[1]))


def helical_valley(x):
    turn = torch.atan(x[1] / x[0]) / (2 * math.pi) + torch.where(x[0] < 0, 0.5, 0.0)
    return torch.stack([10 * (x[2] - 10 * turn), 10 * (torch.sqrt(x[0] ** 2 + x[1] ** 2) - 1), x[2]])


def bard(x):
    u = steps_of(15)
    return BARD - (x[0] + u / ((16 - u) * x[1] + torch.minimum(u, 16 - u) * x[2]))


def gaussian(x):
    y = torch.cat([GAUSSIAN, GAUSSIAN.flip(0)[1:]])
    return x[0] * torch.exp(-x[1] * ((8 - steps_of(15)) / 2 - x[2]) ** 2 / 2) - y


def meyer(x):
    return x[0] * torch.exp(x[1] / (45 + 5 * steps_of(16) + x[2])) - MEYER


def gulf(x):
    t = steps_of(99) / 100
    y = 25 + (-50 * torch.log(t)) ** (2 / 3)
    return torch.exp(-(torch.abs(y - x[1]) ** x[2]) / x[0]) - t


def box(x):
    t = steps_of(10) / 10
    return torch.exp(-t * x[0]) - torch.exp(-t * x[1]) - x[2] * (torch.exp(-t) - torch.exp(-10 * t))


def powell_singular(x):
    return torch.stack(
        [
            x[0] + 10 * x[1],
            math.sqrt(5) * (x[2] - x[3]),
            (x[1] - 2 * x[2]) ** 2,
            math.sqrt(10) * (x[0] - x[3]) ** 2,
        ]
    )


def wood(x):
    return torch.stack(
        [
            10 * (x[1] - x[0] ** 2),
            1 - x[0],
            math.sqrt(90) * (x[3] - x[2] ** 2),
            1 - x[2],
            math.sqrt(10) * (x[1] + x[3] - 2),
            (x[1] - x[3]) / math.sqrt(10),
        ]
    )


def kowalik_osborne(x):
    u = series(4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625)
    return KOWALIK - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])


def brown_dennis(x):
    t = steps_of(20) / 5
    return (x[0] + t * x[1] - torch.exp(t)) ** 2 + (x[2] + x[3] * torch.sin(t) - torch.cos(t)) ** 2


def osborne(x):
    t = 10 * steps_of(33, 0)
    return OSBORNE - (x[0] + x[1] * torch.exp(-t * x[3]) + x[2] * torch.exp(-t * x[4]))


def biggs(x):
    t = steps_of(13) / 10
    y = torch.exp(-t) - 5 * torch.exp(-10 * t) + 3 * torch.exp(-4 * t)
    return x[2] * torch.exp(-t * x[0]) - x[3] * torch.exp(-t * x[1]) + x[5] * torch.exp(-t * x[4]) - y


def watson(x):
    t = (steps_of(29) / 29)[:, None]
    powers = t ** steps_of(len(x), 0)
    slope = (powers[:, :-1] * steps_of(len(x) - 1) * x[1:]).sum(1)
    return torch.cat([slope - (powers * x).sum(1) ** 2 - 1, torch.stack([x[0], x[1] - x[0] ** 2 - 1])])


def trigonometric(x):
    n = len(x)
    return n - torch.cos(x).sum() + steps_of(n) * (1 - torch.cos(x)) - torch.sin(x)


def brown_almost_linear(x):
    n = len(x)
    return torch.cat([x[:-1] + x.sum() - (n + 1), x.prod()[None] - 1])


def discrete_boundary_value(x):
    n = len(x)
    h = 1 / (n + 1)
    padded = torch.cat([x.new_zeros(1), x, x.new_zeros(1)])
    return 2 * x - padded[:-2] - padded[2:] + h**2 * (x + h * steps_of(n) + 1) ** 3 / 2


def broyden_tridiagonal(x):
    padded = torch.cat([x.new_zeros(1), x, x.new_zeros(1)])
    return (3 - 2 * x) * x - padded[:-2] - 2 * padded[2:] + 1


def chebyquad(x):
    order = steps_of(len(x))
    means = torch.cos(order[:, None] * torch.arccos(2 * x - 1)).mean(1)
    return means + torch.where(order % 2 == 0, 1 / (order**2 - 1), 0.0)


def linear_full_rank(x):
    rows = 20
    return torch.cat([x, x.new_zeros(rows - len(x))]) - 2 / rows * x.sum() - 1


def linear_rank_one(x):
    return steps_of(20) * (steps_of(len(x)) * x).sum() - 1


def linear_rank_one_with_zeros(x):
    inner = (steps_of(len(x))[1:-1] * x[1:-1]).sum()
    return torch.cat([x.new_full((1,), -1.0), steps_of(18) * inner - 1, x.new_full((1,), -1.0)])


def grid(n: int) -> tuple[float, ...]:
    return tuple(i / (n + 1) for i in range(1, n + 1))


PROBLEMS = {
    "1 Rosenbrock": Published(rosenbrock, (-1.2, 1), (0,)),
    "2 Freudenstein and Roth": Published(freudenstein_roth, (0.5, -2), (0, 48.9842)),
    "3 Powell badly scaled": Published(powell_badly_scaled, (0, 1), (0,)),
    "4 Brown badly scaled": Published(brown_badly_scaled, (1, 1), (0,)),
    "5 Beale": Published(beale, (1, 1), (0,)),
    "6 Jennrich and Sampson": Published(jennrich_sampson, (0.3, 0.4), (124.362,)),
    "7 helical valley": Published(helical_valley, (-1, 0, 0), (0,)),
    "8 Bard": Published(bard, (1, 1, 1), (8.21487e-3, 17.4286)),
    "9 Gaussian": Published(gaussian, (0.4, 1, 0), (1.12793e-8,)),
    "10 Meyer": Published(meyer, (0.02, 4000, 250), (87.9458,)),
    "11 Gulf": Published(gulf, (5, 2.5, 0.15), (0,)),
    "12 Box": Published(box, (0, 10, 20), (0,)),
    "13 Powell singular": Published(powell_singular, (3, -1, 0, 1), (0,)),
    "14 Wood": Published(wood, (-3, -1, -3, -1), (0,)),
    "15 Kowalik and Osborne": Published(kowalik_osborne, (0.25, 0.39, 0.415, 0.39), (3.07505e-4, 1.02734e-3)),
    "16 Brown and Dennis": Published(brown_dennis, (25, 5, -5, -1), (85822.2,)),
    "17 Osborne 1": Published(osborne, (0.5, 1.5, -1, 0.01, 0.02), (5.46489e-5,)),
    "18 Biggs": Published(biggs, (1, 2, 1, 1, 1, 1), (0, 5.65565e-3)),
    "20 Watson, n = 6": Published(watson, (0,) * 6, (2.28767e-3,)),
    "20 Watson, n = 9": Published(watson, (0,) * 9, (1.39976e-6,)),
    "26 trigonometric": Published(trigonometric, (0.1,) * 10, (0, 2.79506e-5)),
    "27 Brown almost linear": Published(brown_almost_linear, (0.5,) * 10, (0, 1)),
    "28 discrete boundary value": Published(
        discrete_boundary_value, tuple(t * (t - 1) for t in grid(10)), (0,)
    ),
    "30 Broyden tridiagonal": Published(broyden_tridiagonal, (-1,) * 10, (0,)),
    "32 linear, full rank": Published(linear_full_rank, (1,) * 5, (15,)),
    "33 linear, rank 1": Published(linear_rank_one, (1,) * 5, (20 * 19 / (2 * 41),)),
    "34 linear, rank 1, zeros": Published(linear_rank_one_with_zeros, (1,) * 5, ((400 + 60 - 6) / (2 * 37),)),
    "35 Chebyquad, n = 8": Published(chebyquad, grid(8), (3.51687e-3,)),
}


@pytest.fixture
def all_published() -> list[Published]:
    return list(PROBLEMS.values())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "published" in metafunc.fixturenames:
        metafunc.parametrize("published", PROBLEMS.values(), ids=PROBLEMS)
