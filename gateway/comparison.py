"""Books against the venue's snapshots: what differs is asked for again, then said, and never believed in silence."""

from collections.abc import Mapping
from dataclasses import replace
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
        self.differing: set[int] = set()  # books whose balance still differed after that
        self._said: set[int] = set()  # what a person was told in this comparison
        self.enabling: set[int] = set()  # disabled accounts that the venue called enabled once
        # How the venue showed accounts whose books are not proven: in this comparison, in the one before, in both.
        self._looks: dict[int, AccountSnapshot] = {}
        self._before: dict[int, AccountSnapshot] = {}
        self._ready: dict[int, AccountSnapshot] = {}

    def new_connection(self) -> None:
        """What happened before it may not have been told yet."""
        self._looks.clear()
        self._before.clear()
        self._ready.clear()

    def anew(self, all_books: Mapping[int, Book]) -> None:
        """A comparison of all accounts begins. Those that still differ are asked for their fills once more. Books that
        are ready begin anew, all at once, because each time all readers rebuild their accounts."""
        self.doubted.clear()
        self._said.clear()
        for login, venue in self._ready.items():
            all_books[login].begin_anew(venue)
            self._telling.touched.add(login)
            self._notes.append(f"The book of account {login} begins anew with the venue's snapshot.")
        if self._ready:
            self._stream.skip()
            self._ready.clear()
        self._before, self._looks = self._looks, {}

    def compare(self, book: Book, venue: AccountSnapshot, at: datetime) -> None:
        if not venue.trading_enabled:
            self.enabling.discard(venue.login)
            if book.enabled:
                self._telling.access(book, at, enabled=False)
        found = book.differences(venue)
        if not found:
            if book.estimated:
                self.tell_state(book, _stated(venue, at), at)  # what was uncertain is certain now
            self._agree(book, venue)
        elif venue.login not in self.doubted:
            self.doubted.add(venue.login)
            self._counts.gaps_found += 1
            self._wants_fills.add(venue.login)
            return
        else:
            self._differs(book, venue, found, at)
        if venue.trading_enabled and not book.enabled:
            self._enable(book, at)

    def state(self, book: Book, state: State, at: datetime) -> None:
        """Figures whose balance nothing explains yet wait for the fill or the operation that does: a payout that was
        taken out would look like a loss. Of an account that differs after everything was asked they are told as
        uncertain."""
        if book.told == (state.balance_minor, state.equity_minor) and book.estimated == state.estimated:
            self._counts.duplicates += 1
            self._waiting.take_state(state.login)  # the venue has gone back from it
            return
        if state.balance_minor != book.balance_minor:
            self._wants_snapshot.add(state.login)
            if state.login not in self.differing:
                self._waiting.for_money(state, at)
                return
            state = replace(state, estimated=True)
        self.tell_state(book, state, at)

    def moved(self, book: Book, at: datetime) -> None:
        """Something moved the book. Tells the figures that waited, once it has their balance."""
        self._forget_looks(book.login)
        state = self._waiting.for_money_of(book.login)
        if state is not None and state.balance_minor == book.balance_minor:
            self.tell_state(book, state, at)

    def pass_time(self, all_books: Mapping[int, Book], at: datetime) -> None:
        """Figures wait for ten seconds at most: an account that nobody judges must not lose on."""
        for state in self._waiting.too_long(at):
            self.differing.add(state.login)
            self.say(f"Nothing explains the balance of account {state.login} yet.")
            self.tell_state(all_books[state.login], replace(state, estimated=True), at)

    def _forget_looks(self, login: int) -> None:
        """The account has changed since the venue last showed it."""
        for shown in (self._looks, self._before, self._ready):
            shown.pop(login, None)

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
        self._said.discard(venue.login)
        self._forget_looks(venue.login)
        self._waiting.take_state(venue.login)  # it is older, and nothing explained it
        book.stated, book.proven = (venue.balance_minor, venue.equity_minor), True
        self._telling.touched.add(venue.login)

    def _differs(self, book: Book, venue: AccountSnapshot, found: list[str], at: datetime) -> None:
        if venue.login not in self._said:
            self._said.add(venue.login)
            self.say(f"Account {venue.login} differs from the venue: {'; '.join(found)}.")
        uncertain = venue.balance_minor != book.balance_minor
        if uncertain:
            self.differing.add(venue.login)
        else:
            self.differing.discard(venue.login)
        if (book.told, book.estimated) != ((venue.balance_minor, venue.equity_minor), uncertain):
            self.tell_state(book, _stated(venue, at, estimated=uncertain), at)
        if not book.proven:
            self._look_again(venue)

    def _look_again(self, venue: AccountSnapshot) -> None:
        """The first snapshot and the lists beside it were read one after the other, and something happened in between:
        no fill will ever explain the difference. Such a book begins anew when two comparisons show the same and nothing
        was told until the third: what a venue tells late would count twice."""
        before = self._before.get(venue.login)
        self._looks[venue.login] = venue
        if before is not None and not books.from_snapshot(before).differences(venue):
            self._ready[venue.login] = venue
        else:
            self._ready.pop(venue.login, None)

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
