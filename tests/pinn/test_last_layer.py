"""The last layer alone: least squares on what the network is linear in."""

import torch
from torch.func import grad, vmap

from funcsci import nn, random, tree
from funcsci.pinn.last_layer import solve_last_layer

NETWORK = nn.mlp((1, 12, 8, 1))
PARAMS = NETWORK.init(random.key(0), dtype=torch.float64)
POINTS = torch.linspace(-1, 1, 60, dtype=torch.float64)


def residual(params, t):
    return NETWORK.apply(params, t[None])[0] - torch.sin(3 * t)


def test_agrees_with_lstsq_on_the_features() -> None:
    hidden = POINTS[:, None]
    for layer in PARAMS["layers"][:-1]:
        hidden = torch.tanh(hidden @ layer["weight"].T + layer["bias"])
    matrix = torch.cat([hidden, torch.ones(60, 1)], dim=1)
    oracle = torch.linalg.lstsq(matrix, torch.sin(3 * POINTS)[:, None], driver="gelsd").solution[:, 0]
    found = solve_last_layer(residual, PARAMS, POINTS)
    values = vmap(lambda t: NETWORK.apply(found, t[None])[0])(POINTS)
    torch.testing.assert_close(values, matrix @ oracle, atol=1e-10, rtol=0)


def test_is_a_minimum_and_keeps_the_hidden_layers() -> None:
    found = solve_last_layer(residual, PARAMS, POINTS)
    assert all(torch.equal(a, b) for a, b in zip(
        tree.leaves(found["layers"][:-1]), tree.leaves(PARAMS["layers"][:-1]), strict=True
    ))  # fmt: skip

    def loss(last):
        return (vmap(lambda t: residual({"layers": [*found["layers"][:-1], last]}, t))(POINTS) ** 2).sum()

    slope = tree.leaves(grad(loss)(found["layers"][-1]))
    assert max(float(leaf.abs().max()) for leaf in slope) < 1e-9


def test_does_not_depend_on_where_the_last_layer_was() -> None:
    moved = {"layers": [*PARAMS["layers"][:-1], tree.map(lambda leaf: leaf + 5.0, PARAMS["layers"][-1])]}
    left, right = (solve_last_layer(residual, start, POINTS) for start in (PARAMS, moved))
    assert tree.allclose(left, right, rtol=0, atol=0)
