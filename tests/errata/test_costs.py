"""Errata of the final words on sequences: time, memory and context of RNNs and attention."""

import math

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from funcsci import nn, random


def values(*shape: int) -> torch.Tensor:
    return random.normal(random.key(75), shape)


def longest_path(tensor: torch.Tensor) -> int:
    """Operations that must follow one another, as the tape of autograd has them."""
    order, depth, stack = [], {}, [(tensor.grad_fn, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in depth:
            depth[node] = 0
            stack.append((node, True))
            stack += [(after, False) for after, _ in node.next_functions if after is not None]
    for node in order:
        before = [depth[after] for after, _ in node.next_functions if after is not None]
        depth[node] = 1 + max(before, default=0)
    return depth[tensor.grad_fn]


def saved_numbers(run) -> int:
    """How many numbers the tape keeps for the backward pass, each tensor's memory counted once."""
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # alive, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(tensor.untyped_storage().nbytes() // tensor.element_size() for tensor in kept.values())


def recurrent(length: int) -> torch.Tensor:
    cell = nn.rnn_cell(4, 4)
    params = {name: leaf.requires_grad_() for name, leaf in cell.init(random.key(0)).items()}
    return nn.unroll(cell, params, values(length, 4))[0]


def attended(length: int) -> torch.Tensor:
    x = values(length, 4).requires_grad_()
    return nn.attention(x, x, x).output


def test_an_rnn_keeps_every_step_for_its_gradient():
    """Training takes O(N) memory; only a pass without a gradient needs the last state alone."""
    few, many = (saved_numbers(lambda length=length: recurrent(length)) for length in (100, 200))
    assert many - few >= 100 * 4
    assert many == pytest.approx(2 * few, rel=0.1)


def test_attention_is_constant_in_depth_and_quadratic_in_work():
    """O(1) steps that must wait, O(N² d) operations; an RNN has O(N) of both."""
    assert longest_path(attended(100)) == longest_path(attended(200))
    assert longest_path(recurrent(200)) - longest_path(recurrent(100)) >= 100
    operations = {}
    for run in (attended, recurrent):
        for length in (100, 200):
            counter = FlopCounterMode(display=False)
            with counter:
                run(length)
            operations[run, length] = counter.get_total_flops()
    assert operations[attended, 100] == 2 * 2 * 100**2 * 4
    assert operations[attended, 200] / operations[attended, 100] == 4
    assert operations[recurrent, 200] / operations[recurrent, 100] == pytest.approx(2, rel=0.02)


def test_attention_needs_no_matrix_of_all_pairs():
    """Block by block, with the running sum of the softmax: two numbers and an output for each query."""
    query, key, value = (random.normal(one, (64, 4)) for one in random.split(random.key(0), 3))
    top, total, output = torch.full((64, 1), -math.inf), torch.zeros(64, 1), torch.zeros(64, 4)
    for keys, rows in zip(key.split(8), value.split(8), strict=True):
        scores = query @ keys.T / 2
        higher = torch.maximum(top, scores.amax(1, keepdim=True))
        share, fade = torch.exp(scores - higher), torch.exp(top - higher)
        total = fade * total + share.sum(1, keepdim=True)
        output = fade * output + share @ rows
        top = higher
    torch.testing.assert_close(output / total, nn.attention(query, key, value).output)


def test_bounded_scores_let_no_weight_stand_out_of_a_long_sequence():
    """With |score| ≤ B a weight is at most 1 / (1 + (N - 1) exp(-2 B)): the context is averaged away."""
    bound = 2.0
    for length in (10, 1000, 100_000):
        scores = torch.full((length,), -bound)
        scores[0] = bound
        most = float(torch.softmax(scores, 0)[0])
        assert most == pytest.approx(1 / (1 + (length - 1) * math.exp(-2 * bound)))
        others = torch.softmax(bound * torch.tanh(random.normal(random.key(1), (length,))), 0)
        assert float(others.max()) < most
    assert most < 1e-3
