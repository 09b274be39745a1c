"""Derivatives as transforms of functions: nested `torch.func.grad`, `jacrev` and `vmap`.

Each operator takes a function and returns a function. They act at one point; `torch.func.vmap`
maps them over a batch, and they nest: `derivative(derivative(f))` is `derivative(f, 2)`. This is
the reference that faster ways of differentiating are measured against.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch._dynamo  # else the first call of torch.func.grad would, for a second or more
from jaxtyping import Float
from torch import Tensor
from torch.func import grad, grad_and_value, jacrev, vmap

from funcsci import checks
from funcsci.tree import PyTree, Scalar


def derivative(function: Callable[..., Scalar], order: int = 1, *, argnum: int = 0) -> Callable[..., Scalar]:
    r"""The derivative of a scalar function of a scalar, $f \mapsto \mathrm d^n f / \mathrm d t^n$.

    Args:
        function: `f(t, *rest) -> scalar`, with `t` of shape ().
        order: how many times to differentiate; 0 returns the function itself.
        argnum: which argument is `t`.

    Returns:
        A function of the same arguments, with a result of shape ().

    Raises:
        TypeError: if `order` is not an integer.
        ValueError: if `order` is negative.

    Example:
        >>> import torch
        >>> derivative(torch.sin, 2)(torch.tensor(0.5, dtype=torch.float64))
        tensor(-0.4794, dtype=torch.float64)
    """
    checks.integer(order=order, least=0)
    for _ in range(order):
        function = grad(function, argnums=argnum)
    return function


def partial(function: Callable[..., Scalar], coordinates: Sequence[int]) -> Callable[..., Scalar]:
    r"""A partial derivative of a scalar field, $\partial^k f / \partial x_i \partial x_j \dots$.

    Args:
        function: `f(x, *rest) -> scalar`, with `x` of shape `(dimensions,)`.
        coordinates: the indices to differentiate by, one for each order: `(0, 0, 1)` is
            $\partial^3 f / \partial x_0^2 \partial x_1$.

    Returns:
        A function of the same arguments, with a result of shape ().

    Raises:
        TypeError: if an index is not an integer.
        ValueError: if an index is negative.

    Example:
        >>> import torch
        >>> x = torch.tensor([2.0, 3.0], dtype=torch.float64)
        >>> partial(lambda x: x[0] ** 2 * x[1], (0, 1))(x)
        tensor(4., dtype=torch.float64)
    """
    for index in coordinates:
        checks.integer(coordinates=index, least=0)
        function = _component(grad(function), index)
    return function


def _component(function: Callable[..., Tensor], index: int) -> Callable[..., Scalar]:
    return lambda x, *rest: function(x, *rest)[index]


def gradient(function: Callable[..., Scalar]) -> Callable[..., PyTree]:
    r"""The gradient of a scalar function by its first argument, $f \mapsto \nabla f$.

    Args:
        function: `f(x, *rest) -> scalar`; `x` may be any pytree of tensors.

    Returns:
        A function of the same arguments whose result has the structure and shapes of `x`.

    Example:
        >>> import torch
        >>> gradient(lambda x: (x**2).sum())(torch.tensor([1.0, 2.0]))
        tensor([2., 4.])
    """
    return grad(function)


def value_and_grad(
    function: Callable[..., Any], *, has_aux: bool = False
) -> Callable[..., tuple[Any, PyTree]]:
    r"""The value of a scalar function and its gradient by the first argument, in one pass.

    Args:
        function: `f(x, *rest) -> scalar`, or `-> (scalar, aux)`.
        has_aux: whether the function returns a second result that is not differentiated.

    Returns:
        A function with the result `(value, gradient)`, or `((value, aux), gradient)`.

    Differs from `torch.func.grad_and_value` in its order, which is `jax.value_and_grad`'s.

    Example:
        >>> import torch
        >>> value_and_grad(lambda x: x**3)(torch.tensor(2.0))
        (tensor(8.), tensor(12.))
    """
    transformed = grad_and_value(function, has_aux=has_aux)

    def both(*args: Any, **kwargs: Any) -> tuple[Any, PyTree]:
        gradient, value = transformed(*args, **kwargs)
        return value, gradient

    return both


def jacobian(function: Callable[..., PyTree]) -> Callable[..., PyTree]:
    r"""The Jacobian of a function by its first argument, $J_{ij} = \partial f_i / \partial x_j$.

    Args:
        function: `f(x, *rest) -> y`; both may be pytrees.

    Returns:
        A function whose result has the shape of `y` followed by that of `x` (for pytrees: a tree
        of `y`'s structure of trees of `x`'s structure).

    Example:
        >>> import torch
        >>> jacobian(lambda x: torch.stack([x[0] * x[1], x[1]]))(torch.tensor([2.0, 3.0]))
        tensor([[3., 2.],
                [0., 1.]])
    """
    return jacrev(function)


def hessian(function: Callable[..., Scalar]) -> Callable[..., Tensor]:
    r"""The matrix of second derivatives, $H_{ij} = \partial^2 f / \partial x_i \partial x_j$.

    Args:
        function: `f(x, *rest) -> scalar`, with `x` of shape `(dimensions,)`.

    Returns:
        A function with a result of shape `(dimensions, dimensions)`.

    Example:
        >>> import torch
        >>> hessian(lambda x: x[0] ** 2 * x[1])(torch.tensor([2.0, 3.0]))
        tensor([[6., 4.],
                [4., 0.]])
    """
    return jacrev(grad(function))


def divergence(function: Callable[..., Float[Tensor, "dimensions"]]) -> Callable[..., Scalar]:
    r"""The divergence of a vector field, $\nabla \cdot f = \sum_i \partial f_i / \partial x_i$.

    Args:
        function: `f(x, *rest) -> y`, with `x` and `y` of shape `(dimensions,)`.

    Returns:
        A function of the same arguments, with a result of shape ().

    Raises:
        ValueError: if `y` has another shape than `x`.

    Example:
        >>> import torch
        >>> divergence(lambda x: x**2)(torch.tensor([1.0, 2.0]))
        tensor(6.)
    """

    def operator(x: Float[Tensor, "dimensions"], *rest: Any) -> Scalar:
        _vector("divergence", x)

        def along(direction: Tensor) -> Scalar:
            def component(s: Scalar) -> Scalar:
                y = function(x + s * direction, *rest)
                if y.shape != x.shape:
                    raise ValueError(
                        "divergence needs a field with as many components as coordinates. "
                        f"Got x of shape {tuple(x.shape)}, f(x) of shape {tuple(y.shape)}. "
                        "Return one component for each coordinate."
                    )
                return (y * direction).sum()

            slope: Scalar = grad(component)(torch.zeros_like(x[0]))
            return slope

        return vmap(along)(torch.eye(x.shape[0], dtype=x.dtype, device=x.device)).sum()

    return operator


def laplacian(function: Callable[..., Scalar]) -> Callable[..., Scalar]:
    r"""The Laplacian of a scalar field, $\Delta f = \sum_i \partial^2 f / \partial x_i^2$.

    Each second derivative is taken along its own axis; no full Hessian is formed.

    Args:
        function: `f(x, *rest) -> scalar`, with `x` of shape `(dimensions,)`.

    Returns:
        A function of the same arguments, with a result of shape ().

    Example:
        >>> import torch
        >>> laplacian(lambda x: x[0] ** 3 + x[1] ** 2)(torch.tensor([2.0, 5.0]))
        tensor(14.)
    """

    def operator(x: Float[Tensor, "dimensions"], *rest: Any) -> Scalar:
        _vector("laplacian", x)

        def along(direction: Tensor) -> Scalar:
            return derivative(lambda s: function(x + s * direction, *rest), 2)(torch.zeros_like(x[0]))

        return vmap(along)(torch.eye(x.shape[0], dtype=x.dtype, device=x.device)).sum()

    return operator


def per_sample_gradient(loss: Callable[..., Scalar]) -> Callable[..., PyTree]:
    r"""The gradient of each sample's loss, $g_n = \nabla_\theta \ell(\theta, z_n)$.

    Args:
        loss: `l(params, *sample) -> scalar`.

    Returns:
        A function of `(params, *batch)`, whose batch tensors have the samples along their first
        dimension, with a result of the structure of `params` and a new first dimension.

    Example:
        >>> import torch
        >>> loss = lambda w, x, y: (w * x - y) ** 2
        >>> per_sample_gradient(loss)(torch.tensor(1.0), torch.tensor([1.0, 2.0]), torch.zeros(2))
        tensor([2., 8.])
    """

    def batched(params: PyTree, *batch: PyTree) -> PyTree:
        return vmap(grad(loss), in_dims=(None, *(0 for _ in batch)))(params, *batch)

    return batched


def _vector(operator: str, x: Tensor) -> None:
    if x.dim() != 1:
        raise ValueError(
            f"{operator} acts at one point, a vector of shape (dimensions,). "
            f"Got x of shape {tuple(x.shape)}. Use torch.func.vmap for a batch of points."
        )
