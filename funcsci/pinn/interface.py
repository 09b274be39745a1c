r"""Interfaces of slabs: the state where one slab ends, stored once as a series, and where the next begins.

A state holds every derivative by time that the next slab starts from. Each is stored as

$$g(x) = \partial_t^j G + D(x) \sum_k c_k \prod_i \cos(\omega_{k_i} s_i - \varphi_{k_i}),$$

where $G$ and $D$ build in the conditions at the edges of the other coordinates, so that the state agrees
with them exactly. In a periodic coordinate the waves have the domain's period, in another one twice its
length.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import vmap

from funcsci import random
from funcsci.pinn import sampling
from funcsci.pinn.conditions import Condition
from funcsci.pinn.domain import Domain, along, constant
from funcsci.pinn.faces import Face, OfPoint
from funcsci.pinn.field import Request
from funcsci.pinn.hard import Built, build
from funcsci.pinn.problem import Problem
from funcsci.pinn.requirements import Differentiated
from funcsci.pinn.settings import Settings
from funcsci.tree import Scalar

WAVES = (9, 11, 13, 17, 21, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513)
"""Waves along each coordinate that are tried until they are enough."""
MOST = 20_000
"""The most products of waves."""
EXACT = 50
"""A state is stored well if it is off by so many units of round-off, relative to its size."""
GAIN = 0.5
"""Once half of the digits are right, more waves are tried while they lower what is missed to this share."""
SAMPLES, JUDGED = 2, 512
"""Points along each coordinate for each wave; points at which a stored state is judged."""
CHUNK = 8_192
"""Points at which the earlier slab is evaluated at once."""
CUT = 1e-15
"""Combinations of waves that are smaller than this on the domain are left out."""


class State(NamedTuple):
    """The state at the start of a slab, one series for each initial condition.

    Attributes:
        coefficients: of the products of waves, shape `(conditions, waves, ..., waves)`, with as many
            dimensions of waves as there are other coordinates.
        error: how far it is from the end of the slab before, relative to the size of each field.
    """

    coefficients: Tensor
    error: float


class Axis(NamedTuple):
    """The waves along one coordinate.

    Attributes:
        coordinate: its place among all.
        periodic: whether they have the domain's period.
    """

    coordinate: int
    periodic: bool

    def waves(self, s: Scalar, count: int) -> Float[Tensor, "waves"]:
        """One, and a sine and a cosine of each frequency, where the coordinate is `s` on [-1, 1]."""
        numbers = range(count)
        base = math.pi if self.periodic else math.pi / 2
        frequency = constant([base * ((number + 1) // 2) for number in numbers], s)
        phase = constant([math.pi / 2 * (number % 2) for number in numbers], s)
        return torch.cos(frequency * s - phase)

    def samples(self, count: int) -> Float[Tensor, "samples"]:
        """Where a function is sampled for so many waves, on [-1, 1]."""
        many = SAMPLES * count
        if self.periodic:
            return torch.arange(many, dtype=torch.float64) * (2 / many) - 1
        return -torch.cos(math.pi * torch.arange(many, dtype=torch.float64) / (many - 1))


class Piece(NamedTuple):
    """One derivative by time of one field, at an interface.

    Attributes:
        face: the initial condition of the whole problem that asks for it.
        domain: of the whole problem.
        axes: the waves of the other coordinates.
        built: what builds in the field's conditions at their edges.
    """

    face: Face
    domain: Domain
    axes: tuple[Axis, ...]
    built: Built

    @property
    def order(self) -> int:
        """Of the derivative."""
        ((_, order),) = self.face.terms
        return order

    def given(self, x: Float[Tensor, "dimensions"]) -> Scalar:
        """What the conditions at other edges give, at a point of the interface."""
        extension = self.built.extension
        return x.new_zeros(()) if extension is None else along(extension, x, self.face.index, self.order)

    def value(self, coefficients: Tensor, x: Float[Tensor, "dimensions"]) -> Scalar:
        """The derivative, at a point of the interface."""
        s = self.domain.scaled(x)
        *others, last = [
            axis.waves(s[axis.coordinate], count)
            for axis, count in zip(self.axes, coefficients.shape, strict=True)
        ]
        total = coefficients @ last if others else (coefficients * last).sum()
        for waves in reversed(others):
            total = (total * waves).sum(-1)
        distance = self.built.distance
        return self.given(x) + (total if distance is None else distance(x) * total)


class Interface(NamedTuple):
    """Where one slab ends and the next begins.

    Attributes:
        pieces: what a state there is made of.
        problem: on the whole domain.
        along: the place of the coordinate that is marched along.
        place: its value there.
    """

    pieces: tuple[Piece, ...]
    problem: Problem
    along: int
    place: float

    @classmethod
    def of(cls, problem: Problem, name: str, place: float) -> "Interface":
        """The interface at a place of the coordinate that is marched along."""
        domain, index = problem.domain, problem.domain.index(name)
        rates = [1 / length for length in domain.lengths]
        others = [other for other in range(domain.dimensions) if other != index]
        axes = tuple(Axis(other, other in problem.periodic) for other in others)
        edges = [face for face in problem.edges.hard if face.index != index]
        built = {
            field: build([face for face in edges if face.field == field], domain, rates)
            for field in problem.fields
        }
        starts = [face for face in problem.edges.hard if face.index == index]
        return cls(
            tuple(Piece(face, domain, axes, built[face.field]) for face in starts), problem, index, place
        )

    def conditions(self, state: State) -> list[Condition]:
        """The initial conditions that go on from a state."""
        name = self.problem.domain.names[self.along]
        found = []
        for piece, coefficients in zip(self.pieces, state.coefficients, strict=True):
            told = OfPoint(partial(piece.value, coefficients)) if piece.axes else float(coefficients)
            terms = ((1.0, piece.order),)
            found.append(Condition("initial", (name,), ("lower",), terms, told, piece.face.field, hard=True))
        return found

    def stored(self, function: Callable[[Tensor], Tensor], span: float, settings: Settings) -> State:
        """The state where a slab ends: by as few waves as store it to round-off.

        Args:
            function: all fields on that slab, of a point.
            span: its length.
            settings: of the solver.

        Source: Huybrechs (2010), doi:10.1137/090752456 (waves of twice the length).
        """
        requests = tuple(Request(piece.face.field, ((self.along,) * piece.order,)) for piece in self.pieces)
        differentiated = Differentiated(self.problem.fields, requests, "nested")

        def at_point(x: Tensor) -> Tensor:
            found = differentiated.values(function, x)
            return torch.stack([found[request] for request in requests])

        def at_points(s: Tensor) -> Tensor:
            x = self._points(s).to(**settings.where)
            with torch.no_grad():
                return torch.cat([vmap(at_point)(some) for some in torch.split(x, CHUNK)]).T.double().cpu()

        dimensions = len(self.pieces[0].axes)
        if not dimensions:
            return State(at_points(torch.zeros(1, 0))[:, 0].to(**settings.where), 0.0)
        unit = sampling.sample("sobol", random.fold_in(settings.key, 3), JUDGED, dimensions)
        judged = 2 * unit - 1
        wanted = at_points(judged)
        epsilon = torch.finfo(settings.dtype).eps
        best: State | None = None
        for count in [count for count in WAVES if count**dimensions <= MOST]:
            coefficients = self._fitted(at_points, count).to(**settings.where)
            missed = self._missed(coefficients, judged, wanted, span)
            gained = best is None or missed < GAIN * best.error
            if best is None or missed < best.error:
                best = State(coefficients, missed)
            if missed <= EXACT * epsilon or (best.error < math.sqrt(epsilon) and not gained):
                break
        assert best is not None
        return best

    def _points(self, s: Float[Tensor, "n others"]) -> Float[Tensor, "n dimensions"]:
        """Points of the interface from those of the other coordinates on [-1, 1], in float64."""
        here = s.new_zeros(len(s), 1)
        x = self.problem.domain.unscaled(
            0.5 + 0.5 * torch.cat([s[:, : self.along], here, s[:, self.along :]], 1)
        )
        x[:, self.along] = self.place
        return x

    def _fitted(self, at_points: Callable[[Tensor], Tensor], count: int) -> Tensor:
        """The coefficients of so many waves along each coordinate, by least squares."""
        axes = self.pieces[0].axes
        samples = [axis.samples(count) for axis in axes]
        grid = torch.cartesian_prod(*samples).reshape(-1, len(axes))
        found = []
        for piece, values in zip(self.pieces, at_points(grid), strict=True):
            left = values - vmap(piece.given)(self._points(grid))
            matrices = [self._matrix(piece, axis, s, count) for axis, s in zip(axes, samples, strict=True)]
            found.append(_solved(matrices, left.reshape([len(one) for one in samples])))
        return torch.stack(found)

    def _matrix(self, piece: Piece, axis: Axis, s: Tensor, count: int) -> Tensor:
        """The waves along one coordinate at some places, times the factor that vanishes at its edges."""
        domain = piece.domain
        faces = [face for face in self.problem.edges.hard if face.index == axis.coordinate]
        faces = [face for face in faces if face.field == piece.face.field]
        distance = build(faces, domain, [1 / length for length in domain.lengths]).distance
        waves = vmap(partial(axis.waves, count=count))(s)
        if distance is None:
            return waves
        x = s.new_zeros(len(s), domain.dimensions)
        x[:, axis.coordinate] = s
        return vmap(distance)(domain.unscaled(0.5 + 0.5 * x))[:, None] * waves

    def _missed(self, coefficients: Tensor, s: Tensor, wanted: Tensor, span: float) -> float:
        """How far a state is off at some places, over the size of its field: the worst of its pieces.

        A derivative of order j counts by what it does in the time of a slab.
        """
        x = self._points(s).to(coefficients)
        sizes = dict.fromkeys(self.problem.fields, torch.finfo(torch.float64).tiny)
        missed = []
        for piece, one, exact in zip(self.pieces, coefficients, wanted, strict=True):
            field, share = piece.face.field, span**piece.order
            found = vmap(partial(piece.value, one))(x).double().cpu()
            missed.append((field, share * float((found - exact).abs().max())))
            sizes[field] = max(sizes[field], share * float(exact.abs().max()))
        return max(off / sizes[field] for field, off in missed)


def _solved(matrices: Sequence[Float[Tensor, "samples waves"]], values: Tensor) -> Tensor:
    """The coefficients of products of waves, for values on a grid: with one matrix for each of its axes.

    The singular values of all products are the products of the axes' own.
    """
    whole, found = torch.ones(()), values
    rights = []
    for matrix in matrices:
        left, sizes, right = torch.linalg.svd(matrix, full_matrices=False)
        found = torch.tensordot(found, left, dims=([0], [0]))
        whole = whole[..., None] * (sizes / sizes[0])
        rights.append(right / sizes[0])
    found = torch.where(whole > CUT, found / whole, 0.0)
    for right in rights:
        found = torch.tensordot(found, right, dims=([0], [0]))
    return found
