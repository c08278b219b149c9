"""Puts a venue's facts into one numbered order, without those that were told before.

Knows no network and no clock: the same messages over the same journal give the same stream.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from gateway import books, facts
from gateway.books import Book
from gateway.clock import VenueClock
from gateway.comparison import Comparison
from gateway.connection import Connection
from gateway.telling import Telling
from gateway.told import BEGUN, Known, Stream
from gateway.waiting import Waiting
from ports import platform as port
from ports import venue as told
from ports.facts import of_deal
from ports.journal import Journal, Stored

LATE: Final = timedelta(seconds=1)


class Sequencer:
    """`first_number`: see `Stream`. `notes`: what a person is to be told. `wants_fills` and `wants_snapshot`: accounts
    that the venue should be asked about."""

    def __init__(self, journal: Journal, *, first_number: int, clock: VenueClock) -> None:
        self._clock = clock
        self.specs: Mapping[str, port.SymbolSpec] = {}
        self.counts = facts.Counts()
        self.books: dict[int, Book] = {
            book.login: book for _, text in journal.items("book/") for book in (books.from_json(text),)
        }
        self._stream, self._known = Stream(journal, first_number), Known(journal)
        self._telling = Telling(self._stream, self.counts)
        if not self._stream.is_new:
            clock.told(self._stream.now, self._stream.now)  # a simulated venue goes on there
        self._fresh = journal.get(BEGUN) is None  # no connection has ever caught up
        self.cursors: dict[str, str] = {key.removeprefix("cursor/"): value for key, value in journal.items("cursor/")}
        self.notes: list[str] = []
        self.wants_fills: set[int] = set()
        self.wants_snapshot: set[int] = set()
        self._waiting = Waiting()
        self._comparison = Comparison(
            self._stream, self._telling, self._waiting, self.counts, self.notes, self.wants_fills, self.wants_snapshot
        )
        self._moved_cursors: dict[str, str | None] = {}
        self._quotes: dict[str, datetime] = {}
        self._connection = Connection()
        self._steps: dict[type, Callable[[Any, datetime], None]] = {
            told.Quote: self._quote,
            told.Fill: self._fill,
            told.FillCorrected: self._corrected,
            told.Order: self._order,
            told.Stops: self._stops,
            told.Money: self._money,
            told.Access: self._access,
            told.State: self._state,
            told.Snapshot: self._snapshot,
            told.Halt: self._halt,
            told.VenueTime: self._venue_time,
        }

    # from the venue

    def connected(self) -> None:
        """A connection begins: market time stands still until it has caught up. What the one before it sent and was not
        told yet is forgotten, with its cursors: the venue is asked for it again."""
        self._connection = Connection()
        self._waiting.new_connection()
        self._comparison.new_connection()
        self.compare_anew()

    def compare_anew(self) -> None:
        """An account that differs is asked for its fills once more: the answer may have been lost, or unreadable, or
        something was missed since."""
        self._comparison.anew(self.books)

    @property
    def live(self) -> bool:
        return self._connection.live

    @property
    def position(self) -> tuple[int, datetime]:
        """Returns the sequence number and the market time of the last event."""
        return self._stream.seq, self._stream.now

    def take(self, fact: told.Fact, received_at: datetime) -> None:
        """Takes one fact. Raises Unreadable; nothing has changed then."""
        if isinstance(fact, told.Cursor):
            if self._connection.live:
                self._move_cursor(fact.name, fact.value)
            else:
                self._connection.cursors[fact.name] = fact.value
        elif isinstance(fact, told.Numbered):
            self._numbered(fact)
        elif isinstance(fact, told.CaughtUp):
            self._connection.caught_up()
        else:
            at = self._clock.told(getattr(fact, "at", None), received_at)
            if self._connection.live:
                if isinstance(fact, told.Quote | told.VenueTime) and fact.at is not None:
                    self._clock.sample(at, received_at)
                self._steps[type(fact)](fact, at)
            else:
                self._connection.keep(at, fact)

    def _move_cursor(self, name: str, value: str) -> None:
        self.cursors[name] = value
        self._moved_cursors[f"cursor/{name}"] = value

    def _numbered(self, fact: told.Numbered) -> None:
        if missing := self._connection.missing_before(fact):
            self.counts.gaps_found += 1
            self.notes.append(f"The venue's messages {missing[0]} to {missing[-1]} of {fact.series} are missing.")
            self.wants_snapshot.update(self.books)

    def tell_earlier(self, limit: int) -> bool:
        """Tells at most `limit` facts of those that happened before this connection, or while they are being told.
        Returns whether more of them wait. A fresh journal begins with the snapshots instead: what was before it is
        remembered only as known, and all of it at once, so that a killed gateway has begun wholly or not at all."""
        if self._connection.live:
            return False
        part = self._connection.take(None if self._fresh else limit)
        self._known.load([key for each in part for key in facts.ids(each.fact)])
        for at, fact, before in part:
            try:
                self._tell(fact, at, fresh=self._fresh and before)
            except told.Unreadable as exc:
                self.counts.unreadable += 1
                self.notes.append(f"{type(fact).__name__}: {exc}")
        if not self._connection.live:
            return bool(part)
        if self._fresh:
            self._known.put(BEGUN, str(sum(book.enabled for book in self.books.values())))
            self._fresh = False
        while self._connection.cursors:
            self._move_cursor(*self._connection.cursors.popitem())
        return False

    def _tell(self, fact: told.Fact, at: datetime, *, fresh: bool) -> None:
        if fresh and isinstance(fact, told.Fill | told.Money | told.Order):
            [key] = facts.ids(fact)
            self._known.put(key, json.dumps([0, fact.login, None]) if isinstance(fact, told.Fill) else "")
        elif not (fresh and isinstance(fact, told.FillCorrected | told.Stops | told.Access)):
            self._steps[type(fact)](fact, at)

    # facts

    def _quote(self, quote: told.Quote, at: datetime) -> None:
        last = self._quotes.get(quote.symbol)
        if last is not None and at < last:
            self.counts.superseded_quotes += 1
            return
        self._stream.tick(at, quote.symbol, quote.bid, quote.ask)
        self.counts.events += 1
        self._quotes[quote.symbol] = at

    def _fill(self, fill: told.Fill, at: datetime) -> None:
        known = self._known.get(f"fill/{fill.fill_id}")
        if known is not None:
            self._known_fill(fill, known, at)
            return
        book = self._book(fill)
        if book is None:
            return
        profit = book.profit_of(fill, self.specs.get(fill.symbol))
        if profit is None or (fill.entry == "out" and fill.position_id not in book.positions):
            if fill.login not in self._comparison.doubted:
                self._hold_back(fill)
                return
            if profit is None:
                self._comparison.say(f"The profit of fill {fill.fill_id} on account {fill.login} cannot be computed.")
                return
        self._tell_fill(book, fill, profit, at)
        self._retry_early(fill.login, at)

    def _known_fill(self, fill: told.Fill, known: str, at: datetime) -> None:
        """A fill told before: a duplicate, or the venue has changed its money since."""
        change = json.loads(known)[2]
        if change is None or fill.profit_minor is None or change == facts.total(fill, fill.profit_minor):
            self.counts.duplicates += 1
        else:
            corrected = facts.total(fill, fill.profit_minor)
            self._corrected(told.FillCorrected(fill.fill_id, fill.login, corrected, fill.at, "sent again"), at)

    def _hold_back(self, fill: told.Fill) -> None:
        """A fill that closes what is not open yet waits for the one that opens it, and the account is asked for."""
        self.counts.duplicates += self._waiting.for_opening(fill)
        self.wants_fills.add(fill.login)

    def _retry_early(self, login: int, at: datetime) -> None:
        for fill in self._waiting.take_early(login):
            self._fill(fill, max(at, fill.at))

    def _tell_fill(self, book: Book, fill: told.Fill, profit_minor: int, at: datetime) -> None:
        late = at + LATE < self._stream.now
        seq = self._telling.emit(
            port.Deal,
            at,
            **of_deal(fill, profit_minor),
            balance_minor=book.balance_minor + facts.total(fill, profit_minor),
            late=late,
        )
        book.apply(fill, profit_minor)
        self.counts.late += late
        self._retry_stops(fill.login, fill.position_id, at)
        self._known.put(f"fill/{fill.fill_id}", json.dumps([seq, fill.login, facts.total(fill, profit_minor)]))
        self._telling.touched.add(fill.login)
        if fill.balance_minor is not None and fill.balance_minor != book.balance_minor:
            self.wants_snapshot.add(fill.login)
        self._comparison.moved(book, at)

    def _corrected(self, fact: told.FillCorrected, at: datetime) -> None:
        known = self._known.get(f"fill/{fact.fill_id}")
        if known is None and fact.change_minor is None:  # it was cancelled before it was told, and will not be
            self._known.put(f"fill/{fact.fill_id}", json.dumps([0, fact.login, None]))
            self.counts.duplicates += 1
            return
        if known is None:
            raise told.Unreadable(f"It corrects fill {fact.fill_id}, which the venue has not sent.")
        seq, login, before = json.loads(known)
        right = fact.change_minor or 0
        if before is None or before == right:
            self.counts.duplicates += 1
            return
        book = self.books[login]
        self.counts.corrected += 1
        self._telling.emit(port.Correction, at, corrects_seq=seq, change_minor=fact.change_minor, reason=fact.reason)
        self._known.put(f"fill/{fact.fill_id}", json.dumps([seq, login, right]))
        self._telling.money(book, "adjustment", f"correction/{fact.fill_id}/{right}", right - before, at)
        self.wants_snapshot.add(login)
        self._comparison.moved(book, at)

    def _money(self, money: told.Money, at: datetime) -> None:
        key = f"money/{money.operation_id}"
        if self._known.get(key) is not None:
            self.counts.duplicates += 1
            return
        book = self._book(money)
        if book is None:
            return
        self._telling.money(book, money.operation, money.key, money.amount_minor, at)
        self._known.put(key, "")
        if money.balance_minor is not None and money.balance_minor != book.balance_minor:
            self.wants_snapshot.add(money.login)
        self._comparison.moved(book, at)

    def _order(self, order: told.Order, at: datetime) -> None:
        key = f"order/{order.order_id}/{order.version}"
        if self._known.get(key) is not None:
            self.counts.duplicates += 1
            return
        self._telling.emit(port.PendingOrder, at, **facts.of_order(order))
        self._known.put(key, "")

    def _stops(self, stops: told.Stops, at: datetime) -> None:
        """Stops of a position that is not open yet wait for the fill that opens it."""
        book = self.books.get(stops.login)
        held = book.positions.get(stops.position_id) if book else None
        if held is None:
            self._waiting.stops_for_opening(stops)
            return
        if (held.stop_loss, held.take_profit) == (stops.stop_loss, stops.take_profit):
            self.counts.duplicates += 1
            return
        values = {"login": stops.login, "position_id": stops.position_id}
        self._telling.emit(port.StopsChanged, at, **values, stop_loss=stops.stop_loss, take_profit=stops.take_profit)
        held.stop_loss, held.take_profit = stops.stop_loss, stops.take_profit
        self._telling.touched.add(stops.login)

    def _retry_stops(self, login: int, position_id: str, at: datetime) -> None:
        stops = self._waiting.take_stops(login, position_id)
        if stops is not None:
            self._stops(stops, max(at, stops.at))

    def _access(self, access: told.Access, at: datetime) -> None:
        book = self.books.get(access.login)
        if access.change == "opened":
            if book is not None:
                self.counts.duplicates += 1
                return
            self.wants_snapshot.add(access.login)  # says the currency; what happens meanwhile waits for it
            self._waiting.for_snapshot(access.login, access)
        elif book is None:
            self._wait(access)
        elif book.enabled == (access.change == "enabled"):
            self.counts.duplicates += 1
        elif access.change == "enabled":  # it is judged from then on: its money must be known before
            self._comparison.enabling.add(access.login)
            self.wants_snapshot.add(access.login)
        else:
            self._comparison.enabling.discard(access.login)
            self._telling.access(book, at, enabled=False, by_limit=access.by_limit)

    def _state(self, state: told.State, at: datetime) -> None:
        book = self.books.get(state.login)
        if book is None:
            self._wait(state)
        else:
            self._comparison.state(book, state, at)

    def _venue_time(self, fact: told.VenueTime, at: datetime) -> None:
        self._stream.pass_time(at, flush=fact.stands)
        self._comparison.pass_time(self.books, at)

    def _halt(self, halt: told.Halt, at: datetime) -> None:
        self._telling.emit(port.SymbolHalt, at, symbol=halt.symbol, halted=halt.halted)

    # accounts against the venue

    def _book(self, fact: told.Fill | told.Money) -> Book | None:
        """Returns the account's book; None if it is not known yet: the fact then waits for a snapshot."""
        book = self.books.get(fact.login)
        if book is None:
            self._wait(fact)
        return book

    def _wait(self, fact: told.Fill | told.Money | told.Access | told.State) -> None:
        self._waiting.for_snapshot(fact.login, fact)
        self.wants_snapshot.add(fact.login)

    def _snapshot(self, snapshot: told.Snapshot, at: datetime) -> None:
        venue = snapshot.account
        book = self.books.get(venue.login)
        if book is None:
            waiting = self._waiting.of_unknown(venue.login)
            if self._fresh or venue.login in self._comparison.doubted or facts.explain(waiting, venue):
                self._begin(venue, at)
            else:
                self._comparison.doubted.add(venue.login)
                self.wants_fills.add(venue.login)
            return
        self._comparison.compare(book, venue, at)

    def _begin(self, venue: port.AccountSnapshot, at: datetime) -> None:
        """Begins the book of an account. What waited for it is contained in the snapshot, which was asked for later:
        it is told from the money that the account must have had before."""
        self._comparison.doubted.discard(venue.login)
        waiting = self._waiting.take_unknown(venue.login)
        book = books.from_snapshot(venue)
        book.proven = not self._fresh  # of a later account nothing is known that its snapshot lacks
        self.books[venue.login] = book
        self._telling.touched.add(venue.login)
        if any(isinstance(fact, told.Access) and fact.change == "opened" for fact in waiting):
            self._telling.emit(port.AccountChanged, at, login=venue.login, change="opened")
        moving = [each for each in facts.each_once(waiting) if self._known.get(*facts.ids(each)) is None]
        facts.turn_back(book, moving)
        for fact in sorted(moving, key=lambda each: each.at):
            self._steps[type(fact)](fact, max(fact.at, self._stream.now))
        for position_id in book.positions:
            self._retry_stops(venue.login, position_id, at)
        if self._fresh:
            self.wants_snapshot.add(venue.login)
        elif venue.trading_enabled:
            self._telling.emit(port.AccountChanged, at, login=venue.login, change="enabled")

    def asked(self, login: int) -> None:
        """All fills of the account have been taken once more: what still waits is told as it is."""
        self._comparison.doubted.add(login)
        self.wants_fills.discard(login)
        self.wants_snapshot.add(login)
        for fill in self._waiting.take_early(login):
            self._fill(fill, max(self._stream.now, fill.at))

    @property
    def unknown(self) -> frozenset[int]:
        return self._waiting.unknown

    def unlisted(self, login: int) -> None:
        """The venue has named an account that it does not list: what it told of it waits no longer. When it lists the
        account after all, all its fills are asked for."""
        self._comparison.say(
            f"Of account {login}, not listed by the venue, {len(self._waiting.take_unknown(login))} facts came."
        )

    # to the journal

    def batch(self) -> tuple[Stored | None, dict[str, str | None]]:
        """Returns the next batch, if there is anything to tell, and the changes of the state to store with it."""
        changes = self._known.take_changes()
        for login in self._telling.touched:
            changes[f"book/{login}"] = self.books[login].to_json()
        self._telling.touched.clear()
        if not self._waiting:  # what waits is in memory only: the venue must tell it again
            changes |= self._moved_cursors
            self._moved_cursors = {}
        return self._stream.batch(changes, mark=self._connection.live), changes
