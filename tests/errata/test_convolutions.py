"""Errata of module 5: pixels, windows, padding, pooling and normalisation."""

import itertools
import math

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

from funcsci import nn, random, tree

Window = nn.Window


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(73), shape)


def test_below_pixel_1_of_28_columns_is_pixel_29():
    """Whether one counts from 0 or from 1; pixel 28 is the row's end, or the neighbour below pixel 0."""
    for first in (0, 1):
        picture = torch.arange(first, first + 784).reshape(28, 28)
        row, column = (picture == 1).nonzero()[0].tolist()
        assert int(picture[row + 1, column]) == 29


def test_flattening_loses_nothing_and_a_dense_layer_sees_no_order():
    picture = values(28, 28)
    assert torch.equal(picture.flatten().reshape(28, 28), picture)
    layer = nn.linear(784, 10)
    params = layer.init(random.key(0))
    order = random.permutation(random.key(1), 784)
    moved = {**params, "weight": params["weight"][:, order]}
    torch.testing.assert_close(
        layer.apply(moved, picture.flatten()[order]), layer.apply(params, picture.flatten())
    )


def test_conv2d_takes_one_picture_and_has_siblings_for_lines_and_volumes():
    picture = values(3, 8, 8)
    layer = torch.nn.Conv2d(3, 4, 3)
    torch.testing.assert_close(layer(picture), layer(picture[None])[0])
    ours = nn.conv2d(3, 4, 3)
    assert ours.apply(ours.init(random.key(0)), picture).shape == (4, 6, 6)
    assert torch.nn.Conv1d(3, 4, 3)(values(2, 3, 8)).dim() == 3
    assert torch.nn.Conv3d(3, 4, 3)(values(2, 3, 4, 4, 4)).dim() == 5


def test_a_convolution_layer_computes_a_correlation():
    picture, kernel = values(9, 9), values(12)[:9].reshape(3, 3)
    found = F.conv2d(picture[None, None], kernel[None, None])[0, 0].numpy()
    correlation = scipy.signal.correlate2d(picture.numpy(), kernel.numpy(), mode="valid")
    np.testing.assert_allclose(found, correlation, atol=1e-13)
    convolution = scipy.signal.convolve2d(picture.numpy(), kernel.numpy(), mode="valid")
    assert np.abs(found - convolution).max() > 0.1


@pytest.mark.parametrize("size", [7, 8])
def test_a_stride_of_two_skips_no_pixel_and_does_not_always_halve(size):
    x = values(1, 1, size, size)
    layer = torch.nn.Conv2d(1, 1, 3, stride=2, padding=1)
    assert layer(x).shape[-1] == nn.conv_output_size(size, Window(3, 2, 1))[0] == math.ceil(size / 2)
    used = torch.func.grad(lambda x: F.conv2d(x, torch.ones(1, 1, 3, 3), stride=2, padding=1).sum())(x)
    assert bool((used > 0).all())  # every pixel is under a window


def test_pooling_drops_what_does_not_fill_a_window():
    x = torch.zeros(1, 1, 7, 7)
    x[..., -1, :] = 1.0
    pooled = torch.nn.MaxPool2d(2)(x)
    assert pooled.shape[-1] == nn.conv_output_size(7, Window(2, 2))[0] == 3
    assert float(pooled.max()) == 0  # the last row was not looked at


def test_no_padding_keeps_the_size_under_an_even_window():
    for padding in range(5):
        assert F.conv1d(values(1, 1, 10), values(1, 1, 4), padding=padding).shape[-1] != 10
    for kernel in (3, 5, 7):
        assert nn.conv_output_size(10, Window(kernel, 1, (kernel - 1) // 2)) == (10,)
    with pytest.raises(ValueError, match="strided"):
        torch.nn.Conv1d(1, 1, 3, stride=2, padding="same")


def second_difference(u: torch.Tensor, mode: str, h: float) -> torch.Tensor:
    """By a convolution whose padding makes the ghost cells."""
    stencil = nn.conv1d(1, 1, 3, padding=1, padding_mode=mode, bias=False)
    weight = torch.tensor([[[1.0, -2.0, 1.0]]]) / h**2
    return stencil.apply({"weight": weight}, u[None])[0]


@pytest.mark.parametrize("cells", [50, 100, 200])
def test_zero_padding_is_no_wall_at_the_face_of_a_cell(cells):
    """u = sin πx is zero at the walls. That needs -u1 in the ghost cell; zero errs by u1 / h² ~ π / 2h."""
    h = 1 / cells
    x = (torch.arange(cells) + 0.5) * h
    u = torch.sin(torch.pi * x)
    exact = -(torch.pi**2) * u
    error = second_difference(u, "zeros", h) - exact
    assert float(error[0]) * h == pytest.approx(math.pi / 2, rel=0.01)  # grows as the grid is refined
    odd = torch.cat([-u[:1], u, -u[-1:]])
    mirrored = (odd[2:] - 2 * odd[1:-1] + odd[:-2]) / h**2
    assert float((mirrored - exact).abs().max()) < 10 * h**2
    # Where the wall lies on the ghost point itself, zero is right.
    nodes = torch.arange(1, cells) * h
    inner = second_difference(torch.sin(torch.pi * nodes), "zeros", h)
    assert float((inner + torch.pi**2 * torch.sin(torch.pi * nodes)).abs().max()) < 10 * h**2


def test_zero_padding_holds_no_output_at_zero():
    """The condition is on what the layer reads; what it gives at the edge is any number."""
    layer = nn.conv1d(1, 1, 3, padding=1)
    y = layer.apply({"weight": torch.ones(1, 1, 3), "bias": torch.ones(1)}, torch.ones(1, 8))[0]
    assert y.tolist() == [3, 4, 4, 4, 4, 4, 4, 3]  # of a constant, no longer constant


@pytest.mark.parametrize("cells", [50, 200])
def test_reflection_padding_is_no_neumann_condition_at_the_face_of_a_cell(cells):
    """u = cos πx has no slope at the walls. That takes u1 (replicate); reflection has u2 and doubles u''."""
    assert F.pad(torch.tensor([[1.0, 2.0, 3.0]]), (1, 1), "reflect").tolist() == [[2, 1, 2, 3, 2]]
    assert F.pad(torch.tensor([[1.0, 2.0, 3.0]]), (1, 1), "replicate").tolist() == [[1, 1, 2, 3, 3]]
    h = 1 / cells
    u = torch.cos(torch.pi * (torch.arange(cells) + 0.5) * h)
    exact = -(torch.pi**2) * u
    replicated, reflected = (second_difference(u, mode, h) / exact for mode in ("replicate", "reflect"))
    assert float(replicated[0]) == pytest.approx(1, abs=2 * h)
    assert float(reflected[0]) == pytest.approx(2, abs=2 * h)


def test_max_pooling_notices_a_step_across_the_border_of_a_window():
    """A step inside of one is not seen; of eight places half lose the feature to the next window."""
    pooled = F.max_pool1d(torch.eye(8)[:, None], 2)[:, 0]
    same = [torch.equal(pooled[place], pooled[place + 1]) for place in range(7)]
    assert same == [True, False, True, False, True, False, True]


def test_batch_norm_divides_by_the_biased_deviation_and_keeps_the_unbiased():
    x = 3 + 2 * values(4, 2, 3)
    layer, ours = torch.nn.BatchNorm1d(2), nn.batch_norm(2)
    y = layer(x)
    mean = x.mean((0, 2), keepdim=True)
    biased, unbiased = (x.var((0, 2), correction=correction) for correction in (0, 1))
    torch.testing.assert_close(y.detach(), (x - mean) / (biased[:, None] + 1e-5).sqrt())
    assert not torch.allclose(y, (x - mean) / unbiased[:, None].sqrt(), rtol=1e-2)
    torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * unbiased)
    params, state = ours.init(random.key(0))
    found, state = ours.apply(params, state, x, train=True)
    torch.testing.assert_close(found, y.detach())
    torch.testing.assert_close(state["running_var"], layer.running_var)
    flat, _ = ours.apply(params, state, torch.ones(4, 2, 3), train=True)
    assert torch.equal(flat, torch.zeros(4, 2, 3))  # and not 0 / 0: ε is under the root


def test_batch_norm_gives_the_mean_beta_and_the_deviation_gamma():
    """The data stay centred and scaled only until γ and β are learned."""
    model = nn.batch_norm(1)
    _, state = model.init(random.key(0))
    params = {"weight": torch.tensor([7.0]), "bias": torch.tensor([-5.0])}
    y, _ = model.apply(params, state, values(64, 1, 8), train=True)
    assert float(y.mean()) == pytest.approx(-5)
    assert float(y.std(correction=0)) == pytest.approx(7, rel=1e-4)


def weights(*channels: int, kernel: int) -> int:
    pairs = itertools.pairwise(channels)
    layers = [nn.conv2d(before, after, kernel, bias=False) for before, after in pairs]
    return sum(tree.size(layer.init(random.key(0))) for layer in layers)


def test_two_windows_of_three_have_fewer_weights_only_where_there_are_channels():
    """18 C² against 25 C² between equal channels; from 3 to 64 it is 38,592 against 4,800."""
    assert weights(64, 64, 64, kernel=3) / weights(64, 64, kernel=5) == pytest.approx(18 / 25)
    assert (weights(3, 64, 64, kernel=3), weights(3, 64, kernel=5)) == (38_592, 4_800)
    assert nn.receptive_field(Window(3), Window(3)).size == nn.receptive_field(Window(5)).size
    assert nn.receptive_field(Window(3), Window(3), Window(3)).size == nn.receptive_field(Window(7)).size


def test_a_bias_before_batch_norm_does_nothing():
    conv, norm = nn.conv2d(1, 4, 3), nn.batch_norm(4)
    params, (scale, state) = conv.init(random.key(0)), norm.init(random.key(1))
    x, target = values(8, 1, 6, 6), values(8, 4, 4, 4)

    def loss(bias):
        y, _ = norm.apply(scale, state, conv.apply({**params, "bias": bias}, x), train=True)
        return nn.mse(y, target)

    gradient = torch.func.grad(loss)(params["bias"])
    assert float(gradient.abs().max()) < 1e-15
    torch.testing.assert_close(loss(params["bias"]), loss(params["bias"] + 100))


def test_the_size_after_a_convolution_is_rounded_down():
    """Exercise 5.1, layer by layer; rounded up, its last convolution would leave 8 · 8 · 32 numbers."""
    stack = [Window(5), Window(2, 2), Window(3, 1, 1), Window(3, 2, 1)]
    sizes = [nn.conv_output_size((32, 32), *stack[: count + 1])[0] for count in range(4)]
    assert sizes == [28, 14, 14, 7]
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 5),
        torch.nn.MaxPool2d(2, 2),
        torch.nn.Conv2d(16, 32, 3, padding=1),
        torch.nn.Conv2d(32, 32, 3, stride=2, padding=1),
        torch.nn.Flatten(),
    )
    assert layers(torch.zeros(1, 1, 32, 32)).shape == (1, 32 * 7 * 7)
    assert math.ceil((14 + 2 - 3) / 2 + 1) == 8
    assert [nn.conv_output_size(28, *[Window(2, 2)] * count)[0] for count in (1, 2, 3)] == [14, 7, 3]


def test_sobel_is_positive_where_it_grows_bright():
    """Left of the strip it is dark; the text calls that edge light to dark."""
    picture = torch.zeros(1, 1, 10, 10)
    picture[..., 4:6] = 5.0
    kernel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
    (row,) = F.conv2d(picture, kernel[None, None])[0, 0].unique(dim=0).tolist()
    assert row == [0, 0, 20, 20, -20, -20, 0, 0]
    grows = np.convolve(picture[0, 0, 0].numpy(), [1, 0, -1], mode="valid")  # right minus left
    assert np.sign(row).tolist() == np.sign(grows).tolist()
    ones = F.conv2d(picture / 5, kernel[None, None])
    assert float(ones.max()) == 4  # what a strip of ones would give


def test_writing_through_data_hides_from_autograd():
    w = values(3).requires_grad_()
    before = w.detach().clone()
    loss = w.square().sum()
    w.data.zero_()
    loss.backward()
    assert torch.equal(w.grad, torch.zeros(3)) and not torch.equal(w.grad, 2 * before)
    w = before.clone().requires_grad_()
    loss = w.square().sum()
    with torch.no_grad():
        w.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_accuracy_on_what_was_learned_says_nothing_of_what_was_not():
    """Random labels of 50 points in 100 dimensions are learned without an error; of 200 others, half."""
    x = values(250, 100)
    labels = torch.sign(random.normal(random.key(9), (250,)))
    weight = torch.linalg.pinv(x[:50]) @ labels[:50]
    right = torch.sign(x @ weight) == labels
    assert float(right[:50].double().mean()) == 1
    assert float(right[50:].double().mean()) == pytest.approx(0.5, abs=0.1)


def test_without_eval_a_digit_is_judged_by_its_neighbours_and_the_state_moves():
    norm, x = torch.nn.BatchNorm1d(3), values(8, 3)
    alone = norm(x)[0]
    among_others = norm(torch.cat([x[:1], 5 * x[1:]]))[0]
    assert not torch.allclose(alone, among_others)
    with pytest.raises(ValueError, match="more than 1 value"):
        norm(x[:1])
    moved = norm.running_mean.clone()
    norm.eval()
    torch.testing.assert_close(norm(x)[0], norm(torch.cat([x[:1], 5 * x[1:]]))[0])
    assert torch.equal(norm.running_mean, moved)
