"""The problems of `verdict.py`: families with random parameters, so that other draws make other problems.

A third of the well-posed ones is solved worse than it could be, so that errors of all sizes are there; about
half of all are stated in other units.
"""

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

import torch
import verdict_boundary
import verdict_ill
import verdict_ill_counts
import verdict_ill_plane
import verdict_initial
import verdict_plane
import verdict_time
from verdict_base import Case, in_units

SINGLE = (verdict_initial, verdict_boundary, verdict_plane, verdict_time)
"""Modules whose families make one well-posed problem for each draw."""
SEVERAL = (verdict_ill, verdict_ill_counts, verdict_ill_plane)
"""Modules whose families make ill-posed problems and their neighbours."""
FURTHEST = 9
"""The largest power of ten of a change of units."""

LINE: tuple[Mapping[str, Any], ...] = (
    {"method": "random_features", "hidden": (12,)},
    {"method": "random_features", "hidden": (24,)},
    {"method": "levenberg_marquardt", "hidden": (12,), "steps": 30},
    {"method": "random_features", "hidden": (16,)},
    {"method": "adam", "hidden": (20,), "steps": 500, "points": 200},
    {"method": "random_features", "hidden": (32,), "points": 50},
    {"dtype": torch.float32},
    {"method": "random_features", "hidden": (64,)},
    {"method": "lbfgs", "hidden": (20,), "steps": 300, "points": 200},
    {"method": "random_features", "hidden": (96,), "points": 120},
)
"""Ways to solve a problem on a line not too well."""
BOX: tuple[Mapping[str, Any], ...] = (
    {"method": "random_features", "hidden": (32,)},
    {"method": "random_features", "hidden": (64,)},
    {"method": "levenberg_marquardt", "hidden": (16,), "steps": 20, "points": 300},
    {"method": "random_features", "hidden": (100,)},
    {"method": "adam", "hidden": (20, 20), "steps": 400, "points": 200},
    {"method": "random_features", "hidden": (80,), "points": 200},
    {"method": "random_features", "hidden": (64,), "dtype": torch.float32},
    {"method": "random_features", "hidden": (150,)},
    {"method": "lbfgs", "hidden": (20,), "steps": 150, "points": 300},
)
"""The same over several coordinates."""


def cases(draw: int = 0) -> list[Case]:
    """The whole set, the same for each number."""
    found, place = [], 0
    for module in SINGLE:
        for family, count in module.FAMILIES.items():
            for index in range(count):
                source = Random(f"{module.__name__} {family.__name__} {index} {draw}")
                case = family(source)
                coarse = place % 3 == 1
                if coarse:
                    menu = LINE if len(case.domain) == 1 else BOX
                    kept = {name: case.options[name] for name in ("harmonics",) if name in case.options}
                    case = replace(case, options={**menu[(place // 3) % len(menu)], **kept})
                single = case.options.get("dtype") == torch.float32  # whose range would not hold them
                if place % 2 and not single:
                    case = elsewhere(case, source)
                found.append(case)
                place += 1
    for module in SEVERAL:
        for family, count in module.FAMILIES.items():
            for index in range(count):
                source = Random(f"{module.__name__} {family.__name__} {index} {draw}")
                for case in family(source):
                    found.append(elsewhere(case, source) if place % 2 else case)
                    place += 1
    return found


def elsewhere(case: Case, source: Random) -> Case:
    """The case in random units."""
    powers = {name: source.randint(-FURTHEST, FURTHEST) for name in (*case.fields, *case.names)}
    return in_units(case, powers, tuple(source.randint(-FURTHEST, FURTHEST) for _ in range(6)))


def sample(count: int, draw: int = 0) -> list[Case]:
    """So many cases of a set, evenly of all kinds: ill-posed or not, by dimensions, by units."""
    every = sorted(
        cases(draw), key=lambda case: (case.expected, len(case.domain), case.name.endswith("]"), case.family)
    )
    count = min(count, len(every))
    return [every[place * len(every) // count] for place in range(count)]
