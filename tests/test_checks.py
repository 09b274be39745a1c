"""Every check says what must hold, what came and what to do; and lets through what is right."""

import ast
import fractions
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from funcsci import checks

pytestmark = pytest.mark.wrong_types

numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.fractions())


def raised(check: Callable[..., None], **values: Any) -> str:
    with pytest.raises((TypeError, ValueError)) as caught:
        check(**values)
    return f"{caught.type.__name__}: {caught.value}"


T, V, W = "TypeError: width ", "ValueError: width ", "Try width=(32, 32)."
R, NAN = "1.0.", math.nan


@pytest.mark.parametrize(
    ("check", "value", "said"),
    [
        (checks.finite, "1", T + "must be a real number. Got width='1'. Try width=1.0."),
        (checks.finite, True, T + "must be a real number. Got width=True. Try width=1.0."),
        (checks.finite, None, T + "must be a real number. Got width=None. Try width=1.0."),
        (checks.finite, math.nan, V + "must be finite. Got width=nan. Try width=1.0."),
        (checks.finite, -math.inf, V + "must be finite. Got width=-inf. Try width=1.0."),
        (checks.finite, 10**400, V + "must be finite as a float, at most 1.8e308 in size. "
         "Got width=(a larger int). Try width=1.0."),
        (checks.positive, -(10**400), V + "must be finite as a float, at most 1.8e308 in size. "
         "Got width=(a larger int). Try width=1.0."),
        (checks.finite, fractions.Fraction(10**400), V + "must be finite as a float, at most 1.8e308 in "
         "size. Got width=(a larger Fraction). Try width=1.0."),
        (checks.positive, 0, V + "must be positive. Got width=0. Try width=1."),
        (checks.positive, math.inf, V + "must be finite. Got width=inf. Try width=1.0."),
        (checks.non_negative, -2, V + "must not be negative. Got width=-2. Try width=2."),
        (checks.non_negative, 1j, T + "must be a real number. Got width=1j. Try width=1.0."),
        (checks.integer, 1.0, T + "must be an integer. Got width=1.0. Try width=0."),
        (checks.integer, False, T + "must be an integer. Got width=False. Try width=0."),
        (checks.widths, 3, T + "must be a sequence of widths. Got width=3. " + W),
        (checks.widths, "ab", T + "must be a sequence of widths. Got width='ab'. " + W),
        (checks.widths, (), V + "must hold at least one width. Got width=(). " + W),
        (checks.widths, (3, 2.0), T + "must hold integers. Got width=(3, 2.0). " + W),
        (checks.widths, [True], T + "must hold integers. Got width=[True]. " + W),
        (checks.widths, (3, 0), V + "must hold positive widths. Got width=(3, 0). " + W),
        (checks.interval, 3, T + "must be a pair (start, end). Got width=3. Try width=(0, 1)."),
        (checks.interval, "ab", T + "must be a pair (start, end). Got width='ab'. Try width=(0, 1)."),
        (checks.interval, (1,), T + "must be a pair (start, end). Got width=(1,). Try width=(0, 1)."),
        (checks.interval, (0, ""), "TypeError: width[1] must be a real number. "
         "Got width[1]=''. Try width[1]=" + R),
        (checks.interval, (NAN, 1), "ValueError: width[0] must be finite. "
         "Got width[0]=nan. Try width[0]=" + R),
        (checks.interval, (2, 2), V + "must have a positive length. Got width=(2, 2). Try width=(2, 3)."),
        (checks.interval, (3, 1), V + "must run forward. Got width=(3, 1). Try width=(1, 3)."),
        (checks.floating, "float32", T + "must be a torch.dtype. Got width='float32'. "
         "Try width=torch.float64."),
        (checks.floating, torch.int64, V + "must be torch.float32 or torch.float64. "
         "Got width=torch.int64. Try width=torch.float64."),
        (checks.floating, torch.float16, V + "must be torch.float32 or torch.float64. "
         "Got width=torch.float16. Try width=torch.float64."),
        (checks.device, "gpux", V + "must name a device. Got width='gpux'. Try width='cpu'."),
        (checks.device, 1.5, V + "must name a device. Got width=1.5. Try width='cpu'."),
        (checks.device, "meta", V + "must be a device that holds numbers. Got width='meta'. "
         "Try width='cpu'."),
    ],
)  # fmt: skip
def test_the_whole_message(check: Callable[..., None], value: Any, said: str) -> None:
    assert raised(check, width=value) == said
    with pytest.raises((TypeError, ValueError), match="width"):  # also where another argument is right
        check(right=_right(check), width=value)


def _right(check: Callable[..., None]) -> Any:
    special = {
        checks.widths: (1, 2),
        checks.interval: (0, 1),
        checks.floating: torch.float32,
        checks.device: "cpu",
    }
    return special.get(check, 1)


@pytest.mark.parametrize("check", [checks.finite, checks.positive, checks.non_negative])
def test_any_kind_of_real_number_is_one(check: Callable[..., None]) -> None:
    check(a=1, b=0.5, c=fractions.Fraction(1, 3), d=np.float32(2), e=np.int64(3))


@given(numbers)
def test_the_sign_is_what_decides(value: Any) -> None:
    for check, holds in ((checks.positive, value > 0), (checks.non_negative, value >= 0)):
        if holds:
            check(value=value)
        else:
            assert raised(check, value=value).startswith("ValueError")


@given(st.integers(), st.integers())
def test_an_integer_below_the_least_is_refused(value: int, least: int) -> None:
    if value >= least:
        checks.integer(value=value, least=least)
    else:
        said = f"ValueError: value must be at least {least}. Got value={value}. Try value={least}."
        assert raised(checks.integer, value=value, least=least) == said


@given(numbers, numbers)
def test_an_interval_runs_forward_or_is_told_how(start: Any, end: Any) -> None:
    if start < end:
        checks.interval(span=(start, end))
    else:
        assert raised(checks.interval, span=[start, end]).startswith("ValueError: span must")


@given(st.lists(st.integers(1), min_size=1))
def test_positive_widths_pass(widths: list[int]) -> None:
    checks.widths(a=widths, b=tuple(widths))


def test_a_number_of_more_digits_than_python_prints() -> None:
    assert "Got width=(a larger int)." in raised(checks.finite, width=10**5000)


def test_the_nearest_option_is_offered() -> None:
    options = ("adam", "lbfgs")
    checks.one_of(options, method="adam", other="lbfgs")
    law = "ValueError: method must be one of 'adam', 'lbfgs'. Got method="
    assert raised(checks.one_of, options=options, method="Adan") == f"{law}'Adan'. Did you mean 'adam'?"
    assert raised(checks.one_of, options=options, method="lm") == f"{law}'lm'. Try method='adam'."
    assert raised(checks.one_of, options=options, method="zzz") == f"{law}'zzz'. Try method='adam'."
    assert raised(checks.one_of, options=iter(options), method=3) == f"{law}3. Try method='adam'."


def test_floating_types_and_devices_pass() -> None:
    checks.floating(a=torch.float32, b=torch.float64)
    checks.device(a="cpu", b=torch.device("cpu"))
    checks.device(abstract=True, a="cpu", b=torch.device("meta"), c="meta")


def test_a_device_that_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise AssertionError("Torch not compiled with CUDA enabled")

    monkeypatch.setattr(torch, "empty", missing)
    with pytest.raises(
        RuntimeError, match=r"where must be a device that is present\. Got where='cuda:7'\. Try"
    ):
        checks.device(where="cuda:7")


def test_a_place_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "out.pt"
    checks.writable(path=file, other=str(file))
    file.touch()
    checks.writable(path=file)
    with pytest.raises(
        FileNotFoundError, match=r"path must lie in a folder that exists\. .* Make the folder '.*none'"
    ):
        checks.writable(path=tmp_path / "none" / "out.pt")
    with pytest.raises(IsADirectoryError, match=r"path must be a file, not a folder\. .* Add a file name"):
        checks.writable(path=tmp_path)
    monkeypatch.setattr(checks.os, "access", lambda *_: False)
    with pytest.raises(
        PermissionError, match=r"path must be a place you may write to\. .* Choose another folder"
    ):
        checks.writable(path=file)
    with pytest.raises(PermissionError):
        checks.writable(path=tmp_path / "new.pt")


def test_checks_stand_on_nothing_of_the_library() -> None:
    imported = [node for node in ast.walk(ast.parse(Path(checks.__file__).read_text(encoding="utf-8")))
                if isinstance(node, ast.Import | ast.ImportFrom)]  # fmt: skip
    assert "funcsci" not in " ".join(map(ast.unparse, imported))
