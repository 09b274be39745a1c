"""Errata of modules 3 and 4: models, losses, steps, activations and batches."""

import math

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from funcsci import data, nn, optim, random


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(72), shape)


class Ensemble(torch.nn.Module):
    """One layer in a list, one registered, one frozen, and a tensor that is no parameter."""

    def __init__(self):
        super().__init__()
        self.hidden = [torch.nn.Linear(2, 2)]
        self.listed = torch.nn.ModuleList([torch.nn.Linear(2, 2)])
        self.frozen = torch.nn.Linear(2, 2).requires_grad_(False)
        self.scale = torch.ones(1, requires_grad=True)


def test_parameters_are_what_was_registered_frozen_or_not():
    model = Ensemble()
    names = {name for name, _ in model.named_parameters()}
    assert names == {"listed.0.weight", "listed.0.bias", "frozen.weight", "frozen.bias"}
    assert not model.frozen.weight.requires_grad and model.scale.requires_grad


def test_the_loop_does_not_train_with_lbfgs():
    """A line search has to compute the loss again: step takes a closure."""
    weight = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight])
    weight.square().sum().backward()
    with pytest.raises(TypeError, match="closure"):
        optimizer.step()


def test_linear_layers_in_a_row_are_one_affine_map_of_bounded_rank():
    first, second = nn.linear(6, 2), nn.linear(2, 6)
    one, two = first.init(random.key(0)), second.init(random.key(1))
    x = values(5, 6)

    def stacked(x):
        return second.apply(two, first.apply(one, x))

    weight = two["weight"] @ one["weight"]
    offset = two["weight"] @ one["bias"] + two["bias"]
    torch.testing.assert_close(stacked(x), x @ weight.T + offset)
    assert not torch.allclose(stacked(2 * x), 2 * stacked(x))  # not linear
    assert int(torch.linalg.matrix_rank(weight)) == 2  # and no matrix of full rank is such a product


def test_a_linear_layer_refuses_the_one_dimensional_x():
    x = values(100)
    layer = torch.nn.Linear(1, 1)
    assert values(100, 1).dim() == 2
    with pytest.raises(RuntimeError):
        layer(x)
    assert layer(x.unsqueeze(-1)).shape == (100, 1)


def test_a_column_and_a_vector_make_a_square_of_differences():
    """Where y has the shape (100,) and the prediction (100, 1), a perfect one has a loss of 2 var(y)."""
    y = values(100)
    prediction = y.unsqueeze(-1)
    assert (prediction - y).shape == (100, 100)
    torch.testing.assert_close((prediction - y).square().mean(), 2 * y.var(correction=0))
    assert float(nn.mse(prediction, y.unsqueeze(-1))) == 0


def test_a_hundred_epochs_at_a_hundredth_go_part_of_the_way():
    """With x of variance 1 and mean 0 each step takes the share 2 η of what is left to the best line."""
    line = data.noisy_line(random.key(4), 100)
    x = (line["x"] - line["x"].mean()) / line["x"].std(correction=0)
    y = 5 * x - 2 + 0.1 * values(100, 1)
    best = torch.linalg.lstsq(torch.cat([x, torch.ones_like(x)], 1), y).solution.flatten()
    gradient = torch.func.grad(lambda w: nn.mse(w[0] * x + w[1], y))
    ends = {}
    for rate in (0.01, 0.1):
        optimizer, w = optim.sgd(rate), torch.zeros(2)
        state = optimizer.init(w)
        for _ in range(100):
            updates, state = optimizer.update(gradient(w), state, w)
            w = w + updates
        torch.testing.assert_close(w, (1 - (1 - 2 * rate) ** 100) * best)
        ends[rate] = w
    assert ends[0.01].tolist() == pytest.approx([4.34, -1.73], abs=0.05)
    assert ends[0.1].tolist() == pytest.approx([5, -2], abs=0.05)


@pytest.mark.parametrize(
    ("initializer", "shrinks"), [(None, True), (nn.initializers.kaiming_normal(nonlinearity="relu"), False)]
)
def test_relu_does_not_keep_gradients_from_vanishing(initializer, shrinks):
    """torch's weights have the variance 1 / (3 n), and half the units pass: a factor of 1/√6 a layer."""
    depth, width = 20, 128
    model = nn.mlp((width,) * (depth + 2), activation="relu", bias=False, weight_init=initializer)
    params = model.init(random.key(0))
    x = values(width)
    after = values(2, width)[1]
    (gradient,) = torch.func.vjp(lambda x: model.apply(params, x), x)[1](after)
    ratio = float(gradient.norm() / after.norm())
    per_layer = ratio ** (1 / (depth + 1))
    expected = math.sqrt(1 / 6) if shrinks else 1.0
    assert per_layer == pytest.approx(expected, rel=0.15)
    assert (ratio < 1e-6) == shrinks


def test_relu_of_a_negative_input_passes_no_gradient():
    gradient = torch.func.vmap(torch.func.grad(torch.relu))(torch.tensor([-1.0, 2.0]))
    assert gradient.tolist() == [0.0, 1.0]


def test_a_dataloader_is_no_iterator():
    loader = DataLoader(TensorDataset(values(10)), batch_size=4)
    with pytest.raises(TypeError, match="iterator"):
        next(loader)
    assert len(list(loader)) == len(list(loader)) == 3  # it can be gone through again
    assert loader.num_workers == 0  # and by default nothing is parallel


class Counted(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter(torch.arange(6))


def test_a_dataset_needs_neither_a_length_nor_items():
    batches = list(DataLoader(Counted(), batch_size=4))
    assert [batch.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5]]
    with pytest.raises(TypeError):
        len(Counted())


def test_the_last_batch_is_short_and_the_mean_of_means_is_not_the_mean():
    """Exercise 4.3: 1,000 points in batches of 64 are fifteen and one of 40."""
    x = torch.arange(1000.0)
    sizes = [len(batch) for (batch,) in DataLoader(TensorDataset(x), batch_size=64)]
    assert sizes == [64] * 15 + [40]
    means = torch.stack([batch.mean() for (batch,) in DataLoader(TensorDataset(x), batch_size=64)])
    assert abs(float(means.mean() - x.mean())) > 10
    weighted = (means * torch.tensor(sizes)).sum() / sum(sizes)
    torch.testing.assert_close(weighted, x.mean())


def test_a_dataset_that_holds_a_tensor_loads_nothing_lazily():
    x = values(1000, 1)
    dataset = TensorDataset(x)  # as the text's class: the whole tensor, in memory
    assert dataset.tensors[0].data_ptr() == x.data_ptr()
    assert dataset[5][0].data_ptr() == x[5].data_ptr()


def sine_model() -> tuple[nn.Model, dict[str, torch.Tensor]]:
    return nn.mlp((1, 20, 20, 1)), data.noisy_sine(random.key(0))


def test_fifty_epochs_do_not_find_the_sine():
    """Adam at its default rate: 50 · 16 steps leave ten times the noise's own 0.01."""
    model, sine = sine_model()
    x, y = (sine[name].float() for name in ("x", "y"))
    params = model.init(random.key(100), dtype=torch.float32)
    leaves = [
        leaf.clone().requires_grad_()
        for layer in params["layers"]
        for leaf in (layer["weight"], layer["bias"])
    ]

    def predicted(x):
        hidden = torch.tanh(torch.nn.functional.linear(x, leaves[0], leaves[1]))
        hidden = torch.tanh(torch.nn.functional.linear(hidden, leaves[2], leaves[3]))
        return torch.nn.functional.linear(hidden, leaves[4], leaves[5])

    optimizer = torch.optim.Adam(leaves)
    for key in random.split(random.key(1), 50):
        for batch in random.permutation(key, 1000).split(64):
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(predicted(x[batch]), y[batch]).backward()
            optimizer.step()
    assert float((predicted(x) - y).detach().square().mean()) > 0.1


def test_the_same_network_can_hold_the_sine():
    """What failed was the training: 20 steps side by side, handed on, and a last layer by least squares."""
    model, sine = sine_model()
    small = 1e-3  # tanh of it is all but the identity
    layers = [
        {"weight": torch.ones(20, 1), "bias": torch.linspace(-10, 10, 20)},
        {"weight": small * torch.eye(20), "bias": torch.zeros(20)},
    ]
    hidden = torch.tanh(nn.mlp((1, 20, 20)).apply({"layers": layers}, sine["x"]))
    last = torch.linalg.lstsq(hidden, torch.sin(sine["x"])).solution
    params = {"layers": [*layers, {"weight": last.T, "bias": torch.zeros(1)}]}
    assert float(nn.mse(model.apply(params, sine["x"]), torch.sin(sine["x"]))) < 1e-3
