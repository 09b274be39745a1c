"""A user's module as a pure function: its own forward, explicit buffers and keys, and itself untouched."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch.func import grad, vmap

from funcsci import interop, random, tree
from funcsci.compile import jit

KEY = random.key(72)
N = torch.nn


def values(*shape: int, index: int = 0) -> torch.Tensor:
    return random.normal(random.fold_in(KEY, index), shape)


class Residual(N.Module):
    """Convolutions with a skip, statistics of every kind, and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = N.Sequential(N.Conv2d(2, 2, 3, padding=1), N.BatchNorm2d(2), N.ReLU(inplace=True))
        self.scale = N.Parameter(torch.empty(()))
        self.reset_parameters()
        self.register_buffer("average", torch.zeros(()))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("grid", torch.linspace(0, 1, 4), persistent=False)

    def reset_parameters(self) -> None:
        N.init.constant_(self.scale, 0.5)

    def forward(self, x):
        if self.training:
            self.average = 0.9 * self.average + 0.1 * x.mean()
            self.calls += 1
        return x * self.grid + self.scale * self.layers(x) + self.average


class Function(N.Module):
    """A module that is no more than its forward."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(self, x)


def dropping(inplace: bool = False) -> Function:
    return Function(lambda self, x: F.dropout(F.dropout(x, 0.2, self.training, inplace), 0.5, self.training))


def assert_close(left, right, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(left, right, rtol=tolerance, atol=tolerance)


def test_values_statistics_and_gradients_are_those_of_the_module():
    module = N.Sequential(N.Conv2d(1, 2, 3, padding=1), Residual(), N.Flatten(), N.Linear(32, 3))
    model, params, state = interop.from_module(module)
    for index, train in enumerate((True, True, False)):
        x = values(5, 1, 4, 4, index=index)
        module.train(train).zero_grad()
        expected = module(x)
        expected.square().mean().backward()
        module[1].average.detach_()

        def loss(params, state=state, x=x, train=train):
            y, state = model.apply(params, state, x, train=train)
            return y.square().mean(), (y, state)

        gradients, (y, state) = grad(loss, has_aux=True)(params)
        assert_close(y, expected.detach())
        assert_close(
            interop.state_dict(gradients), {name: one.grad for name, one in module.named_parameters()}
        )
        buffers = {name: one for name, one in module.named_buffers() if not name.endswith("grid")}
        assert_close(interop.state_dict({}, state), buffers)
    assert state[1]["calls"] == 2


def test_the_module_and_the_global_generator_stay_as_they_are():
    module = N.Sequential(Residual(), N.Dropout(0.5), dropping()).eval()
    module[0].layers.train()
    module[0].layers[0].weight.requires_grad_(False)
    numbers = tree.map(torch.clone, module.state_dict(keep_vars=False))
    constant = module[0].grid.clone()
    modes = [part.training for part in module.modules()]
    generator = torch.get_rng_state()

    model, params, state = interop.from_module(module)
    x = values(3, 2, 4, 4)
    before = x.clone()
    for train in (True, False):
        _, state_after = model.apply(params, state, x, train=train, key=KEY)
    model.init(KEY)
    with torch.no_grad():
        for leaf in tree.leaves((params, state, state_after)):
            leaf.zero_()  # what came out shares nothing with the module

    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.equal(x, before)
    assert [part.training for part in module.modules()] == modes
    assert all(map(torch.equal, tree.leaves(numbers), tree.leaves(module.state_dict())))
    assert torch.equal(module[0].grid, constant)
    assert not module[0].layers[0].weight.requires_grad and module[0].scale.requires_grad


def test_a_constant_stays_and_the_state_carries_no_graph():
    def forward(self, x):
        self.cache += x  # not persistent: every call finds it as it was
        self.total = self.total + x.sum()
        return self.cache * 1

    module = Function(forward)
    module.register_buffer("cache", torch.zeros(2), persistent=False)
    module.register_buffer("total", torch.zeros(()))
    model, params, state = interop.from_module(module)
    x = torch.ones(2, requires_grad=True)
    for _ in range(2):
        y, state = model.apply(params, state, x, train=True)
        assert torch.equal(y, torch.ones(2)) and y.requires_grad
    assert state.keys() == {"total"} and float(state["total"]) == 4
    assert not state["total"].requires_grad


def test_changing_the_module_later_changes_nothing():
    module = N.Sequential(Residual())
    model, params, state = interop.from_module(module)
    x = values(3, 2, 4, 4)
    before = model.apply(params, state, x, train=False)[0]
    with torch.no_grad():
        for one in (*module.parameters(), *module.buffers()):
            one.zero_()
    module[0].forward = lambda x: x
    assert torch.equal(model.apply(params, state, x, train=False)[0], before)


@pytest.mark.parametrize("backend", ["trace", pytest.param("compile", marks=pytest.mark.slow)])
def test_a_program_of_its_gradient_equals_autograd_of_the_module(backend):
    module = N.Sequential(Residual(), N.Flatten(), N.Linear(32, 3))
    model, params, state = interop.from_module(module)
    x = values(5, 2, 4, 4)

    def loss(params, state, x):
        y, state = model.apply(params, state, x, train=True)
        return y.square().mean(), state

    gradients, after = jit(grad(loss, has_aux=True), backend=backend)(params, state, x)
    module.train()(x).square().mean().backward()
    assert_close(interop.state_dict(gradients), {name: one.grad for name, one in module.named_parameters()})
    held = {name: one.detach() for name, one in module.named_buffers() if not name.endswith("grid")}
    assert_close(interop.state_dict({}, after), held)


def test_dropout_draws_from_the_key_in_training_alone():
    model, params, state = interop.from_module(dropping())
    x = torch.ones(50, 4)
    one = model.apply(params, state, x, train=True, key=KEY)[0]
    assert torch.equal(one, model.apply(params, state, x, train=True, key=KEY)[0])
    assert not torch.equal(one, model.apply(params, state, x, train=True, key=random.key(1))[0])
    assert torch.equal(x, model.apply(params, state, x, train=False)[0])
    kept = [
        random.bernoulli(random.fold_in(KEY, place), share, (50, 4)) for place, share in enumerate((0.8, 0.5))
    ]
    assert_close(one, torch.where(kept[0] & kept[1], 1 / 0.8 / 0.5, 0.0))


def test_dropout_in_place_writes_into_the_modules_own_tensor_alone():
    def forward(self, x):
        F.dropout(x, 0.5, self.training, True)  # what it returns is not used
        return x

    x = torch.ones(50, 4)
    one = interop.from_module(dropping())[0].apply({}, {}, x, train=True, key=KEY)[0]
    in_place = interop.from_module(dropping(inplace=True))[0]
    y = interop.from_module(Function(forward))[0].apply({}, {}, x, train=True, key=KEY)[0]
    kept = random.bernoulli(random.fold_in(KEY, 0), 0.5, (50, 4))
    assert_close(y, torch.where(kept, 2.0, 0.0))
    assert torch.equal(in_place.apply({}, {}, x, train=True, key=KEY)[0], one)
    assert torch.equal(x, torch.ones(50, 4))


def test_dropout_is_the_same_in_a_program_and_under_vmap_over_keys():
    model, params, state = interop.from_module(N.Sequential(N.Linear(4, 4), dropping()))
    x = torch.ones(8, 4)

    def forward(key):
        return model.apply(params, state, x, train=True, key=key)[0]

    keys = random.split(KEY, 3)
    expected = torch.stack([forward(key) for key in keys])
    assert_close(vmap(forward)(keys), expected)
    program = jit(forward, backend="trace")
    assert_close(torch.stack([program(key) for key in keys]), expected)


class Recurrent(N.Module):
    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.inner = N.LSTM(3, 4, num_layers=2, batch_first=True, dropout=dropout)

    def forward(self, x):
        return self.inner(x)[0]


def attention(dropout: float = 0.0) -> N.Module:
    return N.TransformerEncoderLayer(4, 2, 8, dropout=dropout, batch_first=True)


@pytest.mark.parametrize(("make", "width"), [(Recurrent, 3), (attention, 4)], ids=["recurrent", "attention"])
def test_recurrent_and_attention_layers(make, width):
    module = make()
    model, params, state = interop.from_module(module)
    x = values(2, 5, width)
    gradients = grad(lambda params: model.apply(params, state, x, train=True)[0].square().sum())(params)
    module(x).square().sum().backward()
    assert_close(interop.state_dict(gradients), {name: one.grad for name, one in module.named_parameters()})
    # With dropout they are one function in evaluation, and refused in training.
    model, params, state = interop.from_module(make(0.1))
    model.apply(params, state, x, train=False)
    with pytest.raises(TypeError, match="Set the dropout of attention and recurrent layers to 0, or write"):
        model.apply(params, state, x, train=True, key=KEY)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda self, x: x + torch.randn_like(x), "aten::randn_like"),
        (lambda self, x: x + torch.rand(3), "aten::rand"),
        (lambda self, x: torch.bernoulli(x), "aten::bernoulli"),
        (lambda self, x: F.alpha_dropout(x, 0.5, True), "aten::"),
        (lambda self, x: x.clone().normal_(), "aten::normal_"),
    ],
)
def test_other_draws_are_refused_before_they_happen(function, name):
    model, params, state = interop.from_module(Function(function))
    generator = torch.get_rng_state()
    with pytest.raises(TypeError, match=f"must draw random numbers by .*dropout alone.* Got {name}"):
        model.apply(params, state, torch.full((3,), 0.5), train=True, key=KEY)
    assert torch.equal(torch.get_rng_state(), generator)


def test_a_tied_weight_is_one_parameter_whose_gradient_is_whole():
    module = N.Sequential(N.Linear(3, 3), N.Tanh(), N.Linear(3, 3))
    module[2].weight = module[0].weight
    model, params, state = interop.from_module(module)
    assert tree.paths(params) == ["['0']['bias']", "['0']['weight']", "['2']['bias']"]
    x = values(4, 3)
    gradients = grad(lambda params: model.apply(params, state, x, train=True)[0].square().sum())(params)
    module(x).square().sum().backward()
    assert_close(interop.state_dict(gradients), {name: one.grad for name, one in module.named_parameters()})
    back = interop.to_module(tree.map(lambda one: 2 * one, params), module)
    assert back[0].weight is back[2].weight
    assert torch.equal(back[2].weight, 2 * module[0].weight)
    loaded, _ = interop.load_state_dict(back.state_dict(), params)
    assert torch.equal(loaded["0"]["weight"], back[2].weight)


def test_a_tie_inside_a_part_leaves_the_others_as_they_are():
    tied = N.Sequential(N.Linear(3, 3), N.Linear(3, 3))
    tied[1].weight = tied[0].weight
    params = interop.from_module(N.Sequential(N.Linear(3, 3), tied))[1]
    assert tree.paths(params)[2:] == ["[1]['0']['bias']", "[1]['0']['weight']", "[1]['1']['bias']"]
    once = N.Linear(3, 3)
    assert tree.paths(interop.from_module(N.Sequential(once, once))[1]) == [
        "['0']['bias']",
        "['0']['weight']",
    ]


def test_an_ensemble_of_a_users_module_equals_a_loop():
    model, params, state = interop.from_module(Residual())
    members = [(tree.map(lambda leaf, n=n: leaf + n, params), state) for n in range(3)]
    x = values(5, 2, 4, 4)

    def gradients(params, state):
        def loss(params):
            y, after = model.apply(params, state, x, train=True)
            return y.square().mean(), after

        return grad(loss, has_aux=True)(params)

    together = vmap(gradients)(*tree.stack(members))
    assert_close(together, tree.stack([gradients(*member) for member in members]))


def test_init_draws_as_the_parts_do_when_they_are_made():
    make = {
        "recurrent": Recurrent,
        "attention": attention,
        "both": lambda: N.ModuleDict({"a": N.BatchNorm1d(2), "b": N.Embedding(5, 3)}),
    }
    for module in (kind() for kind in make.values()):
        model, params, state = interop.from_module(module)
        one, drawn_state = model.init(KEY)
        assert tree.allclose(one, model.init(KEY)[0], rtol=0, atol=0)
        assert not tree.allclose(one, model.init(random.key(1))[0])
        assert tree.paths(one) == tree.paths(params) and tree.paths(drawn_state) == tree.paths(state)
    attended = interop.from_module(attention())[0].init(KEY)[0]["self_attn"]
    assert not attended["out_proj"]["bias"].any()  # the attention has it so, not the affine layer in it
    wide = N.ModuleDict({"inner": N.Linear(400, 300)})
    weight = interop.from_module(wide)[0].init(KEY, dtype=torch.float32)[0]["inner"]["weight"]
    assert weight.dtype is torch.float32
    assert float(weight.abs().max()) == pytest.approx(1 / 20, rel=1e-3)
    assert float(weight.std()) == pytest.approx(1 / 20 / 3**0.5, rel=0.02)


def test_init_begins_with_fresh_statistics_and_the_modules_other_buffers(scrambled):
    module = N.ModuleDict({"norm": scrambled(N.BatchNorm1d(2))})
    module.register_buffer("mask", torch.tensor([1.0, 0.0]))
    state = interop.from_module(module)[0].init(KEY)[1]
    assert torch.equal(state["mask"], torch.tensor([1.0, 0.0]))
    assert torch.equal(state["norm"]["running_mean"], torch.zeros(2))


def test_a_tree_of_inputs_and_of_results():
    model, params, state = interop.from_module(
        Function(lambda self, x: (x["a"] + x["b"], {"half": x["a"] / 2}))
    )
    y, _ = model.apply(params, state, {"a": torch.ones(2), "b": torch.ones(2)}, train=False)
    assert torch.equal(y[0], torch.full((2,), 2.0)) and torch.equal(y[1]["half"], torch.full((2,), 0.5))


def test_every_tensor_stays_on_the_device():
    model, params, state = interop.from_module(N.Sequential(Residual(), N.Dropout()))
    params, state = tree.map(lambda leaf: leaf.to("meta"), (params, state))
    key = KEY.to("meta")
    y, state = model.apply(params, state, torch.ones(3, 2, 4, 4, device="meta"), train=True, key=key)
    assert {leaf.device.type for leaf in tree.leaves((y, state))} == {"meta"}


class Bare(N.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = N.Linear(2, 2)
        self.scale = N.Parameter(torch.ones(2))

    def forward(self, x):
        return self.scale * self.inner(x)


def leaky() -> N.Module:
    module = Bare()
    module.last = module(torch.ones(2))
    return module


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")  # of torch 2.1
@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: interop.from_module(N.Linear),
            TypeError,
            "module must be a torch.nn.Module. Got the class Linear. Try torch.nn.Linear(2, 3).",
        ),
        (lambda: interop.from_module(torch.tanh), TypeError, "Got a builtin_function_or_method. Try"),
        (
            lambda: interop.from_module(N.Sequential(N.LazyLinear(3))),
            ValueError,
            "module must know its shapes. Got the lazy parameters ['0.weight', '0.bias']. Call it once",
        ),
        (
            lambda: interop.from_module(leaky()),
            TypeError,
            "module must be one that copy.deepcopy copies. Got a Bare: Only Tensors created explicitly",
        ),
        (
            lambda: interop.from_module(Bare())[0].init(KEY),
            ValueError,
            "Got no reset_parameters for ['scale']. Give the class that holds them one, or start from",
        ),
        (
            lambda: interop.from_module(dropping())[0].apply({}, {}, torch.ones(2), train=True),
            ValueError,
            "dropout must have a key in training. Got key=None.",
        ),
        (
            lambda: interop.from_module(Bare())[0].apply(
                {"inner": {"weight": torch.ones(2, 2)}, "gain": torch.ones(2)}, {}, torch.ones(2), train=True
            ),
            ValueError,
            "params must have the names of the module's own. "
            "Got missing=['scale', 'inner.bias'], unknown=['gain']. Use the params that from_module returns.",
        ),
        (
            lambda: interop.from_module(Function(lambda self, x: x))[0].apply(
                {}, {"count": torch.ones(2)}, torch.ones(2), train=True
            ),
            ValueError,
            "state must have the names of the module's own. Got missing=[], unknown=['count'].",
        ),
    ],
)
def test_errors_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_compiled_scripted_and_parallel_forms_are_refused():
    wrapped = Bare()
    wrapped._orig_mod = N.Linear(2, 2)  # as torch.compile wraps a module
    for module in (wrapped, torch.jit.trace(N.Linear(2, 2), torch.ones(2)), N.DataParallel(N.Linear(2, 2))):
        with pytest.raises(TypeError, match=r"must be the plain module, .* Got a \w+\. Pass the module that"):
            interop.from_module(module)
