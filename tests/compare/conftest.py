"""Fewer images and shorter blocks than a comparison takes, for time."""

import pytest

from funcsci.compare import measure
from funcsci.compare.twins import digits


@pytest.fixture(autouse=True)
def _few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "TRAIN", 400)
    monkeypatch.setattr(digits, "TEST", 50)
    monkeypatch.delenv("FUNCSCI_DATA", raising=False)


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "BLOCK_SECONDS", 0.005)
