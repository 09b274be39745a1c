"""Convolutions and their transposes: torch's values and gradients for every option, stencils, messages."""

import re

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from funcsci import nn, random, tree
from funcsci.nn.conv import PADDING_MODES

KEY = random.key(5)
CONVS = (nn.conv1d, nn.conv2d, nn.conv3d)
TRANSPOSED = (nn.conv_transpose1d, nn.conv_transpose2d, nn.conv_transpose3d)
TORCH = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
TORCH_TRANSPOSED = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return random.normal(random.key(70 + seed), shape)


def per_dimension(draw, dims: int, numbers) -> int | tuple[int, ...]:
    """One number for all dimensions, or one for each."""
    return draw(numbers if draw(st.booleans()) else st.tuples(*[numbers] * dims))


def along(value, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else value


@st.composite
def convolutions(draw):
    """Dimensions, options and a size that holds the kernel, for what `torch.nn` takes."""
    dims = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 2))
    options = {
        "in_channels": groups * draw(st.integers(1, 2)),
        "out_channels": groups * draw(st.integers(1, 2)),
        "groups": groups,
        "kernel_size": per_dimension(draw, dims, st.integers(1, 4 - dims // 3)),
        "stride": per_dimension(draw, dims, st.integers(1, 3)),
        "dilation": per_dimension(draw, dims, st.integers(1, 2)),
        "bias": draw(st.booleans()),
        "padding_mode": draw(st.sampled_from(PADDING_MODES)),
    }
    same = all(step == 1 for step in along(options["stride"], dims))
    options["padding"] = (
        draw(st.sampled_from(["valid", "same"][: 1 + same]))
        if draw(st.booleans())
        else (per_dimension(draw, dims, st.integers(0, 2)))
    )
    size = tuple(draw(st.integers(4, 9 - 2 * (dims - 1))) for _ in range(dims))
    numbers = zip(along(options["dilation"], dims), along(options["kernel_size"], dims), strict=True)
    reach = [distance * (width - 1) + 1 for distance, width in numbers]
    # Beyond its own size a grid has neither mirror nor period, and without padding the kernel must fit.
    assume(all(cells >= width for cells, width in zip(size, reach, strict=True)))
    return dims, options, size


def assert_follows(model: nn.Model, module: torch.nn.Module, x: torch.Tensor) -> None:
    """Values and gradients by params and input, batched, for one sample, and under vmap."""
    params = dict(module.named_parameters())
    params = {name: leaf.detach() for name, leaf in params.items()}

    def loss(params, x):
        return torch.sin(model.apply(params, x)).sum()

    y = module(x.requires_grad_())
    torch.testing.assert_close(model.apply(params, x.detach()), y, rtol=0, atol=1e-12)
    torch.sin(y).sum().backward()
    by_params, by_x = torch.func.grad(loss, argnums=(0, 1))(params, x.detach())
    torch.testing.assert_close(by_x, x.grad, rtol=0, atol=1e-12)
    assert by_params.keys() == dict(module.named_parameters()).keys()
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(by_params[name], parameter.grad, rtol=0, atol=1e-12)

    sample = x.detach()[0]
    torch.testing.assert_close(model.apply(params, sample), module(sample), rtol=0, atol=1e-12)
    each = torch.func.vmap(model.apply, (None, 0))(params, x.detach())
    torch.testing.assert_close(each, y.detach(), rtol=0, atol=1e-12)


# torch's module says so of an even kernel, once in a process.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@given(convolutions())
def test_convolution_equals_torch(drawn):
    dims, options, size = drawn
    model = CONVS[dims - 1](**options)
    module = TORCH[dims - 1](**options, dtype=torch.float64, device="meta").to_empty(device="cpu")
    module.load_state_dict(model.init(KEY))
    assert_follows(model, module, values(2, options["in_channels"], *size))


@st.composite
def transposes(draw):
    dims = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 2))
    options = {
        "in_channels": groups * draw(st.integers(1, 2)),
        "out_channels": groups * draw(st.integers(1, 2)),
        "groups": groups,
        "kernel_size": per_dimension(draw, dims, st.integers(1, 3)),
        "stride": per_dimension(draw, dims, st.integers(1, 3)),
        "dilation": per_dimension(draw, dims, st.integers(1, 2)),
        "padding": per_dimension(draw, dims, st.integers(0, 1)),
        "output_padding": per_dimension(draw, dims, st.integers(0, 2)),
        "bias": draw(st.booleans()),
    }
    names = ("output_padding", "stride", "dilation")
    each = zip(*(along(options[name], dims) for name in names), strict=True)
    assume(all(extra < max(step, distance) for extra, step, distance in each))
    size = tuple(draw(st.integers(3, 5)) for _ in range(dims))
    return dims, options, size


@given(transposes())
def test_transposed_convolution_equals_torch(drawn):
    dims, options, size = drawn
    model = TRANSPOSED[dims - 1](**options)
    module = TORCH_TRANSPOSED[dims - 1](**options, dtype=torch.float64, device="meta").to_empty(device="cpu")
    module.load_state_dict(model.init(KEY))
    assert_follows(model, module, values(2, options["in_channels"], *size))


def test_the_transpose_is_the_adjoint():
    down = nn.conv2d(2, 3, 3, stride=2, padding=1, bias=False)
    up = nn.conv_transpose2d(3, 2, 3, stride=2, padding=1, output_padding=1, bias=False)
    params = down.init(KEY)
    x, y = values(4, 2, 8, 8), values(4, 3, 4, 4, seed=1)
    one = (down.apply(params, x) * y).sum()
    other = (x * up.apply(params, y)).sum()
    torch.testing.assert_close(one, other, rtol=1e-12, atol=0)


def test_sobel_finds_the_edges_of_a_strip():
    """Columns 4 and 5 are 5: a step up before them, seen from two columns, and as far down after them."""
    image = torch.zeros(1, 1, 10, 10)
    image[..., 4:6] = 5.0
    weight = torch.tensor([[[[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]]])
    response = nn.conv2d(1, 1, 3, bias=False).apply({"weight": weight}, image)
    expected = torch.tensor([0.0, 0.0, 20.0, 20.0, -20.0, -20.0, 0.0, 0.0])
    assert torch.equal(response, expected.expand(1, 1, 8, 8))


def test_a_periodic_stencil_differentiates_a_wave():
    """Central differences of second order: half the step, a quarter of the error."""

    def error(points: int) -> float:
        x = torch.arange(points) * (2 * torch.pi / points)
        stencil = torch.tensor([[[-1.0, 0.0, 1.0]]]) * points / (4 * torch.pi)
        model = nn.conv1d(1, 1, 3, padding="same", padding_mode="circular", bias=False)
        return float((model.apply({"weight": stencil}, torch.sin(x)[None])[0] - torch.cos(x)).abs().max())

    assert error(64) / error(128) == pytest.approx(4, rel=1e-2)


@pytest.mark.parametrize("make", [nn.conv2d, nn.conv_transpose2d])
def test_begins_as_torchs_and_on_every_device(make):
    model = make(64, 32, (3, 5), groups=2)
    module = {nn.conv2d: torch.nn.Conv2d, nn.conv_transpose2d: torch.nn.ConvTranspose2d}[make](
        64, 32, (3, 5), groups=2, device="meta"
    )
    params = model.init(KEY, device="meta", dtype=torch.float32)
    assert {n: p.shape for n, p in params.items()} == {n: p.shape for n, p in module.named_parameters()}
    assert (
        model.apply(params, torch.empty(1, 64, 9, 9, device="meta", dtype=torch.float32)).device.type
        == "meta"
    )
    drawn = model.init(KEY)
    bound = (drawn["weight"].shape[1] * 15) ** -0.5
    for leaf in drawn.values():
        assert leaf.abs().max() <= bound
        assert float(leaf.abs().max()) > 0.8 * bound
    assert torch.equal(make(64, 32, (3, 5), groups=2, bias=False).init(KEY)["weight"], drawn["weight"])


def test_channels_last_changes_memory_alone():
    model = nn.sequential(nn.conv2d(2, 4, 3), torch.relu, nn.max_pool2d(2))
    params, x = model.init(KEY), values(3, 2, 9, 9)
    y = nn.channels_last(model).apply(params, x)
    torch.testing.assert_close(y, model.apply(params, x), rtol=0, atol=1e-14)
    assert y.is_contiguous(memory_format=torch.channels_last) and not y.is_contiguous()
    lifted = nn.channels_last(nn.stateful(model))
    z, _ = lifted.apply(*lifted.init(KEY), x, train=True)
    assert z.stride() == y.stride()
    flat = nn.channels_last(nn.linear(3, 2))
    assert tree.allclose(
        flat.apply(flat.init(KEY), torch.ones(5, 3)), nn.linear(3, 2).apply(flat.init(KEY), torch.ones(5, 3))
    )


def applied(model: nn.Model, *shape: int):
    return model.apply(model.init(KEY), torch.zeros(shape))


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.conv2d(0, 1, 3), ValueError, "in_channels must be at least 1. Got in_channels=0."),
        (lambda: nn.conv2d(1, 1, 0), ValueError, "kernel_size must be at least 1. Got kernel_size=0."),
        (lambda: nn.conv2d(1, 1, (3, 0)), ValueError, "kernel_size[1] must be at least 1."),
        (
            lambda: nn.conv2d(1, 1, (3, 3, 3)),
            ValueError,
            "kernel_size must have 2 entries, one per dimension.",
        ),
        (lambda: nn.conv2d(1, 1, 2.5), TypeError, "kernel_size must be an integer or one per dimension."),
        (lambda: nn.conv2d(1, 1, 3, padding="sane"), ValueError, "Did you mean 'same'?"),
        (
            lambda: nn.conv2d(1, 1, 3, padding="same", stride=2),
            ValueError,
            "padding='same' must come with stride 1",
        ),
        (
            lambda: nn.conv2d(1, 1, 3, padding_mode="mirror"),
            ValueError,
            "padding_mode must be one of 'zeros',",
        ),
        (
            lambda: nn.conv2d(4, 6, 3, groups=4),
            ValueError,
            "groups must divide the channels, 4 and 6. Got groups=4.",
        ),
        (lambda: nn.conv2d(1, 1, 3, weight_init=1.0), TypeError, "weight_init must be an initializer."),
        (
            lambda: applied(nn.conv2d(3, 8, 3), 2, 1, 28, 28),
            ValueError,
            "x must have 3 channels in dimension -3. Got x of shape (2, 1, 28, 28), with 1. Make the layer",
        ),
        (
            lambda: applied(nn.conv2d(1, 8, 3), 28, 28),
            ValueError,
            "x must have the shape (batch, 1, height, width) or (1, height, width). Got x of shape (28, 28).",
        ),
        (
            lambda: applied(nn.conv2d(1, 8, 5), 1, 1, 4, 9),
            ValueError,
            "must fit into its padded input. Got Window(kernel_size=(5, 5), stride=(1, 1), padding=0, "
            "dilation=(1, 1)) on a grid of (4, 9), which leaves (0, 5). Make the kernel smaller, or",
        ),
        (
            lambda: applied(nn.conv1d(1, 1, 3, padding=4, padding_mode="reflect"), 1, 4),
            ValueError,
            "padding must add at most 3 cells at a side where padding_mode='reflect' and the grid has 4. Got",
        ),
        (
            lambda: applied(nn.conv2d(1, 1, (1, 9), padding=(0, 9), padding_mode="reflect"), 1, 4, 9),
            ValueError,
            "padding must add at most 8 cells at a side where padding_mode='reflect' and the grid has 9. Got",
        ),
        (
            lambda: applied(nn.conv1d(1, 1, 3, padding=5, padding_mode="circular"), 1, 4),
            ValueError,
            "padding must add at most 4 cells at a side where padding_mode='circular'",
        ),
        (lambda: nn.conv1d(1, 1, 3).apply({}, [1.0]), TypeError, "x must be a tensor. Got x=[1.0]."),
        (
            lambda: nn.conv_transpose2d(1, 1, 3, stride=2, output_padding=2),
            ValueError,
            "output_padding must be less than the stride or the dilation. Got output_padding=2. "
            "Try output_padding=1.",
        ),
        (
            lambda: applied(nn.conv_transpose1d(1, 1, 2, padding=1), 1, 1, 1),
            ValueError,
            "on a grid of (1,), which leaves (0,).",
        ),
        (lambda: nn.channels_last(torch.tanh), TypeError, "model must be a Model or a StatefulModel."),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
