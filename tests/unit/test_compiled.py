"""Compiled loops are kept in a folder that can be written to."""

import os
from pathlib import Path

import pytest

from settings_sources import keep_compiled


def _kept_in(monkeypatch: pytest.MonkeyPatch, data: Path, *, writable: bool, given: str = "") -> str:
    monkeypatch.setenv("NUMBA_CACHE_DIR", given)
    if not given:
        monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(os, "access", lambda path, mode: writable)
    keep_compiled(data)
    return os.environ.get("NUMBA_CACHE_DIR", "beside the code")


def test_an_install_that_cannot_be_written_to_keeps_them_in_the_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert _kept_in(monkeypatch, tmp_path, writable=False) == str(tmp_path / "compiled")
    assert _kept_in(monkeypatch, tmp_path, writable=False, given="/elsewhere") == "/elsewhere"
    assert _kept_in(monkeypatch, tmp_path, writable=True) == "beside the code"
