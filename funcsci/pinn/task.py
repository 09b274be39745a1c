"""One network's job: a trial function for a problem, what is asked of it, and where."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacrev, vmap

from funcsci import random, tree
from funcsci.pinn import sampling
from funcsci.pinn.domain import Domain, constant
from funcsci.pinn.edges import check_built, check_periodic, edge_points
from funcsci.pinn.faces import Face, OfPoint
from funcsci.pinn.hard import Built, build
from funcsci.pinn.network import FAST, LAYER_SHARE, Focus, NetworkSettings, distances, network, shares
from funcsci.pinn.problem import Problem
from funcsci.pinn.requirements import (
    Differentiated,
    Points,
    Requirement,
    all_residuals,
    of_equations,
    of_terms,
    residual_at_point,
    residuals_together,
)
from funcsci.pinn.scales import Linearized, Scales, scales, steepness
from funcsci.pinn.settings import Settings
from funcsci.pinn.timescales import leading, slopes, timescales
from funcsci.pinn.trial import Trial
from funcsci.random import Key
from funcsci.tree import Params, Scalar

CLOSEST, APART = 1e-6, 1e-3
"""The reach of a named place on [-1, 1]; a place that probing finds this near is the same one."""
CLOSER = 16
"""Points come so many times closer to a small place than features are short: none may hide between them."""
EVEN = 1_024
"""Points on which sizes are measured."""
TYPICAL = 16
"""Points at which the equations are linearized to find their scales."""
EDGE_SHARE = 0.2
"""Points at each edge, as a share of those inside."""
BALANCED_POINTS = 64
"""Points on which the pulls of requirements are compared."""
CANDIDATES = 8
"""Candidates for each point that is drawn by the residual."""

Training = tuple[tuple[Requirement, Points], ...]
"""Each requirement with its points."""


class Task(NamedTuple):
    """A trial function and what is asked of it.

    Attributes:
        problem: the problem, on the whole domain or on a slab of it.
        settings: how to solve it.
        shape: of the network.
        trial: the function.
        requirements: the equations, then the conditions that are not built in.
        soft: the edges that belong to those conditions, in order.
        scales: of the fields and the equations.
        starts_regularly: whether the equations are ordinary ones with complete initial conditions, built in,
            that determine the highest derivatives: then there is one solution, by Picard and Lindelöf.
        steepness: how steep a solution may be, by the coefficients of its equations.
        balance: what the weight of each requirement is multiplied by.
    """

    problem: Problem
    settings: Settings
    shape: NetworkSettings
    trial: Trial
    requirements: tuple[Requirement, ...]
    soft: tuple[Face, ...]
    scales: Scales
    starts_regularly: bool
    steepness: float
    balance: tuple[float, ...] = ()

    def balanced(self, params: Params) -> "Task":
        r"""The task with weights for which all requirements pull at the parameters alike.

        The weight of a condition that was given none is the equations' $\sum_i \lVert \partial r_i / \partial
        \theta \rVert^2$ over its own, per point.

        Source: Wang, Yu and Perdikaris (2022), arXiv:2007.14527.
        """
        if len(self.requirements) == 1:
            return self
        even = self._replace(balance=())
        training = even.training(BALANCED_POINTS, random.fold_in(self.settings.key, 2), "sobol")
        pulls = [_pull(self.residual(one), params, points) for one, points in training]
        given = [1.0, *(face.source.weight for face in self.soft)]
        given += [condition.weight for condition, _ in self.problem.places]
        return self._replace(
            balance=tuple(
                pulls[0] / pull if weight is None and pull > 0 and pulls[0] > 0 else 1.0
                for weight, pull in zip(given, pulls, strict=True)
            )
        )

    def loss(self, params: Params, training: tuple[Points, ...]) -> Scalar:
        """The weighted sum of squares of all requirements at their points, shape ()."""
        (equations, *conditions), (inside, *others) = self.requirements, training
        total: Scalar = all_residuals(self.residual(equations), params, inside).square().sum()
        if conditions:
            apply, mode = partial(self.trial.apply, params), self.settings.derivatives
            missed = residuals_together(conditions, apply, self.problem.fields, mode, others)
            total = total + missed.square().sum()
        return total

    @property
    def fixed(self) -> tuple[bool, ...]:
        """For each requirement, whether its points are given, by data or because there is only one."""
        line = self.problem.domain.dimensions == 1
        edges = [line or face.data is not None for face in self.soft]
        return (False, *edges, *(True for _ in self.problem.places))

    def training(self, count: int, key: Key, sampling_name: str, sets: int = 1) -> Training:
        """Collocation points: `count` inside, and some at each edge with a condition that is not built in.

        Of several sets, each has so many points of each requirement, except for those that are `fixed`.
        """
        inside = self._inside(sampling_name, key, count, sets)
        return self._all(inside, max(2, int(EDGE_SHARE * count)), key, sampling_name, sets)

    def refined(self, training: Training, params: Params, key: Key) -> Training:
        r"""As many points inside, drawn anew: half of them evenly, half where the equations are missed.

        The density of those is that of $|r|$, among eight times as many candidates; weights of one over the
        density keep the sum the mean over the domain, which it then measures better.

        Source: Wu, Zhu, Tan, Kartha and Lu (2023), arXiv:2207.10289 (the density); any text on importance
        sampling (the weights).
        """
        (equations, points), *others = training
        count = len(points.x)
        keys = random.split(key, 3)

        def missed(x: Tensor) -> Tensor:
            with torch.no_grad():
                even = _even(x, x.new_zeros(len(x)))
                return self.unweighted(equations, params, even).abs().amax(1).double()

        spread = self._inside("sobol", keys[0], count - count // 2)
        drawn = self._inside("sobol", keys[1], CANDIDATES * count)
        sizes = missed(drawn).clamp(min=torch.finfo(torch.float64).tiny)
        # The largest of log-weights with Gumbel's noise are a sample without replacement.
        uniform = random.uniform(keys[2], (len(drawn),), dtype=torch.float64).to(drawn.device)
        chosen = (torch.log(sizes) - torch.log(-torch.log(uniform))).topk(count // 2).indices
        x = torch.cat([spread, drawn[chosen]])
        density = 0.5 + 0.5 * torch.cat([missed(spread), sizes[chosen]]) / sizes.mean()
        weight = points.weight.sum() / density / (1 / density).sum()
        return ((equations, Points(x, x.new_zeros(count), weight.to(x))), *others)

    def residual(self, requirement: Requirement) -> Any:
        """The numbers of a requirement at a point, `residual(params, point)`."""
        problem, mode = self.problem, self.settings.derivatives
        return residual_at_point(requirement, self.trial.apply, problem.fields, mode, problem.domain.units)

    @property
    def names(self) -> tuple[str, ...]:
        """What each number that is asked to vanish is called: the equations, then the conditions."""
        return tuple(name for one in self.requirements for name in one.names)

    def size(self, params: Params) -> float:
        """The largest root mean square of a field, in units of its scale."""
        with torch.no_grad():
            values = self.in_units(vmap(partial(self.trial.apply, params))(self.even_points()))
        return float(values.double().square().mean(0).sqrt().max())

    def even_points(self) -> Float[Tensor, "n dimensions"]:
        """Points that are spread evenly over the domain, on which sizes of functions are measured."""
        domain, key = self.problem.domain, random.fold_in(self.settings.key, 0xE7E4)
        unit = sampling.sample("sobol", key, EVEN, domain.dimensions)
        return domain.unscaled(unit).to(**self.settings.where)

    def share(self, x: Float[Tensor, "n dimensions"]) -> Float[Tensor, "n"]:
        """The share of the domain that each point stands for: equal ones in a box, cells on a line."""
        if x.shape[1] > 1:
            return x.new_full((len(x),), 1 / len(x))
        (start,), (length,) = self.problem.domain.lower, self.problem.domain.lengths
        place, order = torch.sort((x[:, 0] - start) / length)
        middles = (place[1:] + place[:-1]) / 2
        widths = torch.cat([middles, middles.new_ones(1)]) - torch.cat([middles.new_zeros(1), middles])
        return torch.empty_like(widths).scatter(0, order, widths)

    def in_units(self, values: Float[Tensor, "*n fields"]) -> Float[Tensor, "*n fields"]:
        """Fields in units of their scales."""
        return values / constant(self.scales.fields, values)

    def unweighted(self, requirement: Requirement, params: Params, points: Points) -> Tensor:
        """The numbers of a requirement at points, shape `(n, count)`, without weights."""
        even = points._replace(weight=torch.ones_like(points.weight))
        return all_residuals(self.residual(requirement), params, even)

    def _inside(self, name: str, key: Key, count: int, sets: int = 1) -> Tensor:
        """Points of the domain; some of each set go where something happens on a small scale."""
        domain, foci = self.problem.domain, self.trial.foci
        many = shares(count, foci)
        unit = sampling.sample(name, key, count - sum(many), domain.dimensions, sets)
        if foci:
            parts = [unit.reshape(sets, -1)]
            for number, (focus, graded) in enumerate(zip(foci, many, strict=True)):
                own = random.fold_in(key, number)
                share = sampling.sample("sobol" if name == "sobol" else "grid", own, graded, 1, sets)
                side = (torch.arange(len(share)) % 2 * 2 - 1)[:, None]
                near = focus.near(distances(focus._replace(reach=focus.reach / CLOSER), share), side)
                parts.append(0.5 * (near + 1).reshape(sets, -1))
            unit = torch.cat(parts, 1).reshape(-1, 1)
        elif (seen := self.problem.concentrated) is not None:
            extra = int(LAYER_SHARE * count)
            some = random.randint(key, (sets * extra,), 0, len(seen)).cpu()
            there = seen[some].reshape(sets, extra, -1)
            spread = domain.unscaled(unit).reshape(sets, -1, domain.dimensions)[
                :, : len(unit) // sets - extra
            ]
            return torch.cat([spread, there], 1).reshape(-1, domain.dimensions).to(**self.settings.where)
        return domain.unscaled(unit).to(**self.settings.where)

    def _all(self, inside: Tensor, at_edges: int, key: Key, name: str, sets: int = 1) -> Training:
        equations, *others = self.requirements
        domain = self.problem.domain
        found = [(equations, _even(inside, inside.new_zeros(len(inside))))]
        for place, face in enumerate(self.soft):
            points, target = edge_points(
                face, domain, at_edges, random.fold_in(key, place), name, self.settings.where, sets
            )
            found.append((others[place], _even(points, target, face.source.weight or 1.0)))
        for place, (condition, (x, values)) in enumerate(self.problem.places, len(self.soft)):
            moved = (x.to(**self.settings.where), values.to(**self.settings.where))
            found.append((others[place], _even(*moved, condition.weight or 1.0)))
        factors = self.balance or (1.0,) * len(found)
        return tuple(
            (one, points._replace(weight=points.weight * factor))
            for (one, points), factor in zip(found, factors, strict=True)
        )


def make_task(
    problem: Problem,
    settings: Settings,
    shape: NetworkSettings,
    *,
    before: Any = None,
    amplitude: tuple[float, ...] | None = None,
) -> Task:
    """The task of one network.

    Args:
        problem: on its domain.
        settings: how to solve it.
        shape: of the network.
        before: an earlier stage whose error it corrects.
        amplitude: what each output of the network is multiplied by; None: the scale of its field.

    Raises:
        ValueError: if built-in conditions contradict each other where they meet.
    """
    domain, fields, edges = problem.domain, problem.fields, problem.edges
    made = network(shape, domain.dimensions, len(fields), problem.periodic)
    rates = [1 / length for length in domain.lengths]
    trial = Trial(domain, made, _built(problem, rates), (1.0,) * len(fields))
    linear = _linearized(problem, trial, settings)
    if domain.dimensions == 1:
        found, start = timescales(problem.equations, linear.slopes[0]), list[Focus]()
        if found is not None:
            rates = [found.rate]
            start += [Focus(-1.0, 1 / decay)] if (decay := found.decay * domain.lengths[0]) > FAST else []
        named = _named(domain, settings.breakpoints)
        seen = [one for one in problem.foci if all(abs(one.place - other.place) > APART for other in named)]
        trial = trial._replace(built=_built(problem, rates), foci=(*start, *seen, *named))
    parts = [_condition_size(face, rates) for face in edges.soft]
    data = [
        (face.field, _asked(face, problem, settings) / size)
        for face, size in zip(edges.soft, parts, strict=True)
    ]
    data += [(problem.field_of(one), float(values.abs().max())) for one, (_, values) in problem.places]
    sizes = scales(problem.equations, linear, data)
    trial = trial._replace(before=before, amplitude=sizes.fields if amplitude is None else amplitude)
    unit = dict(zip(fields, sizes.fields, strict=True))
    requirements = [of_equations(problem.equations, sizes)]
    for face, size in zip(edges.soft, parts, strict=True):
        name, scale = face.describe(domain), size * unit[face.field]
        requirements.append(of_terms(name, face.field, face.index, face.terms, scale, fields))
    for condition, _ in problem.places:
        field = problem.field_of(condition)
        requirements.append(of_terms(str(condition), field, 0, ((1.0, 0),), unit[field], fields))
    task = Task(
        problem,
        settings,
        shape,
        trial,
        tuple(requirements),
        edges.soft,
        sizes,
        _starts_regularly(problem, linear),
        steepness(problem.equations, linear),
    )
    own = any(isinstance(face.source.value, OfPoint) for face in edges.hard)
    if before is None and not own:  # a state of the library's own fits to what was checked on the whole
        check_built(problem, trial, settings)
        check_periodic(problem, trial, settings)
    return task


def _starts_regularly(problem: Problem, linear: Linearized) -> bool:
    """Whether ordinary equations can be solved for their highest derivatives, from a complete start."""
    if problem.domain.dimensions > 1 or problem.marches is None:
        return False
    return all(leading(problem.equations, slope) is not None for slope in linear.slopes)


def _built(problem: Problem, rates: list[float]) -> tuple[Built, ...]:
    """What builds the conditions into each field."""
    edges, domain = problem.edges.hard, problem.domain
    return tuple(
        build([face for face in edges if face.field == one], domain, rates) for one in problem.fields
    )


def _condition_size(face: Face, rates: list[float]) -> float:
    """The size of a condition's largest term for a smooth field of size one."""
    return max(abs(factor) * rates[face.index] ** order for factor, order in face.terms)


def _asked(face: Face, problem: Problem, settings: Settings) -> float:
    """The largest size of what a condition asks for."""
    _, target = edge_points(face, problem.domain, TYPICAL, settings.key, "sobol", settings.where)
    return float(target.abs().max())


def empty_params(problem: Problem, shape: NetworkSettings, dtype: torch.dtype) -> Params:
    """The parameters that a network has for a problem, as tensors that hold no numbers."""
    made = network(shape, problem.domain.dimensions, len(problem.fields), problem.periodic)
    return made.init(torch.zeros(2, dtype=torch.int64, device="meta"), dtype=dtype)


def _named(domain: Domain, places: Sequence[float]) -> tuple[Focus, ...]:
    """The places inside a line that the user named."""
    (lower,), (length,) = domain.lower, domain.lengths
    scaled = [2 * (place - lower) / length - 1 for place in places]
    return tuple(Focus(place, CLOSEST) for place in scaled if -1 < place < 1)


def _linearized(problem: Problem, trial: Trial, settings: Settings) -> Linearized:
    """The equations at the start and at some points, linearized at the fields that conditions give."""
    domain, equations = problem.domain, problem.equations
    unit = sampling.sample("sobol", settings.key, TYPICAL, domain.dimensions)
    points = domain.unscaled(torch.cat([torch.zeros_like(unit[:1]), unit])).to(settings.device)
    differentiated = Differentiated(problem.fields, equations.requests, "nested")

    def at_point(x: Tensor) -> Linearized:
        values = differentiated.values(trial.known, x)
        return Linearized(slopes(equations, values, x), equations.residuals(values, x), trial.known(x))

    return vmap(at_point)(points)


def _even(x: Tensor, target: Tensor, weight: float = 1.0) -> Points:
    """Points of one weight, whose sum is `weight`."""
    return Points(x, target, x.new_full((len(x),), weight / len(x)))


def _pull(residual: Any, params: Params, points: Points) -> float:
    """The mean square of the residuals' derivatives by the parameters."""
    even = points._replace(weight=torch.ones_like(points.weight))
    jacobian = vmap(jacrev(residual), in_dims=(None, 0))(params, even)
    squares = [leaf.double().square().sum() for leaf in tree.leaves(jacobian)]
    return float(torch.stack(squares).sum()) / len(points.x)
