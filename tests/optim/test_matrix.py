"""Muon and SOAP against torch.optim and against their papers, written out in NumPy."""

import re

import numpy as np
import pytest
import torch

from funcsci import optim, random, tree
from funcsci.compile import jit

KEY = random.key(21)


def trajectory(optimizer, params, grads):
    """The parameters and the state after the given gradients, one step for each."""
    state = optimizer.init(params)

    def step(grad, state, params):
        updates, state = optimizer.update(grad, state, params)
        return optim.apply_updates(params, updates), state

    step = jit(step, backend="trace")
    for grad in grads:
        params, state = step(grad, state, params)
    return params, state


def gradients(shape, count, *, fold=0):
    return random.normal(random.fold_in(KEY, fold), (count, *shape))


def numpy_muon(w, grads, *, lr, weight_decay, momentum, nesterov, steps, ratio):
    """Jordan's post, line by line: momentum, five steps of the polynomial, a step by the shape."""
    a, b, c = 3.4445, -4.7750, 2.0315
    buffer = np.zeros_like(w)
    for g in grads:
        buffer = momentum * buffer + (1 - momentum) * g
        x = (1 - momentum) * g + momentum * buffer if nesterov else buffer
        x = x / max(np.sqrt((x**2).sum()), 1e-7)
        for _ in range(steps):
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
        w = w - lr * weight_decay * w - lr * ratio * x
    return w


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
@pytest.mark.parametrize(
    ("nesterov", "adjust", "ratio"),
    [
        (True, None, lambda m, n: max(1, m / n) ** 0.5),
        (False, "original", lambda m, n: max(1, m / n) ** 0.5),
        (True, "match_rms_adamw", lambda m, n: 0.2 * max(m, n) ** 0.5),
    ],
)
def test_muon_is_the_authors_update(shape, nesterov, adjust, ratio):
    grads = gradients(shape, 200)
    optimizer = optim.muon(
        0.02, weight_decay=0.1, momentum=0.9, nesterov=nesterov, adjust_lr_fn=adjust, ns_steps=5
    )
    found, _ = trajectory(optimizer, torch.ones(shape), grads)
    expected = numpy_muon(
        np.ones(shape),
        grads.numpy(),
        lr=0.02,
        weight_decay=0.1,
        momentum=0.9,
        nesterov=nesterov,
        steps=5,
        ratio=ratio(*shape),
    )
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
@pytest.mark.parametrize(
    "options", [{}, {"nesterov": False, "weight_decay": 0.0, "momentum": 0.5, "lr": 0.02}]
)
def test_muon_equals_torch_without_its_cast(options, monkeypatch):
    """Torch's Muon orthogonalizes in bfloat16; with the cast taken out, the two agree to round-off."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    params = {"tall": torch.ones(5, 3), "wide": torch.ones(2, 6), "bias": torch.ones(3)}
    grads = [{name: gradients(leaf.shape, 200, fold=len(name)) for name, leaf in params.items()}]
    grads = [tree.map(lambda leaf, i=i: leaf[i], grads[0]) for i in range(200)]
    found, _ = trajectory(optim.muon(**options), params, grads)
    theirs = {name: leaf.clone() for name, leaf in params.items()}
    rest = {name: options[name] for name in ("lr",) if name in options}
    references = [
        torch.optim.Muon([theirs["tall"], theirs["wide"]], **options),
        torch.optim.AdamW([theirs["bias"]], weight_decay=options.get("weight_decay", 0.1), **rest),
    ]
    for grad in grads:
        for name, leaf in theirs.items():
            leaf.grad = grad[name]
        for one in references:
            one.step()
    for name, leaf in theirs.items():
        torch.testing.assert_close(found[name], leaf, rtol=0, atol=1e-12)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
def test_muon_in_bfloat16_is_that_of_torch():
    grad = gradients((6, 4), 1)[0]
    found, _ = trajectory(optim.muon(0.1, weight_decay=0.0, dtype=torch.bfloat16), torch.zeros(6, 4), [grad])
    theirs = torch.zeros(6, 4)
    theirs.grad = grad
    torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0).step()
    torch.testing.assert_close(found, theirs, rtol=2e-2, atol=2e-3)
    assert found.dtype == torch.float64


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5)])
def test_orthogonalizing_to_the_end_gives_the_polar_factor(shape):
    """With the coefficients of Newton's own quintic the iteration converges to U V^T."""
    grad = gradients(shape, 1)[0]
    found = optim.orthogonalize((15 / 8, -10 / 8, 3 / 8), 40).update(grad, (), grad)[0]
    left, _, right = torch.linalg.svd(grad, full_matrices=False)
    torch.testing.assert_close(found, left @ right, rtol=0, atol=1e-12)


def test_muon_gives_other_leaves_to_another_optimizer():
    params = {"w": torch.ones(2, 2), "b": torch.ones(2), "t": torch.ones(2, 2, 2), "none": torch.zeros(0, 3)}
    optimizer = optim.muon(0.1, others=optim.sgd(1.0))
    updates, state = optimizer.update(params, optimizer.init(params), params)
    assert set(state) == {"matrices", "others"}
    assert torch.equal(updates["b"], -params["b"])
    assert torch.equal(updates["t"], -params["t"])
    assert not torch.equal(updates["w"], -params["w"])


def numpy_soap(w, grads, *, lr, weight_decay, betas, eps, frequency, shift):
    """Vyas et al., algorithms 3 and 4, with the bias correction of Adam and decoupled decay."""
    first, second = betas
    m, v = np.zeros_like(w), np.zeros_like(w)
    left, right = np.zeros((len(w), len(w))), np.zeros((w.shape[1], w.shape[1]))
    ql, qr = np.eye(*left.shape), np.eye(*right.shape)
    for t, g in enumerate(grads, 1):
        rotated = ql.T @ g @ qr
        m = first * m + (1 - first) * g
        v = second * v + (1 - second) * rotated**2
        mean, scale = (ql.T @ m @ qr) / (1 - first**t), v / (1 - second**t)
        step = ql @ (mean / (np.sqrt(scale) + eps)) @ qr.T
        w = w - lr * (step + weight_decay * w)
        left = second * left + (1 - second) * g @ g.T
        right = second * right + (1 - second) * g.T @ g
        if t % frequency == 0:
            ql, _ = np.linalg.qr((left + shift * np.trace(left) / len(left) * np.eye(len(left))) @ ql)
            qr, _ = np.linalg.qr((right + shift * np.trace(right) / len(right) * np.eye(len(right))) @ qr)
    return w


@pytest.mark.parametrize(
    ("shape", "frequency", "shift"),
    [((4, 4), 1, 0.0), ((4, 4), 10, 0.0), ((5, 3), 1, 0.1), ((3, 5), 7, 0.1)],
)
def test_soap_is_the_update_of_the_paper(shape, frequency, shift):
    """Without the shift, square matrices alone: else round-off would choose part of the first basis."""
    grads = gradients(shape, 200)
    options = {"weight_decay": 0.02, "betas": (0.9, 0.95), "eps": 1e-8, "shift": shift}
    optimizer = optim.soap(0.01, precondition_frequency=frequency, **options)
    found, _ = trajectory(optimizer, torch.ones(shape), grads)
    expected = numpy_soap(np.ones(shape), grads.numpy(), lr=0.01, frequency=frequency, **options)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


def test_soap_turns_to_the_eigenvectors():
    """Gradients of one covariance a side: the bases become its eigenvectors, up to their order."""
    basis = torch.linalg.qr(random.normal(KEY, (3, 3)))[0]
    grads = [basis @ torch.diag(torch.tensor([3.0, 2.0, 1.0])) @ basis.T] * 100
    _, (state, *_) = trajectory(optim.soap(0.01), torch.zeros(3, 3), grads)
    turned = state.rotations.bases[0].T @ basis
    torch.testing.assert_close(turned.abs(), torch.eye(3), rtol=0, atol=1e-6)


def test_soap_without_rotation_is_adamw():
    """Vectors, dimensions above the limit and empty leaves keep Adam's own coordinates."""
    params = {"b": torch.ones(3), "w": torch.ones(4, 5), "none": torch.zeros(0, 3), "s": torch.ones(())}
    grads = [
        {name: gradients(leaf.shape, 20, fold=len(name))[i] for name, leaf in params.items()}
        for i in range(20)
    ]
    options = {"betas": (0.9, 0.99), "weight_decay": 0.1}
    ours, _ = trajectory(optim.soap(0.1, max_precond_dim=3, **options), params, grads)
    theirs, _ = trajectory(optim.adamw(0.1, **options), params, grads)
    for one, other in zip(tree.leaves(ours), tree.leaves(theirs), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-14)


def test_soap_does_not_know_the_coordinates():
    """Gradients turned in each dimension, from bases turned as much, give steps turned as much."""
    turn = [torch.linalg.qr(random.normal(random.fold_in(KEY, size), (size, size)))[0] for size in (3, 4, 2)]

    def rotate(x):
        for dim, basis in enumerate(turn):
            x = torch.tensordot(x, basis, ([dim], [1])).movedim(-1, dim)
        return x

    direction = optim.scale_by_soap((0.9, 0.99))
    update = jit(direction.update, backend="trace")
    straight = direction.init(torch.zeros(3, 4, 2))
    bases = tuple(basis.contiguous() for basis in turn)
    turned = straight._replace(rotations=straight.rotations._replace(bases=bases))
    for grad in gradients((3, 4, 2), 20):
        one, straight = update(grad, straight, grad)
        other, turned = update(rotate(grad), turned, grad)
        torch.testing.assert_close(rotate(one), other, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.muon(momentum=1.0), ValueError, "momentum must be below 1. Got momentum=1.0."),
        (lambda: optim.muon(ns_steps=0), ValueError, "ns_steps must be at least 1. Got ns_steps=0."),
        (lambda: optim.muon(eps=0.0), ValueError, "eps must be positive."),
        (
            lambda: optim.muon(ns_coefficients=(1.0, float("nan"), 0.0)),
            ValueError,
            "ns_coefficients[1] must be finite.",
        ),
        (
            lambda: optim.muon(adjust_lr_fn="match_rms_adam"),
            ValueError,
            "adjust_lr_fn must be one of 'original', 'match_rms_adamw'. Got adjust_lr_fn='match_rms_adam'.",
        ),
        (
            lambda: optim.orthogonalize().update(torch.ones(3), (), torch.ones(3)),
            ValueError,
            "Each leaf must be a matrix to be orthogonalized. Got one of shape (3,).",
        ),
        (lambda: optim.soap(shift=-1.0), ValueError, "shift must not be negative."),
        (lambda: optim.soap(eps=-1.0), ValueError, "eps must not be negative."),
        (lambda: optim.soap(betas=(0.9, 1.0)), ValueError, "betas[1] must be below 1."),
        (
            lambda: optim.soap(precondition_frequency=0),
            ValueError,
            "precondition_frequency must be at least 1. Got precondition_frequency=0.",
        ),
        (lambda: optim.soap(max_precond_dim=0), ValueError, "max_precond_dim must be at least 1."),
    ],
)
def test_wrong_arguments_say_what_must_hold(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call()
