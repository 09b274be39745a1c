"""What Taylor mode carries, and how many operations it takes."""

import math
from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch.func import grad, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from funcsci import nn, random, tree
from funcsci.autodiff import Operator, partials
from funcsci.autodiff.directions import plan, polarized

aten = torch.ops.aten


@given(st.lists(st.integers(0, 2), min_size=1, max_size=4).map(tuple))
def test_polarisation_is_an_identity_of_polynomials(term: tuple[int, ...]) -> None:
    """The k-th derivative of a form of degree k along a direction is k! times its value there."""
    found = polarized(term, 3)
    assert all(math.gcd(*line) == 1 for line in found)
    assert all(tuple(-one for one in line) not in found for line in found)
    for counts in ((i, j, len(term) - i - j) for i in range(len(term) + 1) for j in range(len(term) + 1 - i)):
        total = sum(
            factor
            * math.factorial(len(term))
            * math.prod(one**count for one, count in zip(line, counts, strict=True))
            for line, factor in found.items()
        )
        same = counts == tuple(term.count(place) for place in range(3))
        assert total == (math.prod(map(math.factorial, counts)) if same else 0)


@pytest.mark.parametrize(
    ("operators", "rows"),
    [
        ([((),)], 0),
        ([((0,),), ((1,),)], 2),
        ([((0, 0, 0),)], 3),  # the lower orders come with it
        ([((0,),), ((0, 0),), ((),)], 2),
        ([tuple((place, place) for place in range(10))], 11),  # one for each direction, and the sum
        ([((0,),), ((1,),), ((0, 0),)], 3),
        ([((0, 0), (1, 1)), ((0, 0),), ((1, 1),)], 4),  # the sum is read off its terms
        ([((0, 0), (1, 1)), ((0, 0),)], 4),  # and one of two is a row, as the other is there
        ([((0, 1),)], 3),
        ([((0, 1),), ((1, 0),)], 3),
        ([((0, 0), (1, 1)), ((0, 0), (1, 1)), ((0,),)], 3),
        ([((0,) * 4, (1,) * 4), ((0, 0), (1, 1))], 7),  # lower orders are below a collapsed sum
    ],
)
def test_the_plan_carries_no_more_than_is_needed(operators: Sequence[Operator], rows: int) -> None:
    assert sum(plan(operators, 10).layout.counts) == rows


def products(function: object, *arguments: torch.Tensor) -> list[tuple[int, ...]]:
    """The shapes of the results of all matrix products."""
    graph = make_fx(function)(*arguments).graph
    targets = (aten.mm.default, aten.bmm.default, aten.addmm.default, aten.baddbmm.default)
    return [tuple(node.meta["tensor_meta"].shape) for node in graph.nodes if node.target in targets]


def test_all_derivatives_share_one_matrix_product_for_each_layer() -> None:
    model = nn.mlp((5, 16, 16, 16, 3))
    params = model.init(random.key(0))
    points = random.uniform(random.key(1), (7, 5))
    laplacian = tuple((place, place) for place in range(5))
    found = products(vmap(partials(lambda x: model.apply(params, x), (laplacian,))), points)
    # The first layer's derivatives are its weights, whatever the point; then all rows go together.
    assert sorted(found) == sorted([(7, 16), (5, 16), (7 * 7, 16), (7 * 7, 16), (7 * 7, 3)])
    derivatives = (((),), ((0,),), ((1,),), ((0, 0),))
    found = products(vmap(partials(lambda x: model.apply(params, x), derivatives)), points)
    assert sorted(found) == sorted([(7, 16), (2, 16), (7 * 4, 16), (7 * 4, 16), (7 * 4, 3)])


def test_a_step_takes_one_product_forward_and_two_backward_for_each_hidden_layer() -> None:
    model = nn.mlp((1, 16, 16, 1))
    params = model.init(random.key(0))
    points = random.uniform(random.key(1), (7, 1))
    leaves, structure = tree.flatten(params)

    def loss(*leaves: torch.Tensor) -> torch.Tensor:
        def residual(x: torch.Tensor) -> torch.Tensor:
            params = tree.unflatten(structure, leaves)
            u, utt = partials(lambda x: model.apply(params, x)[0], (((),), ((0, 0),)))(x)
            return utt + u

        return vmap(residual)(points).square().mean()

    found = products(grad(loss, argnums=tuple(range(len(leaves)))), *leaves)
    assert sorted(found) == sorted([(21, 16), (21, 16), (16, 16)])
