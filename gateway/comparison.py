"""Books against the venue's snapshots: what differs is asked for again, then said, and never believed in silence."""

from datetime import datetime

from gateway import books
from gateway.books import Book
from gateway.facts import Counts
from gateway.telling import Telling
from gateway.told import Stream
from gateway.waiting import Waiting
from ports.platform import AccountSnapshot
from ports.venue import State


class Comparison:
    """`notes`: what a person is to be told. `wants_fills` and `wants_snapshot`: accounts that the venue should be asked
    about."""

    def __init__(
        self,
        stream: Stream,
        telling: Telling,
        waiting: Waiting,
        counts: Counts,
        notes: list[str],
        wants_fills: set[int],
        wants_snapshot: set[int],
    ) -> None:
        self._stream, self._telling, self._waiting, self._counts = stream, telling, waiting, counts
        self._notes, self._wants_fills, self._wants_snapshot = notes, wants_fills, wants_snapshot
        self.doubted: set[int] = set()  # books that differed once; their fills were asked for
        self.differing: set[int] = set()  # books that still differed after that
        self.enabling: set[int] = set()  # disabled accounts that the venue called enabled once
        self._looks: dict[int, Book] = {}  # how the venue last showed an account whose book is not proven

    def compare(self, book: Book, venue: AccountSnapshot, at: datetime) -> None:
        if not venue.trading_enabled:
            self.enabling.discard(venue.login)
            if book.enabled:
                self._telling.access(book, at, enabled=False)
        found = book.differences(venue)
        if not found:
            if venue.login in self.differing:
                self.tell_state(book, _stated(venue, at), at)  # what was uncertain is certain now
            self._agree(book, venue)
        elif venue.login not in self.doubted:
            self.doubted.add(venue.login)
            self._counts.gaps_found += 1
            self._wants_fills.add(venue.login)
            return
        elif not book.proven:
            self._begin_anew(book, venue)
        else:
            self._differs(book, venue, found, at)
        if venue.trading_enabled and not book.enabled:
            self._enable(book, at)

    def moved(self, login: int) -> None:
        """Something moved the book of an account since the venue last showed it."""
        self._looks.pop(login, None)

    def tell_state(self, book: Book, state: State, at: datetime) -> None:
        """Figures that waited are older than these."""
        self._waiting.take_state(book.login)
        self._telling.state(book, state.balance_minor, state.equity_minor, at, estimated=state.estimated)

    def say(self, words: str) -> None:
        self._counts.differences += 1
        self._notes.append(words)

    def _agree(self, book: Book, venue: AccountSnapshot) -> None:
        self._counts.gaps_healed += venue.login in self.doubted
        self.doubted.discard(venue.login)
        self.differing.discard(venue.login)
        book.stated, book.proven = (venue.balance_minor, venue.equity_minor), True
        self._telling.touched.add(venue.login)

    def _differs(self, book: Book, venue: AccountSnapshot, found: list[str], at: datetime) -> None:
        self.differing.add(venue.login)
        self.say(f"Account {venue.login} differs from the venue: {'; '.join(found)}.")
        if book.told != (venue.balance_minor, venue.equity_minor):
            uncertain = venue.balance_minor != book.balance_minor
            self.tell_state(book, _stated(venue, at, estimated=uncertain), at)

    def _begin_anew(self, book: Book, venue: AccountSnapshot) -> None:
        """The first snapshot and the lists beside it were read one after the other, and something happened in between:
        no fill will ever explain the difference. The book begins anew when two snapshots are equal and the fills, asked
        for between them, told nothing new. All readers then rebuild their accounts."""
        before = self._looks.pop(venue.login, None)
        if before is None or before.differences(venue):
            self._looks[venue.login] = books.from_snapshot(venue)
            self._wants_fills.add(venue.login)
            return
        self._notes.append(f"The book of account {venue.login} begins anew with the venue's snapshot.")
        book.begin_anew(venue)
        self._stream.skip()
        self._agree(book, venue)

    def _enable(self, book: Book, at: datetime) -> None:
        """Tells it when the venue says so for the second time: the first snapshot may have been on its way when the
        account was disabled."""
        if book.login in self.enabling:
            self.enabling.discard(book.login)
            self._telling.access(book, at, enabled=True)
        else:
            self.enabling.add(book.login)
            self._wants_snapshot.add(book.login)


def _stated(venue: AccountSnapshot, at: datetime, *, estimated: bool = False) -> State:
    return State(venue.login, venue.balance_minor, venue.equity_minor, at, estimated)
