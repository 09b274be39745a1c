"""Layers of torch become the library's own, with the same values, gradients, statistics and names."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from funcsci import interop, nn, random, tree
from funcsci.interop.rules import RULES, translated

KEY = random.key(71)
GRID = {1: (4, 3, 9), 2: (4, 3, 9, 8), 3: (2, 3, 6, 5, 7)}
SQUARE, LINE, VOLUME = GRID[2], GRID[1], GRID[3]
N = torch.nn

LEARNING = [
    (lambda: N.Linear(8, 5), SQUARE),
    (lambda: N.Linear(8, 5, bias=False), SQUARE),
    (lambda: N.Conv1d(3, 6, 3, stride=2, padding=1, groups=3), LINE),
    (lambda: N.Conv2d(3, 4, (3, 2), dilation=(1, 2), padding="same", padding_mode="circular"), SQUARE),
    (lambda: N.Conv2d(3, 4, 3, padding=1, padding_mode="reflect", bias=False), SQUARE),
    (lambda: N.Conv3d(3, 2, 2, padding="valid"), VOLUME),
    (lambda: N.ConvTranspose1d(3, 6, 3, stride=2, groups=3), LINE),
    (lambda: N.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1, dilation=2), SQUARE),
    (lambda: N.ConvTranspose3d(3, 2, 2, bias=False), VOLUME),
    (lambda: N.BatchNorm1d(3, eps=1e-3, momentum=0.3), LINE),
    (lambda: N.BatchNorm2d(3, momentum=None), SQUARE),
    (lambda: N.BatchNorm3d(3, affine=False), VOLUME),
    (lambda: N.LayerNorm((9, 8), eps=1e-3), SQUARE),
    (lambda: N.LayerNorm(8, elementwise_affine=False), SQUARE),
    (lambda: N.LayerNorm(8, bias=False), SQUARE),
    (lambda: N.GroupNorm(3, 3, eps=1e-3), SQUARE),
    (lambda: N.GroupNorm(1, 3, affine=False), SQUARE),
]
FIXED = [
    (lambda: N.MaxPool1d(3, stride=2, padding=1, ceil_mode=True), LINE),
    (lambda: N.MaxPool2d((2, 3), dilation=2), SQUARE),
    (lambda: N.MaxPool3d(2), VOLUME),
    (lambda: N.AvgPool1d(2, padding=1), LINE),
    (lambda: N.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False), SQUARE),
    (lambda: N.AvgPool3d((1, 2, 2)), VOLUME),
    (lambda: N.AdaptiveAvgPool1d(1), LINE),
    (lambda: N.AdaptiveAvgPool2d((1, 1)), SQUARE),
    (lambda: N.AdaptiveAvgPool3d(2), VOLUME),
    (lambda: N.AdaptiveMaxPool1d(1), LINE),
    (lambda: N.AdaptiveMaxPool2d((3, None)), SQUARE),
    (lambda: N.AdaptiveMaxPool3d(1), VOLUME),
    (lambda: N.Flatten(), SQUARE),
    (lambda: N.Flatten(2, -1), SQUARE),
    (lambda: N.Upsample(scale_factor=2), SQUARE),
    (lambda: N.Upsample(size=(5, 12), mode="bilinear", align_corners=True), SQUARE),
    (lambda: N.Identity(), SQUARE),
    (lambda: N.Dropout(0.0), SQUARE),
    (lambda: N.CELU(0.7), SQUARE),
    (lambda: N.ELU(0.7), SQUARE),
    (lambda: N.GELU(), SQUARE),
    (lambda: N.GELU(approximate="tanh"), SQUARE),
    (lambda: N.GLU(-1), SQUARE),
    (lambda: N.Hardshrink(0.2), SQUARE),
    (lambda: N.Hardsigmoid(), SQUARE),
    (lambda: N.Hardswish(), SQUARE),
    (lambda: N.Hardtanh(-0.3, 0.4), SQUARE),
    (lambda: N.LeakyReLU(0.2, inplace=True), SQUARE),
    (lambda: N.LogSigmoid(), SQUARE),
    (lambda: N.LogSoftmax(1), SQUARE),
    (lambda: N.Mish(), SQUARE),
    (lambda: N.ReLU(inplace=True), SQUARE),
    (lambda: N.ReLU6(), SQUARE),
    (lambda: N.SELU(), SQUARE),
    (lambda: N.Sigmoid(), SQUARE),
    (lambda: N.SiLU(), SQUARE),
    (lambda: N.Softmax(1), SQUARE),
    (lambda: N.Softplus(2.0, 0.5), SQUARE),
    (lambda: N.Softshrink(0.2), SQUARE),
    (lambda: N.Softsign(), SQUARE),
    (lambda: N.Tanh(), SQUARE),
    (lambda: N.Tanhshrink(), SQUARE),
    (lambda: N.Threshold(0.1, 5.0), SQUARE),
]
if hasattr(N, "RMSNorm"):
    LEARNING += [
        (lambda: N.RMSNorm((9, 8)), SQUARE),
        (lambda: N.RMSNorm(8, eps=1e-3, elementwise_affine=False), SQUARE),
    ]
KNOWN = LEARNING + FIXED


class Scaled(N.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def hooked() -> N.Module:
    module = N.Linear(8, 8)
    module.register_forward_hook(lambda module, args, result: 2 * result)
    return module


def hooked_whole() -> N.Module:
    module = N.Sequential(N.Linear(8, 8), N.ReLU())
    module.register_forward_hook(lambda module, args, result: 2 * result)
    return module


def patched() -> N.Module:
    module = N.ReLU()
    module.forward = lambda x: x.square()
    return module


UNKNOWN = [
    (lambda: Scaled(8, 5), SQUARE),
    (hooked, SQUARE),
    (patched, SQUARE),
    (hooked_whole, SQUARE),
    (lambda: N.utils.parametrizations.orthogonal(N.Linear(8, 8)), SQUARE),
    (lambda: N.BatchNorm2d(3, track_running_stats=False), SQUARE),
    (lambda: N.AvgPool2d(2, divisor_override=3), SQUARE),
    (lambda: N.Upsample(scale_factor=1.5, recompute_scale_factor=True), SQUARE),
    (lambda: N.PReLU(3), SQUARE),
    (lambda: N.Dropout(1.0), SQUARE),
    (lambda: N.ZeroPad2d(1), SQUARE),
    (lambda: N.InstanceNorm2d(3, affine=True), SQUARE),
]


def values(shape, index: int = 0) -> torch.Tensor:
    return random.normal(random.fold_in(KEY, index), shape)


def assert_follows(module: N.Module, shape) -> None:
    """The converted module is what the module is: values, gradients, statistics, in both modes."""
    model, params, state = interop.from_module(module)
    assert interop.state_dict(params, state).keys() == module.state_dict().keys()
    for index, train in enumerate((True, True, False)):
        module.train(train)
        x = values(shape, index)
        theirs = x.clone().requires_grad_()
        module.zero_grad()
        expected = module(theirs.clone())  # in-place activations refuse a leaf
        expected.square().sum().backward()

        def loss(params, x, state=state, train=train):
            y, state = model.apply(params, state, x, train=train, key=KEY)
            return y.square().sum(), (y, state)

        before = x.clone()
        (by_params, by_x), (y, state) = torch.func.grad(loss, (0, 1), has_aux=True)(params, x)
        assert torch.equal(x, before)
        torch.testing.assert_close(y, expected.detach(), rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(by_x, theirs.grad, rtol=1e-12, atol=1e-12)
        gradients = {name: one.grad for name, one in module.named_parameters()}
        torch.testing.assert_close(interop.state_dict(by_params), gradients, rtol=1e-12, atol=1e-12)
        buffers = dict(module.named_buffers())
        torch.testing.assert_close(interop.state_dict({}, state), buffers, rtol=1e-12, atol=1e-12)


def name_of(case) -> str:
    return str(case[0]()).split("\n")[0].replace(" ", "") if callable(case[0]) else str(case)


@pytest.mark.parametrize(("make", "shape"), KNOWN, ids=map(name_of, KNOWN))
def test_a_known_layer_becomes_the_librarys_own(make, shape, scrambled):
    assert translated(make()) is not None
    assert_follows(scrambled(make()), shape)


@pytest.mark.parametrize(("make", "shape"), UNKNOWN, ids=map(name_of, UNKNOWN))
def test_what_the_library_has_not_runs_its_own_forward(make, shape):
    assert translated(make()) is None
    assert_follows(make(), shape)


def test_every_rule_is_tested():
    assert {type(make()) for make, _ in KNOWN} == set(RULES)


@pytest.mark.parametrize(("make", "shape"), LEARNING, ids=map(name_of, LEARNING))
def test_init_has_the_same_structure_and_shapes(make, shape):
    model, params, state = interop.from_module(make())
    drawn = model.init(KEY, dtype=torch.float32)
    for mine, given_ in zip(drawn, (params, state), strict=True):
        assert tree.paths(mine) == tree.paths(given_)
        assert [one.shape for one in tree.leaves(mine)] == [one.shape for one in tree.leaves(given_)]
        assert all(one.dtype in (torch.float32, torch.int64) for one in tree.leaves(mine))


def test_dropout_in_a_sequential_is_the_librarys():
    module = N.Sequential(N.Identity(), N.Dropout(0.4, inplace=True))
    model, params, state = interop.from_module(module)
    ours = nn.sequential(lambda x: x, nn.dropout(0.4))
    x = torch.ones(100)
    expected = ours.apply([{}, {}], [{}, {}], x, train=True, key=KEY)[0]
    assert torch.equal(model.apply(params, state, x, train=True, key=KEY)[0], expected)
    assert torch.equal(model.apply(params, state, x, train=False)[0], x)


class Residual(N.Module):
    def __init__(self, inner: N.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


SAME_SHAPE = st.sampled_from(
    [
        lambda: N.Conv2d(2, 2, 3, padding=1),
        lambda: N.BatchNorm2d(2),
        lambda: N.BatchNorm2d(2, momentum=None, affine=False),
        lambda: N.GroupNorm(2, 2),
        lambda: N.Tanh(),
        lambda: N.LeakyReLU(0.1),
        lambda: N.MaxPool2d(3, 1, 1),
        lambda: Residual(N.Sequential(N.Conv2d(2, 2, 1), N.BatchNorm2d(2))),
    ]
)
NESTINGS = st.recursive(SAME_SHAPE, lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=6)


def build(nesting) -> N.Module:
    return N.Sequential(*map(build, nesting)) if isinstance(nesting, list) else nesting()


def places(module: N.Module) -> list[str]:
    """Torch's names, with the indices of Sequentials as those of lists."""
    found = []
    for name, _ in module.named_parameters():
        part, path, joined = module, "params", True
        for key in name.split("."):
            joined = joined and type(part) is N.Sequential
            path += f"[{key}]" if joined else f"['{key}']"
            part = getattr(part, key)
        found.append(path)
    return found


@settings(max_examples=20)
@given(st.lists(NESTINGS, min_size=1, max_size=3))
def test_any_nesting_of_sequentials_gives_nested_lists_and_the_same_numbers(nesting):
    module = build(nesting)
    model, params, state = interop.from_module(module)
    assert sorted(tree.paths(params, "params")) == sorted(places(module))
    for index, train in enumerate((True, True, False)):
        x = values((3, 2, 4, 4), index)
        expected = module.train(train)(x).detach()
        y, state = model.apply(params, state, x, train=train)
        torch.testing.assert_close(y, expected, rtol=1e-12, atol=1e-12)
        buffers = dict(module.named_buffers())
        torch.testing.assert_close(interop.state_dict({}, state), buffers, rtol=1e-12, atol=1e-12)


def test_a_sequential_with_names_of_its_own_keeps_them():
    named = N.Sequential()
    named.add_module("first", N.Linear(8, 8))
    named.add_module("norm", N.BatchNorm2d(3))
    assert_follows(named, SQUARE)
    assert interop.from_module(named)[1].keys() == {"first", "norm"}


def test_the_same_activation_twice_and_nothing_at_all_are_sequentials_too():
    relu = N.ReLU()
    module = N.Sequential(relu, N.Linear(8, 8), relu, N.Sequential())
    assert_follows(module, SQUARE)
    assert tree.paths(interop.from_module(module)[1]) == ["[1]['bias']", "[1]['weight']"]
