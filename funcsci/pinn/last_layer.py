"""The last layer alone: for a linear equation it is a linear least-squares problem."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor
from torch.func import grad_and_value, vmap

from funcsci import tree
from funcsci.optim import linear_least_squares
from funcsci.tree import Params, Scalar


def solve_last_layer(
    residual: Callable[[Params, Scalar], Scalar], params: Params, points: Float[Tensor, "points"]
) -> Params:
    r"""The parameters whose last layer minimizes $\sum_i r(t_i)^2$, the hidden layers kept.

    The residual must be affine in the last layer, $r = r_0 + A w$, as it is for a linear equation
    and a network without activation at its end. $A$ is the per-sample gradient of the residual.

    Args:
        residual: `residual(params, t)`, shape ().
        params: a tree with the key "layers", whose last entry is the last layer.
        points: the times $t_i$.

    Returns:
        Parameters of the same structure.
    """
    *hidden, last = params["layers"]
    flat, unravel = tree.ravel(last)

    def of_last(weights: Tensor, t: Scalar) -> Scalar:
        return residual({"layers": [*hidden, unravel(weights)]}, t)

    matrix, offset = vmap(grad_and_value(of_last), in_dims=(None, 0))(flat.new_zeros(flat.shape), points)
    return {"layers": [*hidden, unravel(linear_least_squares(matrix, -offset))]}
