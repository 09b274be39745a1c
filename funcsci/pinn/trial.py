"""Trial functions: a network made into a candidate for the solution."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from funcsci.pinn.domain import Domain, constant
from funcsci.pinn.hard import Built
from funcsci.pinn.network import Focus, Network
from funcsci.random import Key
from funcsci.tree import Params


class Trial(NamedTuple):
    r"""The fields $u = u_\text{before} + G + a\, D\, N$ at a point, with conditions built in by $G$ and $D$.

    Attributes:
        domain: where it is a candidate.
        network: $N$, of the point scaled to [-1, 1].
        built: $G$ and $D$ of each field.
        amplitude: $a$ of each field: its scale, or the size of the correction, in units of the field.
        before: an earlier stage that this one corrects, a function of a point; then $G = 0$.
        foci: as in `network.spread`.
    """

    domain: Domain
    network: Network
    built: tuple[Built, ...]
    amplitude: tuple[float, ...]
    before: Callable[[Tensor], Tensor] | None = None
    foci: tuple[Focus, ...] = ()

    def init(self, key: Key, **where: Any) -> Params:
        """Parameters of the network; arguments as for its own `init`."""
        return self.network.init(key, foci=self.foci, **where)

    def apply(self, params: Params, x: Float[Tensor, "dimensions"]) -> Float[Tensor, "fields"]:
        """All fields at a point."""
        free = self.network.apply(params, self.domain.scaled(x))
        return self.known(x) + self.factors(x) * free

    def known(self, x: Float[Tensor, "dimensions"]) -> Float[Tensor, "fields"]:
        """What does not depend on the parameters."""
        if self.before is not None:
            return self.before(x)
        zero = x.new_zeros(())
        return torch.stack([zero if one.extension is None else one.extension(x) for one in self.built])

    def factors(self, x: Float[Tensor, "dimensions"]) -> Float[Tensor, "fields"]:
        """What the network's outputs are multiplied by."""
        one = x.new_ones(())
        found = [one if built.distance is None else built.distance(x) for built in self.built]
        return constant(self.amplitude, x) * torch.stack(found)

    def homogeneous(self) -> "Trial":
        """The same function without what conditions ask for."""
        built = tuple(Built(None, one.distance) for one in self.built)
        return self._replace(built=built, before=None)

    def basis(self, params: Params, x: Float[Tensor, "dimensions"]) -> Float[Tensor, "fields width"]:
        """What each field is linear in, by the weights of the last layer."""
        features: Tensor = self.network.features(params, self.domain.scaled(x))
        return self.factors(x)[:, None] * features
