"""The accounts of a shard as the record has them."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from psycopg import Connection

from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from monitor.loaded import Left, Loaded, OpenDoubt, Pending
from monitor.record.checkpoints import checkpoint_from
from ports.calendars import NONE, Calendars
from ports.platform import SymbolSpec
from store import live, news, symbols
from store.news import ScheduledRelease


class RecordedTerms:
    """The terms of published product versions. Each is read once."""

    def __init__(self, connection: Connection[Any], calendars: Calendars = NONE) -> None:
        self._connection, self._calendars = connection, calendars
        self._known: dict[tuple[str, int, int, int], PhaseTerms] = {}

    def of(self, product: str, version: int, phase_index: int, initial_minor: int) -> PhaseTerms:
        """Returns the terms of a phase of a product version for an account of this size. Raises NotFound."""
        key = (product, version, phase_index, initial_minor)
        if key not in self._known:
            terms = Product.model_validate(live.product_terms(self._connection, product, version))
            self._known[key] = phase_terms(terms, phase_index, self._calendars, initial_minor)
        return self._known[key]


class RecordedAccounts:
    """The record as a shard's source of accounts."""

    def __init__(self, connection: Connection[Any], which: live.AccountSelection, calendars: Calendars = NONE) -> None:
        self._connection, self._which, self._calendars = connection, which, calendars
        self._terms = RecordedTerms(connection, calendars)

    def of(self, which: live.AccountSelection) -> "RecordedAccounts":
        """Returns a source of other accounts of the same record."""
        return RecordedAccounts(self._connection, which, self._calendars)

    def news(self, last: int, since: datetime) -> list[ScheduledRelease]:
        """Returns scheduled releases that became known after number `last` and happen at `since` or later."""
        return news.releases_after(self._connection, last, since)

    def record_symbols(self, specs: Iterable[SymbolSpec]) -> None:
        """Stores what the platform of these accounts says of its symbols."""
        facts = (spec.model_dump(exclude={"commission_minor_per_lot"}) for spec in specs)
        symbols.record(self._connection, [symbols.SymbolRow(self._which.platform, **each) for each in facts])

    def load(self, login: int) -> Loaded | None:
        record = self._which.by_login(self._connection, login)
        return self._loaded(record) if record else None

    def left(self, login: int) -> Left | None:
        found = live.account_that_left(self._connection, self._which.platform, login)
        return None if found is None else Left(*found)

    def checkpointed(self) -> Iterator[Loaded]:
        """Yields every account that has a checkpoint."""
        yield from map(self._loaded, self._which.checkpointed(self._connection))

    def active(self) -> Iterator[Loaded]:
        """Yields every account that may trade."""
        yield from map(self._loaded, self._which.active(self._connection))

    def _loaded(self, record: live.AccountRecord) -> Loaded:
        terms = self.terms(record.product, record.version, record.phase_index, record.initial_minor)
        checkpoint = None
        if record.rule_state is not None and record.balance_minor is not None and record.positions is not None:
            checkpoint = checkpoint_from(terms, record.balance_minor, record.positions, record.rule_state)
        place = None if checkpoint is None else checkpoint.place
        base = 0 if place is None else place.base  # the numbers of earlier places are below all of this one
        return Loaded(
            account_id=record.account_id,
            challenge_id=record.challenge_id,
            login=record.login,
            terms=terms,
            status=record.status,
            breaches=tuple((rule_id, seq - base) for rule_id, seq in record.breaches),
            checkpoint=checkpoint,
            pending=self._pending(record),
            ended_seq=max(record.ended_seq - base, 0),
            doubtful=tuple(
                OpenDoubt(row["key"], datetime.fromisoformat(row["at"]), row["detail"]) for row in record.doubtful or ()
            ),
            marks=record.marks,
            trader_id=record.trader_id,
        )

    def _pending(self, record: live.AccountRecord) -> Pending | None:
        waits = record.version_move
        if waits is None:
            return None
        terms = self.terms(waits["product"], waits["version"], record.phase_index, record.initial_minor)
        return Pending(waits["move_id"], terms)

    def terms(self, product: str, version: int, phase_index: int, initial_minor: int) -> PhaseTerms:
        """Returns the terms of a phase of a product version for an account of this size."""
        return self._terms.of(product, version, phase_index, initial_minor)
