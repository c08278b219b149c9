"""What every journal of a gateway must do. A journal's own test module makes a `JournalWorld` and subclasses
`JournalContract`."""

import json
import signal
import subprocess
import sys
from abc import ABC, abstractmethod

import pytest

from domain.errors import Conflict, Unavailable
from ports.journal import Journal, Stored

FIRST = 1_700_000_000_000_001  # a gateway begins with the microseconds since 1970


def batch(number: int) -> Stored:
    return Stored(number, f'{{"number":{number},"text":"é"}}'.encode())


class JournalWorld(ABC):
    """The place of one journal."""

    @abstractmethod
    def address(self) -> str:
        """Returns the words from which tests/contract/journal_writer.py opens this journal in another process."""

    def open(self) -> Journal:
        from tests.contract.journal_writer import open_journal

        return open_journal(self.address())


class JournalContract:
    @pytest.fixture
    def journal(self, world: JournalWorld) -> Journal:
        return world.open()

    def test_an_empty_journal_has_no_batch(self, journal: Journal) -> None:
        assert (journal.first(), journal.last(), journal.read(0, 10)) == (0, 0, [])
        assert journal.get("key") is None
        assert journal.items("") == []

    def test_batches_are_read_in_order_from_any_number(self, journal: Journal) -> None:
        for number in range(FIRST, FIRST + 30):
            journal.append(batch(number), {})
        assert (journal.first(), journal.last()) == (FIRST, FIRST + 29)
        assert journal.read(0, 100) == [batch(number) for number in range(FIRST, FIRST + 30)]
        assert journal.read(FIRST + 9, 2) == [batch(FIRST + 10), batch(FIRST + 11)]
        assert journal.read(FIRST + 29, 2) == []

    @pytest.mark.parametrize("number", [FIRST - 1, FIRST, FIRST + 2, 5])
    def test_a_number_that_does_not_follow_is_refused_and_nothing_changes(self, journal: Journal, number: int) -> None:
        journal.append(batch(FIRST), {"position": "1", "other": "1"})
        with pytest.raises(Conflict):
            journal.append(batch(number), {"position": "2", "other": None})
        assert journal.read(0, 10) == [batch(FIRST)]
        assert journal.items("") == [("other", "1"), ("position", "1")]
        journal.append(batch(FIRST + 1), {"position": "2"})
        assert journal.last() == FIRST + 1

    def test_state_is_set_replaced_and_deleted(self, journal: Journal) -> None:
        journal.append(None, {"book/1": "a", "book/2": "b", "fill/x/1": "c"})
        journal.append(batch(FIRST), {"book/1": "é\n{}", "book/2": None, "never": None})
        assert journal.get("book/1") == "é\n{}"
        assert journal.get("book/2") is None
        assert journal.get_many(["book/1", "book/2", "fill/x/1", "fill/x/2"]) == {"book/1": "é\n{}", "fill/x/1": "c"}

    def test_items_are_those_whose_key_begins_with_the_prefix(self, journal: Journal) -> None:
        keys = ["book/1", "book/10", "book/2", "bookings/1", "cursor/a/b", "cursor/a?", "position", "*/1", "order/é/1"]
        journal.append(None, {key: f"value of {key}" for key in keys})
        for prefix in ["", "book", "book/", "book/1", "cursor/a/", "cursor/a", "position", "position/", "*", "*/", "é"]:
            wanted = sorted((key, f"value of {key}") for key in keys if key.startswith(prefix))
            assert journal.items(prefix) == wanted

    def test_many_keys_at_once(self, journal: Journal) -> None:
        changes = {f"fill/{number:06}": str(number) for number in range(5_000)}
        journal.append(batch(FIRST), changes)
        assert dict(journal.items("fill/")) == changes
        assert journal.get_many(changes) == changes
        journal.append(batch(FIRST + 1), dict.fromkeys(changes))
        assert journal.items("fill/") == []

    def test_dropping_keeps_what_is_newer_and_always_the_newest(self, journal: Journal) -> None:
        journal.drop(FIRST)
        for number in range(FIRST, FIRST + 10):
            journal.append(batch(number), {})
        journal.drop(FIRST - 5)
        assert journal.first() == FIRST
        journal.drop(FIRST + 3)
        assert (journal.first(), journal.last()) == (FIRST + 4, FIRST + 9)
        assert [each.number for each in journal.read(0, 2)] == [FIRST + 4, FIRST + 5]
        journal.drop(FIRST + 100)
        assert (journal.first(), journal.last()) == (FIRST + 9, FIRST + 9)
        journal.append(batch(FIRST + 10), {})
        assert journal.last() == FIRST + 10

    def test_everything_is_there_when_it_is_opened_again(self, world: JournalWorld) -> None:
        before = world.open()
        before.append(batch(FIRST), {"position": "1"})
        before.append(batch(FIRST + 1), {"position": "2"})
        before.close()
        after = world.open()
        assert (after.first(), after.last(), after.get("position")) == (FIRST, FIRST + 1, "2")
        with pytest.raises(Conflict):
            after.append(batch(FIRST + 1), {})
        after.append(batch(FIRST + 2), {})

    def test_of_two_gateways_only_one_can_append_and_drop(self, world: JournalWorld) -> None:
        older = world.open()
        older.append(batch(FIRST), {"by": "older"})
        older.append(batch(FIRST + 1), {})
        newer = _opened(world)
        winner = newer or older
        if newer is not None:
            for stored, changes in ((batch(FIRST + 2), {"by": "nobody"}), (None, {"by": "nobody"})):
                with pytest.raises(Conflict):
                    older.append(stored, changes)
            with pytest.raises(Conflict):
                older.drop(FIRST)
        assert (winner.first(), winner.last(), winner.get("by")) == (FIRST, FIRST + 1, "older")
        winner.append(batch(FIRST + 2), {"by": "winner"})
        assert winner.get("by") == "winner"

    def test_a_killed_writer_loses_nothing_that_was_appended(self, world: JournalWorld) -> None:
        number = 0
        for _ in range(3):
            acknowledged = _write_until_killed(world.address())
            journal = world.open()
            last = journal.last()
            assert last in (acknowledged, acknowledged + 1)  # the newest may be stored and not printed yet
            assert json.loads(journal.get("position") or "") == last
            stored = journal.read(number, 1_000_000)
            assert [each.number for each in stored] == list(range(number + 1, last + 1))
            assert [journal.get(f"fill/{each.number}") for each in stored] == [each.body.decode() for each in stored]
            journal.close()
            number = last


def _opened(world: JournalWorld) -> Journal | None:
    """Returns the journal; None if another gateway has it."""
    try:
        return world.open()
    except Unavailable:
        return None


def _write_until_killed(address: str) -> int:
    """Runs a process that appends without end, kills it in between, and returns the last number that it printed."""
    command = [sys.executable, "-m", "tests.contract.journal_writer", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        last = b""
        for _ in range(50):
            last = writer.stdout.readline()
            assert last, "the writer has failed"
        writer.send_signal(signal.SIGKILL)
        printed = [last, *writer.stdout.read().split(b"\n")[:-1]]
        assert writer.wait() == -signal.SIGKILL
    return int(printed[-1])
