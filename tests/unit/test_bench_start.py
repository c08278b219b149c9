"""The benchmark of starts: what it runs exists, and what it says follows from what it measured."""

import sys

from typer.main import get_command

from cli.bench.start.first_lines import CALLS, Taken, every_command, first_line, over_budget
from cli.bench.start.recovery import BUDGET, PARTS
from cli.main import app


def test_every_call_is_a_command() -> None:
    commands = set(every_command(get_command(app)))
    assert len(commands) > 80
    for call in CALLS:
        assert any(call[: len(path)] == path for path in commands), call


def test_a_command_is_timed_to_its_first_line_and_not_to_its_end() -> None:
    taken = first_line((sys.executable, "-c", "print(1, flush=True); import time; time.sleep(600)"))
    assert 0 < taken.wall < 300
    assert taken.cpu >= 0


def test_figures_are_multiples_of_a_bare_interpreter_and_budgets_are_of_the_processor() -> None:
    bare, slow = Taken(wall=0.1, cpu=0.02), Taken(wall=0.1, cpu=0.6)
    assert slow.figures(bare) == {"wall_s": 0.1, "cpu_s": 0.6, "over_bare": 30.0}
    assert over_budget({"b": slow, "a": slow, "c": bare}, 0.5) == ["a", "b"]
    assert BUDGET.keys() <= set(PARTS)
