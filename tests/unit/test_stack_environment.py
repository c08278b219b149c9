"""What the parts of `propos up` are given."""

from pathlib import Path

from cli.stack.firm import Stack
from cli.stack.options import StackOptions
from settings import load

OWNER = "postgresql://owner@127.0.0.1/propos"


def test_only_the_migrations_are_given_the_owner_of_the_tables(tmp_path: Path) -> None:
    stack = Stack(StackOptions(data_dir=tmp_path))
    stack._settings = load(data_dir=tmp_path).model_copy(update={"owner_database_url": OWNER})
    assert "PROPOS_OWNER_DATABASE_URL" not in stack._env()
    assert stack._env(owner=OWNER)["PROPOS_OWNER_DATABASE_URL"] == OWNER
