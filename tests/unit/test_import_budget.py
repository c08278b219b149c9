"""Commands answer at once: what a command does not use is not imported."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

# Each takes a tenth of a second or more to import.
_HEAVY: Final = {
    "exchange_calendars",
    "fastapi",
    "lxml",
    "numba",
    "numpy",
    "pandas",
    "psycopg",
    "rustworkx",
    "scipy",
    "sqlalchemy",
    "stripe",
    "temporalio",
}
_EVERY_HELP: Final = """
from typer.main import get_command
import typer

def walk(command, parent, name):
    context = command.make_context(name, ["--help"], parent=parent, resilient_parsing=True)
    assert command.get_help(context) is not None
    for child, found in getattr(command, "commands", {}).items():
        yield from walk(found, context, child)
    yield name

from cli.main import app
assert len(list(walk(get_command(app), None, "propos"))) > 80
"""
_STOP: Final = """
from pathlib import Path
from cli.stop import stop
stop(Path(FOLDER))
"""
_DOCTOR: Final = """
import cli.doctor.command
"""


_RECORD: Final = {"psycopg", "sqlalchemy"}
# What a command reads the firm with, up to its first statement.
_READS: Final = """
import cli.compose, settings
import {}
"""


@pytest.mark.parametrize(
    ("code", "most"),
    [(_EVERY_HELP, 440), (_STOP, 360), (_DOCTOR, 410)],
    ids=["the help of every command", "stop", "doctor, to its first line"],
)
def test_a_command_imports_nothing_that_it_does_not_use(code: str, most: int, tmp_path: Path) -> None:
    """`most`: modules, a deterministic measure of the time to start. An interpreter alone has about 60."""
    code = code.replace("FOLDER", repr(str(tmp_path))) + "\nimport sys\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    imported = done.stdout.rpartition("MODULES")[2].split()
    assert not {name.partition(".")[0] for name in imported} & _HEAVY
    assert len(imported) <= most


@pytest.mark.parametrize(
    ("reads", "most", "tables"),
    [("store.identity", 650, 52), ("store.shards", 650, 55), ("store.held", 650, 20), ("store.read.mails", 650, 48)],
    ids=["user list", "shards list", "keep", "mails list"],
)
def test_a_command_that_reads_the_firm_describes_few_tables_and_no_rules(reads: str, most: int, tables: int) -> None:
    """`tables`: of the 170 that there are; each takes two milliseconds to describe."""
    code = (
        _READS.format(reads)
        + """
import sys
from store.models.base import Base
print(len(Base.metadata.tables), *sys.modules)
"""
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    described, *imported = done.stdout.split()
    assert {name.partition(".")[0] for name in imported} & _HEAVY <= _RECORD
    assert "domain.rules.registry" not in imported
    assert int(described) <= tables
    assert len(imported) <= most
