"""A bar that appears only for work that takes time."""

import contextlib
import io
import time

import pytest

from funcsci import progress


def printed(seconds: float, **options: bool) -> str:
    text = io.StringIO()
    with contextlib.redirect_stderr(text), progress.bar(10, "descending", **options) as bar:
        bar.update(4)
        time.sleep(seconds)
        bar.set_postfix_str("loss 1e-3", refresh=False)
        bar.update(6)
        assert bar.total == 10
    return text.getvalue()


def test_short_work_shows_nothing() -> None:
    assert "descending" not in printed(0.0)


def test_long_work_shows_its_name_and_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.01)
    text = printed(0.15)
    assert "descending" in text
    assert "10/10" in text
    assert "loss 1e-3" in text


def test_it_can_be_silenced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.01)
    assert printed(0.15, shown=False) == ""
