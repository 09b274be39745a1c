"""The forecaster: torch's own LSTM and map, what it can learn, its free run, messages."""

import re

import pytest
import torch

from funcsci import data, interop, nn, optim, random, train
from funcsci.models import forecaster, generate

KEY = random.key(92)


class Reference(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(2, 5, num_layers=2, batch_first=True)
        self.head = torch.nn.Linear(5, 2)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])


def test_it_is_torchs_lstm_and_a_map_of_its_last_hidden_state():
    model = forecaster(2, 5)
    params = model.init(KEY)
    module = interop.to_module(params, Reference())
    x, y = random.normal(random.key(1), (4, 7, 2)), random.normal(random.key(2), (4, 2))
    torch.testing.assert_close(model.apply(params, x), module(x).detach(), rtol=0, atol=1e-13)
    torch.testing.assert_close(model.apply(params, x[0]), module(x).detach()[0], rtol=0, atol=1e-13)
    nn.mse(module(x), y).backward()
    grads = torch.func.grad(lambda params: nn.mse(model.apply(params, x), y))(params)
    for name, found in interop.state_dict(grads).items():
        torch.testing.assert_close(found, module.get_parameter(name).grad, rtol=0, atol=1e-13)


def test_the_defaults_are_the_exercises():
    params = forecaster().init(KEY, device="meta")
    assert params["lstm"]["weight_ih_l0"].shape == (4 * 64, 1)
    assert params["lstm"]["weight_hh_l1"].shape == (4 * 64, 64) and "weight_hh_l2" not in params["lstm"]
    assert params["head"]["weight"].shape == (1, 64)


def test_it_learns_waves_from_windows_and_runs_freely_along_them():
    series = data.noisy_waves(KEY, 300, noise=0.0)["y"]
    w = data.windows(series, 7)
    model = forecaster(1, 8, 1)

    def loss(params, w):
        return nn.mse(model.apply(params, w[:, :-1]), w[:, -1])

    result = train.fit(
        loss, model.init(random.key(3)), optim.soap(optim.one_cycle(0.03, 400)), w[:200],
        batch_size=50, steps=400, progress_bar=False, backend="trace",
    )  # fmt: skip
    unseen = w[200:]
    error = nn.mse(model.apply(result.params, unseen[:, :-1]), unseen[:, -1]).sqrt()
    assert error < 0.5 * nn.mse(unseen[:, -2], unseen[:, -1]).sqrt()  # of persistence

    # Its own forecasts, one after the other, are what generate gives.
    window = unseen[:2, :-1]
    free = generate(model, result.params, window, 6, backend="trace", progress_bar=False)
    assert free.shape == (2, 6, 1)
    for place in range(6):
        state = model.apply(result.params, window)
        torch.testing.assert_close(free[:, place], state, rtol=0, atol=1e-12)
        window = torch.cat([window[:, 1:], state[:, None]], 1)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: forecaster(0), ValueError, "features must be at least 1. Got features=0."),
        (lambda: forecaster(1, 2.5), TypeError, "hidden must be an integer. Got hidden=2.5."),
        (lambda: forecaster(layers=0), ValueError, "layers must be at least 1. Got layers=0."),
        (
            lambda: forecaster(2).apply(forecaster(2).init(KEY), torch.zeros(4, 50, 1)),
            ValueError,
            "x must have 2 features in its last dimension. Got x of shape (4, 50, 1).",
        ),
        (
            lambda: forecaster().apply(forecaster().init(KEY), torch.zeros(4, 0, 1)),
            ValueError,
            "x must hold at least one time. Got x of shape (4, 0, 1).",
        ),
        (
            lambda: forecaster().apply(forecaster().init(KEY), torch.zeros(1)),
            ValueError,
            "x must have the shape (batch, time, features) or (time, features). Got x of shape (1,).",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
