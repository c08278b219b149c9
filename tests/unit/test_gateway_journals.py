"""A gateway's journal is the one that the settings ask for."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.journals.embedded import EmbeddedJournal
from adapters.platforms.http_stream import GatewaySettings
from cli.gateway.process import open_journal
from domain.errors import Unavailable


def _settings(journal: str) -> GatewaySettings:
    token = SecretStr("of-the-gateway")
    return GatewaySettings(gateway="http://127.0.0.1:1", gateway_token=token, gateway_journal=SecretStr(journal))


def test_without_a_url_it_is_a_file_in_the_data_folder(tmp_path: Path) -> None:
    journal = open_journal(_settings(""), tmp_path, "live")
    assert isinstance(journal, EmbeddedJournal)
    assert [path.name for path in tmp_path.glob("*.sqlite3")] == ["journal.sqlite3"]
    journal.close()


def test_a_redis_that_does_not_answer_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        open_journal(_settings("redis://127.0.0.1:1/0"), tmp_path, "live")
    assert list(tmp_path.iterdir()) == []


def test_the_url_and_its_password_are_not_shown() -> None:
    assert "geheim" not in repr(_settings("redis://:geheim@127.0.0.1:1/0"))
