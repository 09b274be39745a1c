"""Points at the edges of a domain, and whether what is built in there holds together."""

import itertools
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import vmap

from funcsci.pinn import sampling
from funcsci.pinn.domain import Domain, along, replaced
from funcsci.pinn.faces import Face, clash
from funcsci.pinn.problem import Problem
from funcsci.pinn.requirements import Differentiated, of_terms
from funcsci.pinn.settings import Settings
from funcsci.pinn.trial import Trial
from funcsci.random import Key
from funcsci.tree import Scalar

CLASH = 1e-6
"""How far, relative to their size, built-in conditions may miss each other where they meet."""


def edge_points(
    face: Face, domain: Domain, count: int, key: Key, name: str, where: dict[str, Any], sets: int = 1
) -> tuple[Float[Tensor, "n dimensions"], Float[Tensor, "n"]]:
    """Points at an edge, and what is asked there.

    Args:
        face: the condition at that edge; where it has data, these are its points.
        domain: the box.
        count: how many points.
        key: the random key.
        name: in `SAMPLINGS`.
        where: their dtype and device.
        sets: of how many sets of points, one after the other.
    """
    if face.data is not None:
        return face.data[0].to(**where), face.data[1].to(**where)
    x = edge_places(face, domain, count, key, name, where, sets)
    return x, vmap(face.at)(x)


def edge_places(
    face: Face, domain: Domain, count: int, key: Key, name: str, where: dict[str, Any], sets: int = 1
) -> Float[Tensor, "n dimensions"]:
    """Points spread over the edge of a condition; arguments as for `edge_points`."""
    others = sampling.sample(name, key, count, domain.dimensions - 1, sets)
    ends = others.new_full((len(others), 1), 0.0)
    unit = torch.cat([others[:, : face.index], ends, others[:, face.index :]], 1)
    x = domain.unscaled(unit).to(**where)
    x[:, face.index] = face.end(domain)
    return x


def check_built(problem: Problem, trial: Trial, settings: Settings) -> None:
    """The built-in conditions hold together; where two meet and disagree, none of them can.

    Raises:
        ValueError: if they disagree somewhere.
    """
    domain = problem.domain
    if domain.dimensions == 1:
        return
    for face in problem.edges.hard:
        term = of_terms("", face.field, face.index, face.terms, 1.0, problem.fields)
        x, wanted = edge_points(face, domain, 64, settings.key, "sobol", settings.where)
        differentiated = Differentiated(problem.fields, term.requests, "nested")

        def miss(x: Tensor, target: Tensor) -> Tensor:
            return term.evaluate(differentiated.values(trial.known, x), x, target)  # noqa: B023

        missed = vmap(miss)(x, wanted)[:, 0].abs()
        worst = int(missed.argmax())
        size = max(float(wanted.abs().max()), 1.0)
        off = float(missed[worst])
        if off > max(CLASH, 1e3 * torch.finfo(x.dtype).eps) * size:
            others = [one for one in problem.edges.hard if one.field == face.field]
            raise ValueError(
                f"Conditions must agree where they meet. Got {clash(face, others, x[worst], domain, off)}. "
                "Mend the values there, or pass hard=False to one."
            )


def check_periodic(problem: Problem, trial: Trial, settings: Settings) -> None:
    """What built-in conditions give to a periodic field is periodic, as smoothly as its equations need.

    Raises:
        ValueError: if a derivative that the equations need jumps.
    """
    domain = problem.domain
    unit = sampling.sample("sobol", settings.key, 64, domain.dimensions)
    x = domain.unscaled(unit).to(**settings.where)

    def at_end(x: Tensor, place: int, index: int, end: float, order: int) -> Scalar:
        return along(lambda x: trial.known(x)[place], replaced(x, index, end), index, order)

    curved = [place for place, one in enumerate(trial.built) if one.extension is not None]
    for place, index in itertools.product(curved, problem.periodic):
        field, name = problem.fields[place], domain.names[index]
        for order in range(max(1, problem.equations.order(field, name))):
            lower, upper = (
                vmap(partial(at_end, place=place, index=index, end=end, order=order))(x)
                for end in (domain.lower[index], domain.upper[index])
            )
            jump, size = float((upper - lower).abs().max()), max(float(upper.abs().max()), 1.0)
            if jump > max(CLASH, 1e3 * torch.finfo(x.dtype).eps) * size:
                raise ValueError(
                    f"Conditions must agree where they meet. Got periodic({name}), but by the others of "
                    f"{field} its derivative of order {order} by {name} jumps by {jump:.2g}. "
                    "Mend their values, or pass hard=False to them."
                )
