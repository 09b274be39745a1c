r"""Which directions to differentiate along, so that all the operators asked for can be read off.

A pure derivative is a row along its coordinate, and brings the lower orders with it. Any other operator is a
sum of derivatives along directions, of one order, and is carried collapsed.
"""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from funcsci.autodiff.jet import Bundle, Layout, Sum

Operator: TypeAlias = tuple[tuple[int, ...], ...]
"""A sum of partial derivatives, each a tuple of coordinates; `((),)` is the value itself."""
Direction: TypeAlias = tuple[int, ...]
Combination: TypeAlias = dict[Direction, Fraction]
"""A factor for the derivative along each direction, all of one order."""


class Answer(NamedTuple):
    """How an operator is read off a jet: a sum of numbers times what it holds.

    Attributes:
        value: the factor of the value itself.
        terms: (part, row, factor) of the derivatives.
    """

    value: float
    terms: tuple[tuple[int, int, float], ...]


class Plan(NamedTuple):
    """What to carry for some operators.

    Attributes:
        layout: of the jets.
        directions: of each bundle.
        answers: one for each operator.
    """

    layout: Layout
    directions: tuple[tuple[Direction, ...], ...]
    answers: tuple[Answer, ...]


def polarized(term: tuple[int, ...], dimensions: int) -> Combination:
    r"""A partial derivative as a sum of pure ones along directions, of the same order $k$.

    $$\partial_1 \cdots \partial_k = \frac{1}{2^{k-1} k!} \sum_{\epsilon} \epsilon_2 \cdots \epsilon_k\,
    (\partial_1 + \epsilon_2 \partial_2 + \dots + \epsilon_k \partial_k)^k.$$

    Args:
        term: coordinates, one for each order, and one at least.
        dimensions: of the space.

    Returns:
        The factor of each direction; of opposite ones, and multiples, only one is there.
    """
    order = len(term)
    if len(set(term)) == 1:
        return {tuple(int(place == term[0]) for place in range(dimensions)): Fraction(1)}
    found: Combination = {}
    for signs in itertools.product((1, -1), repeat=order - 1):
        direction = [0] * dimensions
        for place, sign in zip(term, (1, *signs), strict=True):
            direction[place] += sign
        size = math.gcd(*direction)
        if size == 0:
            continue
        if next(one for one in direction if one) < 0:
            size = -size
        line = tuple(one // size for one in direction)
        factor = Fraction(math.prod(signs) * size**order, 2 ** (order - 1) * math.factorial(order))
        found[line] = found.get(line, Fraction(0)) + factor
    return {line: factor for line, factor in found.items() if factor}


def plan(operators: Sequence[Operator], dimensions: int) -> Plan:
    """Decide what to carry.

    Args:
        operators: what is asked.
        dimensions: of the space.
    """
    asked = [_by_order(operator, dimensions) for operator in operators]
    rows, collapsed = _rows_and_sums([one for by_order in asked for one in by_order.items()])

    # A bundle's directions share the highest order and the sums they take part in.
    groups: dict[tuple[int, tuple[bool, ...]], list[Direction]] = {}
    for line, order in rows.items():
        groups.setdefault((order, tuple(line in one for _, one in collapsed)), []).append(line)
    lines = tuple(map(tuple, groups.values()))
    bundles = tuple(Bundle(order, len(members)) for (order, _), members in groups.items())
    sums = tuple(_sum(order, combination, lines) for order, combination in collapsed)
    layout = Layout(bundles, sums)
    where = {line: (place, row) for place, one in enumerate(lines) for row, line in enumerate(one)}

    def answer(operator: Operator, by_order: dict[int, Combination]) -> Answer:
        terms = []
        for order, combination in by_order.items():
            left = _missing(rows, order, combination)
            for line in combination:
                if line not in left:
                    place, row = where[line]
                    terms.append((layout.place(place, order), row, float(combination[line])))
            if left:
                which = collapsed.index((order, left))
                terms.append((layout.place_of_sum(which), 0, float(_common(left))))
        return Answer(float(operator.count(())), tuple(terms))

    return Plan(layout, lines, tuple(map(answer, operators, asked)))


def _by_order(operator: Operator, dimensions: int) -> dict[int, Combination]:
    """An operator's derivatives along directions; those of different orders are summed apart."""
    found: dict[int, Combination] = {}
    for term in filter(None, operator):
        combination = found.setdefault(len(term), {})
        for line, factor in polarized(term, dimensions).items():
            combination[line] = combination.get(line, Fraction(0)) + factor
    return {
        order: {line: factor for line, factor in combination.items() if factor}
        for order, combination in found.items()
    }


def _rows_and_sums(
    asked: Sequence[tuple[int, Combination]],
) -> tuple[dict[Direction, int], list[tuple[int, Combination]]]:
    """Up to which order to carry rows along each direction, and what to carry as sums besides.

    The highest orders come first, because the rows below them are there for all that follow.
    """
    rows: dict[Direction, int] = {}
    collapsed: list[tuple[int, Combination]] = []
    for order in sorted({order for order, _ in asked}, reverse=True):
        combinations = [combination for one, combination in asked if one == order]
        single: set[Direction] | None = None
        while (
            single is None or single
        ):  # a sum of one direction is a row, which may leave one direction of another sum
            left = [_missing(rows, order, combination) for combination in combinations]
            single = {line for one in left if order == 1 or len(one) == 1 for line in one}
            rows |= dict.fromkeys(single, order)
        sums = [(order, one) for place, one in enumerate(left) if one and one not in left[:place]]
        for _, combination in sums:
            rows |= {line: max(rows.get(line, 0), order - 1) for line in combination}
        collapsed += sums
    return rows, collapsed


def _missing(rows: dict[Direction, int], order: int, combination: Combination) -> Combination:
    """The part of a combination that rows do not give."""
    return {line: factor for line, factor in combination.items() if rows.get(line, 0) < order}


def _sum(order: int, combination: Combination, bundles: Sequence[Sequence[Direction]]) -> Sum:
    common = _common(combination)
    weights = [
        (place, tuple(float(combination[line] / common) for line in lines))
        for place, lines in enumerate(bundles)
        if lines[0] in combination
    ]
    return Sum(order, tuple(weights))


def _common(combination: Combination) -> Fraction:
    """A factor that leaves ones, which need no multiplication."""
    factors = set(combination.values())
    return factors.pop() if len(factors) == 1 else Fraction(1)
