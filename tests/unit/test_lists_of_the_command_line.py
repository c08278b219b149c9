"""Every list of the command line has `--json`, and shows each id whole: in a narrow terminal, and in a pipe."""

import io
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table
from typer.main import get_command

from cli import tables
from cli.main import app

_ID = "usr_01kb3w8v6fe0rbz4m5q2n7t9xd"
_PIPED = f"""
from rich.table import Table
from cli.tables import show_table
table = Table("Login", "Person", "Why")
table.add_row("ana", {_ID!r}, "a reason that is much longer than any line of a terminal. " * 4)
show_table(table)
"""


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    children = getattr(group, "commands", None)
    if children is None:
        yield " ".join(path), group
        return
    for name, child in children.items():
        yield from _commands(child, (*path, name))


def test_every_list_has_json() -> None:
    lists = {
        name: command
        for name, command in _commands(get_command(app))
        if name.endswith(" list") or (command.help or "").startswith("List ")
    }
    assert {"user list", "coupons list", "products list", "products examples", "mails unreachable"} <= lists.keys()
    without = [name for name, command in lists.items() if "--json" not in {o for p in command.params for o in p.opts}]
    assert without == []


@pytest.mark.parametrize("width", [30, 60, 200])
def test_a_terminal_shows_an_id_whole(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(tables, "Console", lambda: terminal)
    table = Table("Login", "Person", "Version", title="Staff")
    table.add_row("ana", _ID, "[bold]2[/]")
    tables.show_table(table)
    seen = screen.getvalue()
    assert _ID in seen and "…" not in seen and "[bold]" not in seen
    assert ("Person: " in seen) == (width < 60)


def test_a_pipe_gets_the_whole_table() -> None:
    done = subprocess.run([sys.executable, "-c", _PIPED], capture_output=True, text=True, timeout=120, check=True)
    assert _ID in done.stdout and "…" not in done.stdout
    assert len(done.stdout.splitlines()) == 5
