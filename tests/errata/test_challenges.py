"""Errata of the challenges: updates, overflows, latent sizes, a perfect match, and chaos."""

import math

import pytest
import torch
import torch.nn.functional as F

from funcsci import autodiff, chaos, data, nn, random, tree


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(77), shape)


def cross_entropy(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """As the challenge writes it."""
    p = 1 / (1 + torch.exp(-z))
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()


def blobs() -> tuple[torch.Tensor, torch.Tensor]:
    made = data.two_blobs(random.key(0))
    return made["x"], made["y"].unsqueeze(-1)


def test_the_update_as_printed_loses_requires_grad_and_fails_at_the_second_step():
    x, y = blobs()
    weight = torch.zeros(2, 1, requires_grad=True)
    cross_entropy(x @ weight, y).backward()
    with torch.no_grad():
        weight = weight - 0.1 * weight.grad
    assert not weight.requires_grad
    weight.grad = None
    with pytest.raises(RuntimeError, match="does not require grad"):
        cross_entropy(x @ weight, y).backward()


def test_an_update_in_place_or_of_a_pure_function_goes_on():
    x, y = blobs()
    weight = torch.zeros(2, 1, requires_grad=True)
    for _ in range(20):
        cross_entropy(x @ weight, y).backward()
        with torch.no_grad():
            weight -= 0.1 * weight.grad
        weight.grad = None
    pure = torch.zeros(2, 1)
    gradient = torch.func.grad(lambda weight: cross_entropy(x @ weight, y))
    for _ in range(20):
        pure = pure - 0.1 * gradient(pure)
    torch.testing.assert_close(weight.detach(), pure)
    assert float((((x @ pure) > 0) == (y > 0.5)).double().mean()) > 0.95


def test_without_no_grad_the_update_is_no_leaf():
    """What happens then is another failure than a slow one: there is no gradient to be had."""
    weight = torch.ones(2, requires_grad=True)
    weight.square().sum().backward()
    weight = weight - 0.1 * weight.grad
    weight.square().sum().backward()
    with pytest.warns(UserWarning, match="not a leaf"):
        assert weight.grad is None
    with pytest.raises(RuntimeError, match="in-place operation"):
        leaf = torch.ones(2, requires_grad=True)
        leaf -= 0.1


def test_the_cross_entropy_as_written_is_no_number_for_a_sure_and_right_answer():
    """In float32 a logit of 20 has the probability 1, and (1 - y) log(1 - p) is 0 · -inf."""
    z, y = torch.tensor([20.0], dtype=torch.float32), torch.ones(1, dtype=torch.float32)
    assert bool(cross_entropy(z, y).isnan()) and bool(torch.func.grad(cross_entropy)(z, y).isnan())
    wrong = cross_entropy(z, 0 * y)
    assert float(wrong) == math.inf
    stable = nn.binary_cross_entropy_with_logits
    assert float(stable(z, y)) == pytest.approx(0, abs=1e-8) and bool(
        torch.func.grad(stable)(z, y).isfinite()
    )
    assert float(stable(z, 0 * y)) == pytest.approx(20)
    torch.testing.assert_close(stable(z, y), F.binary_cross_entropy_with_logits(z, y))
    z = values(5)
    torch.testing.assert_close(stable(z, (z > 0).double()), cross_entropy(z, (z > 0).double()))


class Wave(torch.autograd.Function):
    """As the challenge has it."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sin(x)

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        return upstream * (torch.sin(x) + x * torch.cos(x))


def test_gradcheck_fails_a_right_gradient_in_single_precision():
    x = values(4)
    assert torch.autograd.gradcheck(Wave.apply, x.requires_grad_())
    single = x.detach().float().requires_grad_()
    with pytest.warns(UserWarning, match="double precision"), pytest.raises(RuntimeError, match="mismatch"):
        torch.autograd.gradcheck(Wave.apply, single)


def test_a_forward_that_takes_the_context_has_no_transforms():
    x = values(4)
    with pytest.raises(RuntimeError, match="setup_context"):
        torch.func.vmap(torch.func.grad(Wave.apply))(x)

    def slope(x):
        return torch.sin(x) + x * torch.cos(x)

    ours = autodiff.custom_function(
        lambda x: x * torch.sin(x), lambda inputs, output, upstream: upstream * slope(inputs[0])
    )
    found = torch.func.vmap(torch.func.grad(ours))(x)
    torch.testing.assert_close(found, slope(x))


def test_three_strided_convolutions_reach_three_cells_only_without_padding_in_the_last():
    padded, bare = nn.Window(3, 2, 1), nn.Window(3, 2)
    assert nn.conv_output_size(28, padded, padded, padded) == (4,)
    assert nn.conv_output_size(28, padded, padded, bare) == (3,)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, stride=2, padding=1),
        torch.nn.Conv2d(16, 32, 3, stride=2, padding=1),
        torch.nn.Conv2d(32, 64, 3, stride=2),
    )
    assert layers(torch.zeros(1, 1, 28, 28)).shape == (1, 64, 3, 3)  # channels first
    left = 64 * 3 * 3 / 28**2  # of the numbers
    assert left == pytest.approx(0.73, abs=0.01)


def test_the_way_back_to_28_needs_output_padding():
    def after(*extra: int) -> int:
        size = 3
        for padding, out in zip((0, 1, 1), extra, strict=True):
            layer = torch.nn.ConvTranspose2d(1, 1, 3, stride=2, padding=padding, output_padding=out)
            size = layer(torch.zeros(1, 1, size, size)).shape[-1]
        return size

    assert after(0, 1, 1) == 28
    assert after(0, 0, 0) == 25


def test_a_transposed_convolution_is_the_adjoint_and_not_the_inverse():
    x, kernel = values(1, 1, 9, 9), values(3, 3)[None, None]
    y = random.normal(random.key(3), (1, 1, 4, 4))
    forward, back = F.conv2d(x, kernel, stride=2), F.conv_transpose2d(y, kernel, stride=2)
    torch.testing.assert_close((forward * y).sum(), (x * back).sum())
    again = F.conv_transpose2d(forward, kernel, stride=2)
    assert again.shape == x.shape and float((again - x).norm() / x.norm()) > 0.5


def test_the_second_derivative_of_tanh_is_zero_at_zero_and_far_from_it():
    """-2 tanh (1 - tanh²): not everywhere zero, as ReLU's, and that is what is needed."""
    second = torch.func.vmap(torch.func.grad(torch.func.grad(torch.tanh)))
    x = torch.tensor([0.0, 0.66, 20.0])
    torch.testing.assert_close(second(x), -2 * torch.tanh(x) * (1 - torch.tanh(x).square()))
    assert second(x)[[0, 2]].tolist() == [0, pytest.approx(0, abs=1e-15)] and float(second(x)[1]) < -0.7
    assert torch.func.vmap(torch.func.grad(torch.func.grad(torch.relu)))(x).tolist() == [0, 0, 0]


def test_the_dots_of_autograd_grad_hold_two_arguments_that_it_needs():
    t = values(5, 1).requires_grad_()
    u = torch.sin(t)
    with pytest.raises(RuntimeError, match="scalar"):
        torch.autograd.grad(u, t)
    ones = torch.ones_like(u)
    (slope,) = torch.autograd.grad(u, t, ones, retain_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad(slope, t, ones)
    (slope,) = torch.autograd.grad(u, t, ones, create_graph=True)
    (second,) = torch.autograd.grad(slope, t, ones)
    torch.testing.assert_close(second, -torch.sin(t).detach())


def test_rows_that_know_of_each_other_spoil_the_derivative_by_their_sum():
    """The vector of ones sums over the rows: it is du_i/dt_i only where no u_i depends on another t_j."""
    t = values(5, 1)

    def normalised(t):
        return (t - t.mean(0)) / t.std(0)

    leaf = t.clone().requires_grad_()
    u = normalised(leaf)
    (summed,) = torch.autograd.grad(u, leaf, torch.ones_like(u))
    own = torch.func.jacrev(lambda t: normalised(t).flatten())(t)[:, :, 0].diagonal()
    assert float(summed.abs().max()) < 1e-14 and float(own.min()) > 0.1


def tanh_network(features: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Random weights and biases, and a last layer by least squares for u'' + u = 0, u(0) = 1, u'(0) = 0."""
    first, second = random.split(random.key(0))
    weight = random.uniform(first, (features,), minval=-1.5, maxval=1.5)
    bias = random.uniform(second, (features,), minval=-5.0, maxval=5.0)
    t = torch.linspace(0, 2 * torch.pi, 200)[:, None]
    slopes = derivatives(weight, bias, t)
    at_zero = derivatives(weight, bias, torch.zeros(1, 1))
    rows = torch.cat([slopes[2] + slopes[0], 10 * at_zero[0], 10 * at_zero[1]])
    right = torch.cat([torch.zeros(200), torch.tensor([10.0, 0.0])])[:, None]
    return weight, bias, torch.linalg.lstsq(rows, right, driver="gelsd").solution


def derivatives(weight: torch.Tensor, bias: torch.Tensor, t: torch.Tensor) -> list[torch.Tensor]:
    """Of each hidden unit at each t: value, slope and second derivative."""
    y = torch.tanh(weight * t + bias)
    return [y, weight * (1 - y.square()), -2 * weight.square() * y * (1 - y.square())]


def test_the_match_is_as_good_as_the_residual_and_never_perfect():
    """u - cos = (u(0) - 1) cos t + u'(0) sin t + ∫ sin(t - s) R(s) ds, with the residual R = u'' + u."""
    weight, bias, last = tanh_network(14)
    s = torch.linspace(0, 2 * torch.pi, 20_001)[:, None]
    u, slope, second = ((one @ last)[:, 0] for one in derivatives(weight, bias, s))
    s = s[:, 0]
    error = u - torch.cos(s)
    predicted = (u[0] - 1) * torch.cos(s[-1]) + slope[0] * torch.sin(s[-1])
    predicted = predicted + torch.trapezoid(torch.sin(s[-1] - s) * (second + u), s)
    torch.testing.assert_close(error[-1], predicted, rtol=0, atol=1e-8)
    assert 1e-6 < float(error.abs().max()) < 1e-2


def test_a_network_of_tanh_is_no_cosine_outside_of_its_interval():
    weight, bias, last = tanh_network(14)
    t = torch.tensor([4 * torch.pi, 1e6, 2e6])[:, None]
    u = (derivatives(weight, bias, t)[0] @ last)[:, 0]
    assert abs(float(u[0]) - 1) > 0.1
    torch.testing.assert_close(u[1], u[2])  # far away it is a constant
    model = nn.mlp((1, 8, 8, 1))
    params = model.init(random.key(0))
    torch.testing.assert_close(model.apply(params, t[1]), model.apply(params, t[2]))


def spread(states: torch.Tensor) -> torch.Tensor:
    return states.var(0, correction=0).sum().sqrt()


def test_odeint_with_its_own_tolerances_is_no_truth_for_ten_thousand_steps():
    """1.5e-8 grows by e every 1.1 units of time: right for some 20 of the 100."""
    default = {"rtol": 1.49e-8, "atol": 1.49e-8}
    steps, dt = 500, 0.1
    exact = data.lorenz(steps, dt=dt, transient=0.0, method="odeint", rtol=1e-12, atol=1e-12)
    found = data.lorenz(steps, dt=dt, transient=0.0, method="odeint", **default)
    apart = (found - exact).norm(dim=-1) / spread(exact)
    lost = float((apart > 0.4).nonzero()[0]) * dt
    assert 10 < lost < 30
    assert float(apart[int(35 / dt) :].mean()) > 0.5  # from then on they are two other trajectories
    estimate = math.log(0.4 / 1.49e-8) / 0.9056
    assert lost == pytest.approx(estimate, rel=0.4)


def test_a_forecast_lasts_as_long_as_the_logarithm_of_its_error():
    """T = ln(0.4 / ε) / λ: a hundred times less error is worth ln 100 = 4.6 Lyapunov times, at any level."""
    attractor = data.lorenz(100, dt=1.0, method="odeint", rtol=1e-6, atol=1e-6)
    starts, std = attractor[::2], spread(attractor)
    direction = random.normal(random.key(0), starts.shape)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    errors = (1e-2, 1e-4, 1e-6)
    members = torch.cat([starts, *[starts + error * std * direction for error in errors]])
    options = {"transient": 0.0, "method": "odeint", "rtol": 1e-10, "atol": 1e-10}
    truth, *forecasts = data.lorenz(400, dt=0.05, start=members, **options).split(len(starts))
    times = [
        float(chaos.valid_prediction_time(one, truth, dt=0.05, std=std, lyapunov=0.9056).mean())
        for one in forecasts
    ]
    expected = [math.log(0.4 / error) for error in errors]
    assert times == pytest.approx(expected, abs=1.6)
    assert times[2] - times[1] == pytest.approx(math.log(100), abs=0.6)


def test_a_model_of_fifty_positions_has_no_fifty_first():
    """What is appended makes the input longer than any that was learned: the window has to move on."""
    model = nn.learned_positions(50, 4)
    params = model.init(random.key(0))
    seen = values(50, 4)
    longer = torch.cat([seen, seen[-1:]])
    with pytest.raises(ValueError, match="at most 50 positions"):
        model.apply(params, longer)
    assert model.apply(params, longer[-50:]).shape == (50, 4)
    # With its output added, a position that training never read still has the weights of its first draw.
    gradient = torch.func.grad(lambda params: model.apply(params, seen[:40]).square().sum())(params)
    assert tree.map(lambda leaf: leaf[40:].abs().max().item(), gradient) == {"weight": 0.0}
