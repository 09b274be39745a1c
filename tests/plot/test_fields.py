"""Figures of fields: what is drawn is what was given, where it can be found, and on which axes."""

import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import LogNorm

from funcsci.plot import Course, Misfit, curves_figure, map_figure, slices_figure

T = np.linspace(0.0, 3.0, 200)
COURSE = Course(10.0 ** -np.linspace(0, 8, 50), np.linspace(0.1, 2.0, 50))
ERROR = Misfit("Pointwise error", "|solution − closed form|", {"u": 1e-6 * np.sin(T)})
PAIR = {"prey": np.exp(-T), "predator": np.sin(T)}


def curves(values=None, misfit=ERROR, course=COURSE, **options):
    values = {"u": np.cos(T)} if values is None else values
    return curves_figure(T, values, misfit, course, **{"coordinate": "t", "title": "the title", **options})


def maps(values, wrong, x=None, y=None, course=COURSE, **options):
    x = np.linspace(-1.0, 1.0, values.shape[0]) if x is None else x
    y = np.linspace(0.0, 2.0, values.shape[1]) if y is None else y
    given = {"coordinates": ("x", "y"), "field": "u", "title": "the title", **options}
    return map_figure(x, y, values, Misfit("Residual", "|residual|", {"equation 1": wrong}), course, **given)


def legend(axes):
    return [] if axes.get_legend() is None else [text.get_text() for text in axes.get_legend().get_texts()]


def words(axes):
    return [text.get_text() for text in axes.texts]


def rendered(figure):
    """As a file would be: this is where matplotlib meets a limit that it cannot draw."""
    figure.draw_without_rendering()
    return figure


def map_of(axes):
    (mesh,) = axes.collections
    return mesh


def test_one_field_on_its_closed_form():
    figure = rendered(curves(exact={"u": np.cos(T) + 0.1}))
    assert "the title" in words(figure)
    curve, error, history = figure.axes
    behind, front = curve.lines
    np.testing.assert_array_equal(behind.get_ydata(), np.cos(T) + 0.1)
    np.testing.assert_array_equal(front.get_ydata(), np.cos(T))
    np.testing.assert_array_equal(front.get_xdata(), T)
    assert behind.get_linewidth() > front.get_linewidth() and behind.get_alpha() < 1
    assert behind.get_zorder() <= front.get_zorder()
    assert legend(curve) == ["closed form", "solution"]
    assert (curve.get_xlabel(), curve.get_ylabel()) == ("t", "u(t)")

    np.testing.assert_array_equal(error.lines[0].get_ydata()[1:], 1e-6 * np.sin(T[1:]))
    assert error.get_ylabel() == "|solution − closed form|"
    assert [axes.get_title() for axes in figure.axes] == ["Solution", "Pointwise error", "Loss"]
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log", "log"]
    np.testing.assert_array_equal(history.lines[0].get_ydata(), COURSE.loss)
    np.testing.assert_array_equal(history.lines[0].get_xdata(), COURSE.seconds)
    assert history.get_xlabel() == "seconds" and history.get_ylabel() == "mean squared residual"


def test_one_field_alone_needs_no_legend():
    curve, error, _ = curves().axes
    assert len(curve.lines) == 1 and legend(curve) == legend(error) == []


def test_several_fields_have_their_colours_in_both_panels():
    misfit = ERROR._replace(values={name: 1e-3 * one for name, one in PAIR.items()})
    curve, error, _ = rendered(curves(PAIR, misfit, exact=PAIR)).axes
    assert legend(curve) == ["prey", "predator", "closed form"] and legend(error) == []
    pairs = [curve.lines[0:2], curve.lines[2:4]]
    for (behind, front), wrong, (name, one) in zip(pairs, error.lines, PAIR.items(), strict=True):
        np.testing.assert_array_equal(front.get_ydata(), one)
        np.testing.assert_array_equal(behind.get_ydata(), one)
        assert front.get_label() == name
        assert behind.get_color() == front.get_color() == wrong.get_color()
    assert len({line.get_color() for line in curve.lines}) == 2
    below = curve.get_legend().get_window_extent()
    assert below.y1 < curve.get_window_extent().y0


def test_a_closed_form_may_be_known_for_some_fields_only():
    curve, _, _ = curves(PAIR, exact={"predator": PAIR["predator"]}).axes
    assert len(curve.lines) == 3 and legend(curve) == ["prey", "predator", "closed form"]


def test_residuals_are_named_where_there_are_several():
    residuals = {"equation 1": T - 1, "equation 2": T**2}
    _, wrong, _ = curves(PAIR, Misfit("Residual", "|residual|", residuals)).axes
    assert legend(wrong) == ["equation 1", "equation 2"]
    for line, values in zip(wrong.lines, residuals.values(), strict=True):
        drawn = line.get_ydata()
        np.testing.assert_array_equal(drawn[np.isfinite(drawn)], np.abs(values[values != 0]))


def test_no_two_of_many_fields_look_alike():
    figure = rendered(curves({f"u{number}": T * number for number in range(24)}))
    strokes = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(strokes) == 24


def test_zeros_and_what_is_no_number_are_gaps_on_a_logarithmic_axis():
    wrong = np.where(T < 1, 0.0, -1e-3)
    wrong[-2:] = np.nan, np.inf
    loss = np.array([1.0, 0.0, np.nan, 1e-3])
    misfit, course = ERROR._replace(values={"u": wrong}), Course(loss, np.arange(4.0))
    _, error, history = rendered(curves(misfit=misfit, course=course)).axes
    shown = error.lines[0].get_ydata()
    np.testing.assert_array_equal(np.isnan(shown), (T < 1) | (np.arange(len(T)) >= len(T) - 2))
    assert set(shown[np.isfinite(shown)]) == {1e-3}
    np.testing.assert_array_equal(history.lines[0].get_ydata(), [1.0, np.nan, np.nan, 1e-3])
    assert words(error) == words(history) == []


@pytest.mark.parametrize(("value", "said"), [(0.0, "zero everywhere"), (np.nan, "no numbers")])
def test_an_empty_logarithmic_panel_says_why(value, said):
    misfit = ERROR._replace(values={"u": np.full_like(T, value)})
    _, error, history = rendered(curves(misfit=misfit, course=Course([value], [0.1]))).axes
    assert words(error) == words(history) == [said]
    assert error.get_xlim() == (0.0, 3.0)
    assert rendered(curves(course=Course([], []))).axes[2].texts[0].get_text() == "no numbers"


def test_few_entries_of_a_history_are_marked():
    few = Course(np.asarray(COURSE.loss)[:5], np.asarray(COURSE.seconds)[:5])
    assert curves(course=few).axes[2].lines[0].get_marker() == "o"
    assert curves(course=COURSE).axes[2].lines[0].get_marker() == ""


@pytest.mark.parametrize("level", [0.0, 1.0, -1e5])
def test_round_off_on_a_constant_does_not_fill_the_panel(level):
    noise = level * (1 + 1e-15 * np.sin(40 * T))
    curve = rendered(curves({"u": noise})).axes[0]
    low, high = curve.get_ylim()
    assert low < level < high and high - low > 0.05 * abs(level)
    slices = slices_figure(T, [(0.0, noise)], coordinate="x", along="t", field="u", title="").axes[0]
    assert slices.get_ylim() == pytest.approx((low, high))


def test_a_field_that_is_nowhere_a_number_can_be_drawn():
    rendered(curves({"u": np.full_like(T, np.nan)}))
    rendered(maps(np.full((6, 5), np.nan), np.full((6, 5), np.nan)))


def test_a_map_has_the_first_coordinate_across():
    x, y = np.linspace(-1.0, 1.0, 7), np.linspace(0.0, 2.0, 5)
    field, residual = x[:, None] + 10 * y, -(10.0 ** -(3 + x[:, None] + y))
    figure = rendered(maps(field, residual, x, y))
    shown, wrong, history, bar, log_bar = figure.axes
    np.testing.assert_array_equal(map_of(shown).get_array().reshape(5, 7), field.T)
    np.testing.assert_allclose(map_of(wrong).get_array().reshape(5, 7), -residual.T, rtol=1e-15)
    for axes in (shown, wrong):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")
        assert (axes.get_xlim(), axes.get_ylim()) == ((-1.0, 1.0), (0.0, 2.0))
    assert [axes.get_title() for axes in figure.axes[:3]] == ["u(x, y)", "Residual", "Loss"]
    assert isinstance(map_of(wrong).norm, LogNorm) and not isinstance(map_of(shown).norm, LogNorm)
    assert (bar.get_yscale(), log_bar.get_yscale()) == ("linear", "log")
    assert log_bar.get_ylabel() == "|residual|"
    np.testing.assert_array_equal(history.lines[0].get_ydata(), COURSE.loss)


@pytest.mark.parametrize("coordinates", [("x", "t"), ("t", "x")])
def test_a_map_has_time_across(coordinates):
    ends = {"x": np.linspace(-1.0, 1.0, 7), "t": np.linspace(0.0, 2.0, 5)}
    rows_along_x = 3 * ends["x"][:, None] + ends["t"] ** 2
    values = rows_along_x if coordinates == ("x", "t") else rows_along_x.T
    first, second = (ends[name] for name in coordinates)
    shown, wrong, *_ = maps(values, values, first, second, coordinates=coordinates).axes
    assert shown.get_title() == f"u({', '.join(coordinates)})"
    for axes in (shown, wrong):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("t", "x")
        assert (axes.get_xlim(), axes.get_ylim()) == ((0.0, 2.0), (-1.0, 1.0))
    np.testing.assert_array_equal(map_of(shown).get_array().reshape(7, 5), rows_along_x)


def test_colours_are_centred_where_both_signs_count_and_only_there():
    x = np.linspace(-1, 1, 30)[:, None]
    both, above = np.broadcast_to(x - 0.2, (30, 20)), np.broadcast_to(x**2 - 1e-3, (30, 20))
    centred, one_sided = (map_of(maps(field, field).axes[0]) for field in (both, above))
    assert (centred.norm.vmin, centred.norm.vmax) == (-1.2, 1.2)
    middle = centred.cmap(centred.norm(0.0))
    assert min(middle[:3]) > 0.9  # white, near enough
    assert (one_sided.norm.vmin, one_sided.norm.vmax) == (above.min(), above.max())


@pytest.mark.parametrize("level", [0.0, 2.0, -3e-7])
def test_a_constant_map_has_one_colour(level):
    noise = level * (1 + 1e-15 * np.arange(30.0).reshape(6, 5))
    mesh = map_of(rendered(maps(noise, np.full((6, 5), 3e-5))).axes[0])
    assert np.ptp(mesh.norm(noise)) < 1e-12
    assert mesh.norm.vmin < level < mesh.norm.vmax


def test_the_scale_of_errors_is_not_stretched_by_single_points_near_zero():
    wrong = 10.0 ** -np.linspace(3, 5, 300).reshape(20, 15)
    wrong[0, 0] = 1e-17
    norm = map_of(rendered(maps(wrong, wrong)).axes[1]).norm
    assert norm.vmax == wrong.max() and 5e-6 < norm.vmin < 2e-5
    wide = 10.0 ** -np.linspace(0, 30, 300).reshape(20, 15)
    assert map_of(maps(wide, wide).axes[1]).norm.vmin == pytest.approx(1e-6)


def test_a_map_of_errors_tells_zero_from_what_is_no_number():
    wrong = 10.0 ** -np.linspace(3, 5, 300).reshape(20, 15)
    wrong[3, 3], wrong[4, 4] = 0.0, np.nan
    figure = rendered(maps(wrong, wrong))
    mesh = map_of(figure.axes[1])
    shades = mesh.cmap(mesh.norm(mesh.get_array().reshape(15, 20)))
    lowest, none = mesh.cmap(0.0), mesh.cmap(np.ma.masked)
    np.testing.assert_array_equal(shades[3, 3], lowest)
    np.testing.assert_array_equal(shades[4, 4], none)
    assert not np.allclose(lowest, none) and words(figure.axes[1]) == []


def test_a_map_of_no_errors_says_so():
    assert words(rendered(maps(np.ones((6, 5)), np.zeros((6, 5)))).axes[1]) == ["zero everywhere"]


@pytest.mark.parametrize(
    ("shapes", "name"), [([(5, 6), (6, 5)], "values"), ([(6, 5), (5, 6)], "misfit.values")]
)
def test_a_turned_grid_is_refused(shapes, name):
    must = f"{name} must have the shape (6, 5), the first coordinate's points before the second's. Got {name}"
    with pytest.raises(ValueError, match=re.escape(f"{must} of shape (5, 6). Try {name}.T.")):
        maps(*(np.ones(shape) for shape in shapes), x=np.arange(6.0), y=np.arange(5.0))


def test_slices_are_named_and_coloured_by_their_place():
    slices = [(time, np.sin(T + time)) for time in (0.0, 0.25, 1.0)]
    exact = [values + 0.1 for _, values in slices]
    options = {"coordinate": "x", "along": "t", "field": "u", "title": "the title"}
    (axes,) = rendered(slices_figure(T, slices, exact=exact, **options)).axes
    assert legend(axes) == ["t = 0", "t = 0.25", "t = 1", "closed form"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "u")
    for number, (_, values) in enumerate(slices):
        behind, front = axes.lines[2 * number : 2 * number + 2]
        np.testing.assert_array_equal(behind.get_ydata(), exact[number])
        np.testing.assert_array_equal(front.get_ydata(), values)
        assert behind.get_color() == front.get_color()
    (alone,) = slices_figure(T, slices[::2], **options).axes
    assert legend(alone) == ["t = 0", "t = 1"] and len(alone.lines) == 2
    assert [line.get_color() for line in alone.lines] == [
        axes.lines[1].get_color(),
        axes.lines[5].get_color(),
    ]


def test_many_slices_have_a_bar_of_colours():
    times = np.linspace(0, 4, 20)
    options = {"coordinate": "x", "along": "t", "field": "u", "title": ""}
    figure = rendered(slices_figure(T, [(time, time * T) for time in times], **options))
    axes, bar = figure.axes
    assert legend(axes) == [] and len(axes.lines) == 20
    assert bar.get_ylabel() == "t" and bar.get_ylim() == (0.0, 4.0)


def test_pyplot_is_not_touched():
    program = (
        "import sys, numpy as np\n"
        "from funcsci.plot import Course, Misfit, curves_figure\n"
        "x, course = np.ones(3), Course([1.0], [1.0])\n"
        "curves_figure(x, {'u': x}, Misfit('', '', {'u': x}), course, coordinate='t', title='')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_figures_can_be_written(tmp_path):
    for number, figure in enumerate([curves(exact={"u": np.cos(T)}), maps(np.eye(9), np.eye(9))]):
        for ending in ("png", "pdf", "svg"):
            path = tmp_path / f"{number}.{ending}"
            figure.savefig(path, dpi=50)
            assert path.stat().st_size > 5_000
    assert matplotlib.get_backend().lower() == "agg"
