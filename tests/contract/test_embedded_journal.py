"""The embedded journal keeps the contract of journals."""

from pathlib import Path

import pytest

from tests.contract.journal_contract import JournalContract, JournalWorld


class _World(JournalWorld):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.sqlite3"

    def address(self) -> str:
        return str(self._path)


class TestEmbeddedJournal(JournalContract):
    @pytest.fixture
    def world(self, tmp_path: Path) -> JournalWorld:
        return _World(tmp_path)
