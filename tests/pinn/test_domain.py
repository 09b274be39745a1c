"""Boxes with named coordinates: points go to the cube of networks and back, one coordinate moves alone."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import grad, vmap

from funcsci.pinn import Domain
from funcsci.pinn.domain import along, replaced

BOX = Domain.of({"x": (-1.0, 3.0), "theta": (0.5, 0.75), "t": (0, 10)})
ends = st.floats(-100, 100)
spans = st.tuples(ends, st.floats(0.01, 50)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def test_a_box_is_its_ranges() -> None:
    assert BOX.names == ("x", "theta", "t") and BOX.dimensions == 3
    assert BOX.lower == (-1.0, 0.5, 0.0) and BOX.upper == (3.0, 0.75, 10.0)
    assert BOX.lengths == (4.0, 0.25, 10.0) and BOX.length("theta") == 0.25
    assert BOX.index("t") == 2 and Domain.of(BOX.ranges) == BOX


@given(ranges=st.lists(spans, min_size=1, max_size=4), seed=st.integers(0, 100))
def test_corners_are_scaled_to_corners_and_points_come_back(ranges, seed) -> None:
    box = Domain.of({f"x{place}": span for place, span in enumerate(ranges)})
    lower, upper = (torch.tensor(end) for end in (box.lower, box.upper))
    torch.testing.assert_close(box.scaled(lower), -torch.ones(len(ranges)), atol=1e-12, rtol=0)
    torch.testing.assert_close(box.scaled(upper), torch.ones(len(ranges)), atol=1e-10, rtol=0)
    unit = torch.rand(7, len(ranges), generator=torch.Generator().manual_seed(seed))
    back = 0.5 * (vmap(box.scaled)(box.unscaled(unit)) + 1)
    torch.testing.assert_close(back, unit, atol=1e-9, rtol=0)


def test_a_part_has_another_range_of_one_coordinate() -> None:
    assert BOX.part("t", 2.0, 3.0).ranges == {**BOX.ranges, "t": (2.0, 3.0)}


def test_scaling_keeps_dtype_and_device_and_has_a_slope() -> None:
    assert BOX.scaled(torch.zeros(3, dtype=torch.float32)).dtype == torch.float32
    assert BOX.scaled(torch.empty(3, device="meta")).device.type == "meta"
    slope = grad(lambda x: BOX.scaled(x).sum())(torch.tensor([0.3, 0.6, 2.0]))
    torch.testing.assert_close(slope, torch.tensor([0.5, 8.0, 0.2]))


def test_one_coordinate_is_replaced_by_a_number_or_a_tensor() -> None:
    x = torch.tensor([1.0, 2.0, 3.0])
    assert replaced(x, 1, 7.0).tolist() == [1.0, 7.0, 3.0]
    slope = grad(lambda s: replaced(x, 1, s).square().sum())(torch.tensor(4.0))
    assert float(slope) == 8.0
    assert grad(lambda x: replaced(x, 1, 7.0).square().sum())(x).tolist() == [2.0, 0.0, 6.0]


@pytest.mark.parametrize("order", range(5))
def test_derivatives_along_a_coordinate_are_those_of_the_closed_form(order: int) -> None:
    x = torch.tensor([0.3, -0.7])
    found = along(lambda x: torch.sin(2 * x[1]) * torch.exp(x[0]), x, 1, order)
    expected = math.exp(0.3) * 2**order * math.sin(-1.4 + order * math.pi / 2)
    assert float(found) == pytest.approx(expected, rel=1e-13)
