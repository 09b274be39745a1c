"""What the library's own layer is for a layer of torch."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch.nn import Module

from funcsci import nn, random, tree
from funcsci.nn.model import Layer, Model, StatefulModel
from funcsci.tree import PyTree


class Rule(NamedTuple):
    """How one class of torch's layers is made from the library's.

    Attributes:
        make: the constructor, called with the options by name.
        options: the module's attributes that are options of the same name.
        bias: whether the constructor has an option `bias`.
        only: the attributes that must have these values, for the library has no option for them.
    """

    make: Callable[..., Layer]
    options: tuple[str, ...] = ()
    bias: bool = False
    only: Mapping[str, Any] = {}


def _function(function: Callable[..., Any], *options: str, **only: Any) -> Rule:
    """A rule for a layer that learns nothing: a function of a tensor and the options."""
    return Rule(lambda **values: functools.partial(function, **values), options, only=only)


_CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
_BATCH_NORM = ("num_features", "eps", "momentum", "affine")
_LAYER_NORM = ("normalized_shape", "eps", "elementwise_affine")
_MAX_POOL = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
_AVG_POOL = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
_ONE_OUTPUT = {"return_indices": False}

RULES: dict[type[Module], Rule] = {
    torch.nn.Linear: Rule(nn.linear, ("in_features", "out_features"), bias=True),
    torch.nn.Conv1d: Rule(nn.conv1d, (*_CONVOLUTION, "padding_mode"), bias=True),
    torch.nn.Conv2d: Rule(nn.conv2d, (*_CONVOLUTION, "padding_mode"), bias=True),
    torch.nn.Conv3d: Rule(nn.conv3d, (*_CONVOLUTION, "padding_mode"), bias=True),
    torch.nn.ConvTranspose1d: Rule(nn.conv_transpose1d, (*_CONVOLUTION, "output_padding"), bias=True),
    torch.nn.ConvTranspose2d: Rule(nn.conv_transpose2d, (*_CONVOLUTION, "output_padding"), bias=True),
    torch.nn.ConvTranspose3d: Rule(nn.conv_transpose3d, (*_CONVOLUTION, "output_padding"), bias=True),
    torch.nn.BatchNorm1d: Rule(nn.batch_norm, _BATCH_NORM),
    torch.nn.BatchNorm2d: Rule(nn.batch_norm, _BATCH_NORM),
    torch.nn.BatchNorm3d: Rule(nn.batch_norm, _BATCH_NORM),
    torch.nn.LayerNorm: Rule(nn.layer_norm, _LAYER_NORM, bias=True),
    torch.nn.GroupNorm: Rule(nn.group_norm, ("num_groups", "num_channels", "eps", "affine")),
    torch.nn.Dropout: Rule(nn.dropout, ("p",)),
    torch.nn.MaxPool1d: Rule(nn.max_pool1d, _MAX_POOL, only=_ONE_OUTPUT),
    torch.nn.MaxPool2d: Rule(nn.max_pool2d, _MAX_POOL, only=_ONE_OUTPUT),
    torch.nn.MaxPool3d: Rule(nn.max_pool3d, _MAX_POOL, only=_ONE_OUTPUT),
    torch.nn.AvgPool1d: Rule(nn.avg_pool1d, _AVG_POOL),
    torch.nn.AvgPool2d: Rule(nn.avg_pool2d, _AVG_POOL, only={"divisor_override": None}),
    torch.nn.AvgPool3d: Rule(nn.avg_pool3d, _AVG_POOL, only={"divisor_override": None}),
    torch.nn.AdaptiveAvgPool1d: _function(F.adaptive_avg_pool1d, "output_size"),
    torch.nn.AdaptiveAvgPool2d: _function(F.adaptive_avg_pool2d, "output_size"),
    torch.nn.AdaptiveAvgPool3d: _function(F.adaptive_avg_pool3d, "output_size"),
    torch.nn.AdaptiveMaxPool1d: _function(F.adaptive_max_pool1d, "output_size", **_ONE_OUTPUT),
    torch.nn.AdaptiveMaxPool2d: _function(F.adaptive_max_pool2d, "output_size", **_ONE_OUTPUT),
    torch.nn.AdaptiveMaxPool3d: _function(F.adaptive_max_pool3d, "output_size", **_ONE_OUTPUT),
    torch.nn.Flatten: Rule(nn.flatten, ("start_dim", "end_dim")),
    torch.nn.Upsample: Rule(
        nn.upsample,
        ("size", "scale_factor", "mode", "align_corners"),
        only={"recompute_scale_factor": None},
    ),
    torch.nn.Identity: _function(nn.activations.identity),
    torch.nn.CELU: _function(F.celu, "alpha"),
    torch.nn.ELU: _function(F.elu, "alpha"),
    torch.nn.GELU: _function(F.gelu, "approximate"),
    torch.nn.GLU: _function(F.glu, "dim"),
    torch.nn.Hardshrink: _function(F.hardshrink, "lambd"),
    torch.nn.Hardsigmoid: _function(F.hardsigmoid),
    torch.nn.Hardswish: _function(F.hardswish),
    torch.nn.Hardtanh: _function(F.hardtanh, "min_val", "max_val"),
    torch.nn.LeakyReLU: _function(F.leaky_relu, "negative_slope"),
    torch.nn.LogSoftmax: _function(F.log_softmax, "dim"),
    torch.nn.LogSigmoid: _function(F.logsigmoid),
    torch.nn.Mish: _function(F.mish),
    torch.nn.ReLU: _function(F.relu),
    torch.nn.ReLU6: _function(F.relu6),
    torch.nn.SELU: _function(F.selu),
    torch.nn.Sigmoid: _function(torch.sigmoid),
    torch.nn.SiLU: _function(F.silu),
    torch.nn.Softmax: _function(F.softmax, "dim"),
    torch.nn.Softplus: _function(F.softplus, "beta", "threshold"),
    torch.nn.Softshrink: _function(F.softshrink, "lambd"),
    torch.nn.Softsign: _function(F.softsign),
    torch.nn.Tanh: _function(torch.tanh),
    torch.nn.Tanhshrink: _function(F.tanhshrink),
    torch.nn.Threshold: _function(F.threshold, "threshold", "value"),
}
"""The layers that are known, by their exact class: a subclass may compute something else."""

if hasattr(torch.nn, "RMSNorm"):  # from torch 2.4 on
    RULES[torch.nn.RMSNorm] = Rule(nn.rms_norm, _LAYER_NORM)


def translated(module: Module) -> Layer | None:
    """The library's layer that computes what the module does.

    Returns:
        The layer; None if there is none, or it would not hold the same numbers under the same names.
    """
    rule = RULES.get(type(module))
    if rule is None or not is_plain(module):
        return None
    if any(getattr(module, name) != value for name, value in rule.only.items()):
        return None
    options = {name: getattr(module, name) for name in rule.options}
    if rule.bias:
        options["bias"] = module.bias is not None
    try:
        layer = rule.make(**options)
    except (TypeError, ValueError):  # an option that torch alone allows
        return None
    return layer if _shapes(_held(layer)) == _shapes(own_tensors(module)) else None


def is_plain(module: Module) -> bool:
    """Whether calling the module calls the forward of its class: no hooks, and no forward of its own."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return "forward" not in vars(module) and not any(getattr(module, name, None) for name in hooks)


def own_tensors(module: Module) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """The parameters and the buffers of the module itself, without those of its parts."""
    return dict(module.named_parameters(recurse=False)), dict(module.named_buffers(recurse=False))


def _held(layer: Layer) -> tuple[PyTree, PyTree]:
    """What the layer would hold, as shapes alone."""
    if isinstance(layer, Model | StatefulModel):
        params, state = nn.stateful(layer).init(random.key(0), device="meta")
        return params, state
    return {}, {}


def _shapes(trees: PyTree) -> dict[str, torch.Size]:
    return {path: leaf.shape for path, leaf in zip(tree.paths(trees), tree.leaves(trees), strict=True)}
