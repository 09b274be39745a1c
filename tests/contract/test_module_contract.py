"""Each model follows its `torch.nn.Module` twin: from the same weights, on the same batches, step by step."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch

from funcsci import interop, models, nn, optim, random, train
from funcsci.compile import jit
from funcsci.models import MODELS

KEY = random.key(75)
STEPS = 100
TOLERANCE = 1e-9
# A bias in front of batch norm has round-off for a gradient, which Adam's own eps would make steps of.
ADAM = {"eps": 1e-6}
N = torch.nn


class Logistic(N.Linear):
    def forward(self, x):
        return super().forward(x).squeeze(-1)


def vgg_twin() -> N.Module:
    blocks = [
        layer
        for before, after in ((1, 2), (2, 3), (3, 4))
        for layer in (N.Conv2d(before, after, 3, padding=1), N.BatchNorm2d(after), N.ReLU(), N.MaxPool2d(2))
    ]
    return N.Sequential(*blocks, N.Flatten(), N.Linear(4, 10))


def autoencoder_twin() -> N.Module:
    down, up = N.Conv2d, N.ConvTranspose2d
    encoder = N.Sequential(
        *(down(1, 2, 3, stride=2, padding=1), N.ReLU()),
        *(down(2, 3, 3, stride=2, padding=1), N.ReLU()),
        *(down(3, 4, 3, stride=2), N.ReLU()),
    )
    decoder = N.Sequential(
        *(up(4, 3, 3, stride=2), N.ReLU()),
        *(up(3, 2, 3, stride=2, padding=1, output_padding=1), N.ReLU()),
        up(2, 1, 3, stride=2, padding=1, output_padding=1),
    )
    return N.Sequential(encoder, decoder)


class Forecaster(N.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = N.LSTM(2, 3, num_layers=2, batch_first=True)
        self.head = N.Linear(3, 2)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class Circle(N.Module):
    """Attention of two heads in four features, with a number for each way around six points."""

    def __init__(self) -> None:
        super().__init__()
        self.project, self.out = N.Linear(4, 12), N.Linear(4, 4)
        self.nearness = N.Parameter(torch.randn(2, 6))

    def forward(self, x):
        query, key, value = (one.reshape(-1, 6, 2, 2) for one in self.project(x).chunk(3, -1))
        scores = torch.einsum("bihd,bjhd->bhij", query, key) / 2**0.5
        scores = scores + torch.stack([self.nearness.roll(place, -1) for place in range(6)], -2)
        return self.out(torch.einsum("bhij,bjhd->bihd", scores.softmax(-1), value).flatten(-2))


class OperatorTransformer(N.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = N.Linear(6, 4), N.Linear(4, 1)
        self.layers = N.ModuleList([Circle(), Circle()])

    def forward(self, x):
        x = self.embed(torch.stack([x.roll(-place, -1) for place in range(6)], -2))
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x).squeeze(-1)


class CausalTransformer(N.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = {"activation": "gelu", "dropout": 0.0, "batch_first": True, "norm_first": True}
        self.embed, self.head = N.Linear(3, 4), N.Linear(4, 3)
        self.positions = N.Embedding(5, 4)
        self.stack = N.Module()
        self.stack.layers = N.ModuleList(N.TransformerEncoderLayer(4, 2, 6, **layer) for _ in range(2))
        self.stack.norm = N.LayerNorm(4)

    def forward(self, x):
        future = torch.ones(5, 5, dtype=torch.bool, device=x.device).triu(1)
        inner = self.embed(x) + self.positions.weight
        for layer in self.stack.layers:
            inner = layer(inner, src_mask=future)
        return x + self.head(self.stack.norm(inner))


class Residual(N.Module):
    """A module of a user: skips, statistics inside, and an average of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = N.Conv2d(2, 4, 3)
        self.block = N.Sequential(N.Conv2d(4, 4, 3, padding=1), N.BatchNorm2d(4), N.ReLU(inplace=True))
        self.last = N.Linear(4, 1)
        self.register_buffer("average", torch.zeros(()))

    def forward(self, x):
        x = self.first(x)
        x = x + self.block(x)
        if self.training:
            self.average = 0.9 * self.average + 0.1 * x.detach().mean()
        return self.last(x.mean((2, 3)))


class Twin(NamedTuple):
    """A module, the shape of a batch, and the library's own model of the same parameters, if there is one."""

    module: Callable[[], N.Module]
    shape: tuple[int, ...]
    model: Callable[[], nn.Model | nn.StatefulModel] | None = None


TWINS = {
    "logistic": Twin(lambda: Logistic(2, 1), (8, 2), models.logistic_regression),
    "vgg": Twin(vgg_twin, (6, 1, 8, 8), lambda: models.vgg((1, 2, 3, 4), size=8)),
    "autoencoder": Twin(autoencoder_twin, (2, 1, 28, 28), lambda: models.autoencoder((1, 2, 3, 4))),
    "forecaster": Twin(Forecaster, (4, 5, 2), lambda: models.forecaster(2, 3)),
    "operator_transformer": Twin(
        OperatorTransformer, (3, 6), lambda: models.operator_transformer(6, 4, 2, 2).model
    ),
    "causal_transformer": Twin(
        CausalTransformer,
        (3, 5, 3),
        lambda: models.causal_transformer(3, width=4, heads=2, layers=2, hidden=6, context=5).model,
    ),
    "perceptron": Twin(
        lambda: N.Sequential(N.Linear(3, 8), N.Tanh(), N.Sequential(N.LayerNorm(8), N.Linear(8, 2))), (8, 3)
    ),
    "volumes": Twin(
        lambda: N.Sequential(
            N.Conv3d(1, 2, 2, padding_mode="circular", padding="same"),
            N.GroupNorm(1, 2),
            N.GELU(approximate="tanh"),
            N.AvgPool3d(2),
            N.BatchNorm3d(2, momentum=None),
            N.AdaptiveAvgPool3d(1),
            N.Flatten(),
            N.Linear(2, 1),
        ),
        (3, 1, 4, 4, 4),
    ),
    "residual": Twin(Residual, (4, 2, 6, 6)),
    "attention": Twin(lambda: N.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), (2, 5, 4)),
}
OURS = [name for name, twin in TWINS.items() if twin.model]


@pytest.fixture
def module(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TWINS[name].module()


def batches(name: str, module: N.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    keys = random.split(KEY, 2)
    x = random.normal(keys[0], (STEPS, *TWINS[name].shape))
    with torch.no_grad():
        shape = interop.to_module(interop.from_module(module)[1], module).eval()(x[0]).shape
    return list(zip(x, random.normal(keys[1], (STEPS, *shape)), strict=True))


def assert_follows(module: N.Module, model: nn.StatefulModel, params, state, data) -> None:
    """The losses, parameters and statistics of a hundred steps of Adam in both styles."""

    def loss(params, batch, *, state):
        x, target = batch
        y, state = model.apply(params, state, x, train=True)
        return (y - target).square().mean(), (state, {})

    optimizer = optim.adam(1e-3, **ADAM)
    step = jit(train.train_step(loss, optimizer), backend="trace")
    now = train.start(params, optimizer, state=state)
    theirs = torch.optim.Adam(module.train().parameters(), lr=1e-3, **ADAM)
    for x, target in data:
        now, metrics = step(now, (x, target))
        theirs.zero_grad()
        expected = (module(x) - target).square().mean()
        expected.backward()
        theirs.step()
        assert abs(metrics["loss"] - expected.detach()) < TOLERANCE
        torch.testing.assert_close(
            interop.state_dict(now.params, now.state), dict(module.state_dict()), rtol=0, atol=TOLERANCE
        )


@pytest.mark.parametrize("name", [name for name in TWINS if name not in OURS])
def test_a_converted_module_trains_as_the_module(name, module):
    converted = interop.from_module(module)
    assert_follows(module, *converted, batches(name, module))


@pytest.mark.parametrize("name", OURS)
def test_a_model_of_the_library_trains_as_its_twin(name, module):
    model = nn.stateful(TWINS[name].model())
    params, state = interop.load_state_dict(module.state_dict(), *model.init(KEY))
    assert_follows(module, model, params, state, batches(name, module))


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")  # torch.load of 2.1
@pytest.mark.parametrize("name", OURS)
def test_a_trained_model_goes_back_into_the_module(name, module, tmp_path):
    model = nn.stateful(TWINS[name].model())
    params, state = model.init(KEY)
    x, _ = batches(name, module)[0]
    _, state = model.apply(params, state, x, train=True)
    made = interop.to_module(params, module, state).eval()
    expected = model.apply(params, state, x, train=False)[0]
    torch.testing.assert_close(made(x).detach(), expected, rtol=1e-12, atol=1e-12)
    torch.save(made.state_dict(), tmp_path / "weights.pt")
    flat = torch.load(tmp_path / "weights.pt", weights_only=True)
    back = interop.load_state_dict(flat, *model.init(random.key(1)))
    assert all(
        torch.equal(mine, interop.state_dict(params, state)[key])
        for key, mine in interop.state_dict(*back).items()
    )


def test_every_model_has_a_twin():
    assert set(OURS) == set(MODELS)
