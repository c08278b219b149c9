"""Routes stored webhooks to the workflow that needs them, and fetches missed events from the providers."""

from collections.abc import Mapping
from typing import Final

import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import ChargebackReceived, FeeRefunded, PaymentExpired, PaymentFact, PaymentSettled
from domain import keys
from domain.errors import CursorForgotten, NotFound, Unavailable, UnknownCurrency
from domain.lifecycle import Paid
from domain.quoting import storable_text
from firm import challenges, fees, messages
from firm.payouts.signals import send_transfer_changed
from ports.payments import PaymentProvider, Providers, WebhookEvent
from relay.strikes import UNEXPECTED, Strikes, database_is_away
from store import inbox
from store.db import Database
from store.inbox import ReceivedEvent

_BATCH: Final = 100
_LEASE_SECONDS: Final = 60.0
_PATIENCE: Final = 12  # attempts, about six minutes, for an object that is not stored yet

_SIGNALS: Final[Mapping[str, type[PaymentFact]]] = {
    "checkout.paid": PaymentSettled,
    "checkout.expired": PaymentExpired,
    "charge.disputed": ChargebackReceived,
    "charge.refunded": FeeRefunded,
}
_MONEY_BACK: Final = frozenset({"charge.disputed", "charge.refunded"})
_TRANSFERS: Final = frozenset({"transfer.paid", "transfer.returned"})

_events = Counter("propos_relay_events_total", "Webhook events by outcome", ["kind", "outcome"])
_restarts = Counter(
    "propos_relay_sweep_restarts_total", "Sweeps restarted because the provider no longer knew the cursor"
)
_unreadable = Counter("propos_relay_unreadable_events_total", "Unreadable events found by the sweep")
_log = structlog.get_logger("relay.inbox")


class InboxDispatcher:
    def __init__(self, db: Database, payments: Providers) -> None:
        self._db, self._payments = db, payments
        self._strikes = Strikes()

    async def release(self) -> None:
        async with self._db.transaction() as session:
            await inbox.release(session)

    async def step(self) -> int:
        """Routes one batch. Returns the number of events tried."""
        async with self._db.transaction() as session:
            events = await inbox.claim(session, limit=_BATCH, lease_seconds=_LEASE_SECONDS)
        for event in events:
            await self._try_event(event)
        return len(events)

    async def _try_event(self, event: ReceivedEvent) -> None:
        try:
            await self._route(event)
        except NotFound:
            await self._wait_or_give_up(event, f"the provider knows no {event.object_id}")
        except UnknownCurrency as error:
            await self._give_up(event, error.message)
        except Unavailable as error:
            await self._postpone(event, error.message)
        except OSError as error:
            await self._postpone(event, type(error).__name__)
        except Exception as error:
            if database_is_away(error):
                raise
            # an error of one event must not block the others
            why = type(error).__name__  # not its text, which may quote the payload
            if self._strikes.out(event.id, UNEXPECTED):
                await self._give_up(event, why)
            else:
                await self._postpone(event, why)
        else:
            self._strikes.forget(event.id)

    async def _route(self, event: ReceivedEvent) -> None:
        """Routes an event by our own rows if possible, else by the reference that the provider has for its object."""
        if event.kind not in _SIGNALS and event.kind not in _TRANSFERS:
            await self._give_up(event, f"no workflow handles events of kind {event.kind!r}")
            return
        if event.kind in _MONEY_BACK:
            async with self._db.transaction() as session:
                ended = await inbox.ended_challenge_of_checkout(session, event.provider, event.object_id)
            if ended is not None:
                await self._book_money_back(event, ended)
                return
        async with self._db.transaction() as session:
            routed = await self._route_by_row(session, event)
            if routed:
                await inbox.mark_handled(session, event)
        if routed:
            _events.labels(event.kind, "handled").inc()
        else:
            await self._route_by_reference(event)

    async def _route_by_row(self, session: AsyncSession, event: ReceivedEvent) -> bool:
        if event.kind in _TRANSFERS:
            return await send_transfer_changed(
                session, key=_key(event), rail=event.provider, transfer_id=event.object_id
            )
        challenge_id = await inbox.challenge_of_checkout(session, event.provider, event.object_id)
        if challenge_id is not None:
            await self._signal_challenge(session, event, challenge_id)
        return challenge_id is not None

    async def _route_by_reference(self, event: ReceivedEvent) -> None:
        """Routes an event of an object whose id our row does not have yet: the webhook was faster than the answer to
        our call."""
        provider = self._payments.of(event.provider)
        if event.kind in _TRANSFERS:
            reference = (await provider.fetch_transfer(event.object_id)).reference
        else:
            reference = (await provider.fetch_checkout(event.object_id)).reference
        async with self._db.transaction() as session:
            if event.kind in _TRANSFERS and await inbox.is_payout(session, event.provider, reference):
                await send_transfer_changed(
                    session, key=_key(event), rail=event.provider, transfer_id=event.object_id, payout_id=reference
                )
            elif event.kind in _SIGNALS and await inbox.is_challenge(session, event.provider, reference):
                await self._signal_challenge(session, event, reference)
            else:
                reference = ""
            if reference:
                await inbox.mark_handled(session, event)
        if reference:
            _events.labels(event.kind, "handled").inc()
        else:
            await self._wait_or_give_up(event, f"no object of ours has {event.object_id}")

    async def _book_money_back(self, event: ReceivedEvent, challenge_id: str) -> None:
        """Books a refund or chargeback of a challenge that has ended and takes no more signals, if the provider
        confirms it."""
        checkout = await self._payments.of(event.provider).fetch_checkout(event.object_id)
        paid, provider = Paid(minor=checkout.amount_minor, currency=checkout.currency), event.provider
        known = True
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, challenge_id)
            if checkout.status == "charged_back":
                known = await fees.book_late_chargeback(session, challenge, paid=paid, provider=provider)
            elif checkout.status == "refunded":
                known = await fees.book_late_refund(session, challenge, paid=paid, provider=provider)
            elif checkout.status == "paid" and event.kind == "charge.refunded":
                await fees.ask_about_refund(session, challenge, paid=paid, provider=provider, event=_key(event))
            if known:
                await inbox.mark_handled(session, event)
        if known:
            _events.labels(event.kind, "handled").inc()
        else:
            await self._give_up(event, f"the ledger has no fee of {challenge_id} to pay back")

    async def _signal_challenge(self, session: AsyncSession, event: ReceivedEvent, challenge_id: str) -> None:
        fact = _SIGNALS[event.kind](key=_key(event), checkout_id=event.object_id)
        await messages.signal(session, challenge_workflow(challenge_id), fact, key=keys.inbox_message(fact.key))

    async def _wait_or_give_up(self, event: ReceivedEvent, why: str) -> None:
        if event.attempts >= _PATIENCE:
            await self._give_up(event, why)
        else:
            await self._postpone(event, why)

    async def _postpone(self, event: ReceivedEvent, why: str) -> None:
        async with self._db.transaction() as session:
            await inbox.postpone(
                session, event, error=storable_text(why), seconds=min(60.0, 0.25 * 2 ** min(event.attempts, 9))
            )
        _events.labels(event.kind, "postponed").inc()

    async def _give_up(self, event: ReceivedEvent, why: str) -> None:
        async with self._db.transaction() as session:
            await inbox.park(session, event, error=storable_text(why))
        _events.labels("other" if event.kind not in _SIGNALS else event.kind, "parked").inc()
        _log.warning("event parked", event_id=event.event_id, kind=event.kind, error=why)


def _key(event: ReceivedEvent) -> str:
    return keys.provider_event(event.provider, event.event_id)


class EventSweep:
    """Fetches all events of one provider, so that an event with a lost webhook also gets into the inbox."""

    def __init__(self, db: Database, provider: PaymentProvider) -> None:
        self._db, self._provider = db, provider
        self._last: str | None = None  # after each start from the first event: no state in memory is needed

    async def step(self) -> int:
        """Stores the missing events; returns their number. An unreadable event is stored for a person."""
        events = await self._events()
        missing = unreadable = 0
        async with self._db.transaction() as session:
            for event in events:
                new = await inbox.receive(
                    session,
                    provider=self._provider.name,
                    event_id=event.event_id,
                    kind=event.kind,
                    object_id=event.object_id,
                    problem=event.problem,
                )
                missing += new
                unreadable += new and event.problem is not None
        # skip unreadable events: the provider may not know the id under which we store them
        self._last = next((event.event_id for event in reversed(events) if event.problem is None), self._last)
        if missing:
            _log.info("events without a webhook found", count=missing)
        if unreadable:
            _unreadable.inc(unreadable)
            _log.warning("unreadable events stored for a person", count=unreadable)
        return missing

    async def _events(self) -> list[WebhookEvent]:
        if self._last is not None:
            try:
                return await self._provider.events(self._last)
            except CursorForgotten as error:
                _restarts.inc()
                _log.warning("the sweep starts again at the first event", after=self._last, error=error.message)
                self._last = None
        return await self._provider.events(None)
