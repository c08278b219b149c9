"""Routes stored webhooks to the workflow that needs them, and fetches missed events from the providers."""

import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import FeeRefunded, PaymentExpired, PaymentFact, PaymentSettled
from domain import keys
from domain.errors import CursorForgotten, NotConfigured, NotFound, TooLarge, Unavailable, UnknownCurrency
from domain.lifecycle import Paid
from domain.quoting import storable_text
from domain.tickets import CHANGED
from firm import challenges, chargebacks, identity_checks, messages, payees, refunds
from firm.messages import KeyedSignal
from firm.payouts import attempts, transfers
from firm.payouts.signals import send_transfer_changed, transfer_signal
from ports.money import EventSource, WebhookEvent
from ports.payments import Payments
from ports.rail import PayeeAccounts, taken_back
from ports.tickets import TicketDesk
from relay.desk import reader
from relay.strikes import UNEXPECTED, Strikes, database_is_away
from store import inbox
from store.db import Database
from store.inbox import ReceivedEvent

_BATCH: Final = 100
_LEASE_SECONDS: Final = 60.0
_TICKETS: Final = 5  # read one after another; each takes several calls of a desk that may be slow
_TICKETS_LEASE_SECONDS: Final = 120.0
_PATIENCE: Final = 12  # attempts, about six minutes, for an object that is not stored yet

_SIGNALS: Final[Mapping[str, type[PaymentFact]]] = {
    "checkout.paid": PaymentSettled,
    "checkout.expired": PaymentExpired,
    "charge.refunded": FeeRefunded,
}
_CHARGEBACKS: Final = frozenset({"charge.disputed", "chargeback.changed"})
_TRANSFERS: Final = frozenset({"transfer.paid", "transfer.returned", "transfer.changed"})
_BY_OUR_ROWS: Final = _SIGNALS.keys() | _TRANSFERS
Route = Callable[[ReceivedEvent], Awaitable[bool]]  # returns whether the event is handled; else it waits, or is parked

_events = Counter("propos_relay_events_total", "Webhook events by outcome", ["kind", "outcome"])
_restarts = Counter(
    "propos_relay_sweep_restarts_total", "Sweeps restarted because the provider no longer knew the cursor"
)
_unreadable = Counter("propos_relay_unreadable_events_total", "Unreadable events found by the sweep")
_log = structlog.get_logger("relay.inbox")


class InboxDispatcher:
    def __init__(self, db: Database, payments: Payments, tickets: TicketDesk | None = None) -> None:
        self._db, self._payments, self._tickets = db, payments, tickets
        self._strikes = Strikes()
        self._routes: Mapping[str, Route] = {
            **dict.fromkeys(_SIGNALS, self._route_payment),
            **dict.fromkeys(_TRANSFERS, self._route_transfer),
            **dict.fromkeys(_CHARGEBACKS, self._route_chargeback),
            "payee.changed": self._read_payee,
            "identity.changed": self._record_identity,
            CHANGED: self._read_ticket,
        }

    async def release(self) -> None:
        async with self._db.transaction() as session:
            await inbox.release(session)

    async def step(self) -> int:
        """Routes one batch. Returns the number of events tried."""
        async with self._db.transaction() as session:
            events = await inbox.claim(session, limit=_BATCH, lease_seconds=_LEASE_SECONDS)
        for is_simple, run in itertools.groupby(events, lambda event: event.kind in _BY_OUR_ROWS):
            in_order = list(run)
            routed = await self._route_together(in_order) if is_simple else frozenset()
            for event in in_order:
                if event.id not in routed:
                    await self._try_event(event)
        return len(events)

    async def step_tickets(self) -> int:
        """Reads a batch of tickets that changed at the desk. Payments do not wait for it. Returns the number tried."""
        async with self._db.transaction() as session:
            events = await inbox.claim_tickets(session, limit=_TICKETS, lease_seconds=_TICKETS_LEASE_SECONDS)
        for event in events:
            await self._try_event(event)
        return len(events)

    async def _route_together(self, events: Sequence[ReceivedEvent]) -> frozenset[int]:
        """Routes the events that our own rows say everything about, in one transaction; returns their ids. The others,
        and all if this fails, are routed one by one."""
        paid = [event for event in events if event.kind in _SIGNALS]
        moved = [event for event in events if event.kind in _TRANSFERS]
        try:
            async with self._db.transaction() as session:
                found = {
                    **{
                        event.id: _challenge_signal(event, challenge_id)
                        for event, challenge_id in _found(paid, await inbox.challenges_of(session, paid))
                    },
                    **{
                        event.id: transfer_signal(payout_id, _key(event), event.object_id)
                        for event, payout_id in _found(moved, await inbox.payouts_of(session, moved))
                    },
                }
                done = [event for event in events if event.id in found]
                await messages.signal_each(session, [found[event.id] for event in done])
                await inbox.mark_handled(session, *done)
        except Exception as error:
            if database_is_away(error):
                raise
            _log.warning("events are routed one by one", error=type(error).__name__)
            return frozenset()
        for event in done:
            self._strikes.forget(event.id)
            _events.labels(event.kind, "handled").inc()
        return frozenset(found)

    async def _try_event(self, event: ReceivedEvent) -> None:
        try:
            handled = await self._route(event)
        except NotFound:
            await self._wait_or_give_up(event, f"the provider knows no {event.object_id}")
        except (UnknownCurrency, TooLarge) as error:
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
            if handled:
                _events.labels(event.kind, "handled").inc()

    async def _route(self, event: ReceivedEvent) -> bool:
        route = self._routes.get(event.kind)
        if route is None:
            return await self._give_up(event, f"no workflow handles events of kind {event.kind!r}")
        return await route(event)

    async def _route_payment(self, event: ReceivedEvent) -> bool:
        """Routes an event by our own rows if possible, else by the reference that the acquirer has for its object: the
        webhook was faster than the answer to our call."""
        is_refund = event.kind == "charge.refunded"
        async with self._db.transaction() as session:
            challenge_id = await inbox.challenge_of_checkout(session, event.provider, event.object_id)
            if challenge_id is not None and not (is_refund and await inbox.has_ended(session, challenge_id)):
                await self._signal_challenge(session, event, challenge_id)
                return True
        if challenge_id is not None:
            return await self._book_refunds(event, challenge_id)
        reference = (await self._payments.acquirers.of(event.provider).fetch_checkout(event.object_id)).reference
        async with self._db.transaction() as session:
            ended = is_refund and await inbox.has_ended(session, reference)
            if not ended and await inbox.is_challenge(session, event.provider, reference):
                await self._signal_challenge(session, event, reference)
                return True
        if ended:
            return await self._book_refunds(event, reference)
        return await self._wait_or_give_up(event, f"no object of ours has {event.object_id}")

    async def _signal_challenge(self, session: AsyncSession, event: ReceivedEvent, challenge_id: str) -> None:
        await messages.signal_each(session, [_challenge_signal(event, challenge_id)])
        await inbox.mark_handled(session, event)

    async def _route_chargeback(self, event: ReceivedEvent) -> bool:
        """Has every chargeback that the event is about read by its own workflow, also of a challenge that has ended."""
        acquirer = self._payments.acquirers.of(event.provider)
        if event.kind == "chargeback.changed":
            seen = await acquirer.fetch_chargeback(event.object_id)
            found: tuple[str, ...] = (seen.chargeback_id,)
            checkout_id, reference = seen.checkout_id, seen.reference
        else:
            checkout = await acquirer.fetch_checkout(event.object_id)
            found, checkout_id, reference = checkout.chargebacks, checkout.checkout_id, checkout.reference
        if not found:  # the event was faster than what the acquirer lets us read
            return await self._wait_or_give_up(event, f"no chargeback of {event.object_id} can be read")
        async with self._db.transaction() as session:
            challenge_id = await inbox.challenge_of_checkout(session, event.provider, checkout_id)
            if challenge_id is None and await inbox.is_challenge(session, event.provider, reference):
                challenge_id = reference
            if challenge_id is not None:
                challenge = await challenges.lock(session, challenge_id)
                for provider_id in found:
                    await chargebacks.note(session, challenge, provider_id, event=_key(event))
                await inbox.mark_handled(session, event)
                return True
        return await self._wait_or_give_up(event, f"no object of ours has {event.object_id}")

    async def _record_identity(self, event: ReceivedEvent) -> bool:
        """Records an identity check as its checker has it now. Raises NotFound while our row is not committed."""
        seen = await self._payments.identity.of(event.provider).fetch(event.object_id)
        async with self._db.transaction() as session:
            await identity_checks.answered(session, seen.key, seen)
            await inbox.mark_handled(session, event)
        return True

    async def _route_transfer(self, event: ReceivedEvent) -> bool:
        """Has the open payout of a transfer ask its rail. If none follows it, the rail is read here: the webhook was
        faster than the answer to our call, or the payout has ended. A payout that has ended is told what its rail says,
        and may open again."""
        async with self._db.transaction() as session:
            if await send_transfer_changed(session, key=_key(event), rail=event.provider, transfer_id=event.object_id):
                await inbox.mark_handled(session, event)
                return True
        rail = self._payments.rails.of(event.provider)
        transfer = await rail.fetch_transfer(event.object_id)
        names = {"transfer_id": transfer.transfer_id, "key": transfer.key}
        async with self._db.transaction() as session:
            is_ours = await attempts.of_rail(session, event.provider, **names) is not None
        if not is_ours:
            return await self._wait_or_give_up(event, f"no object of ours has {event.object_id}")
        transfer = await taken_back(rail, transfer)
        if transfer.status == "undelivered":
            why = f"{event.provider} does not give the money of {event.object_id} back yet"
            return await self._wait_or_give_up(event, why)
        async with self._db.transaction() as session:
            attempt = await attempts.of_rail(session, event.provider, **names)
            if attempt is not None:
                await transfers.route(session, attempt, transfer.word, event=_key(event))
            await inbox.mark_handled(session, event)
        return True

    async def _read_payee(self, event: ReceivedEvent) -> bool:
        """Pays a trader at the account at the rail, once it is ready."""
        rail = self._payments.rails.of(event.provider)
        if not isinstance(rail, PayeeAccounts):
            return await self._give_up(event, f"the rail {event.provider} keeps no accounts of traders")
        payee = await rail.fetch_payee(event.object_id)
        async with self._db.transaction() as session:
            await payees.changed(session, event.provider, payee, usual=self._payments.rails.default)
            await inbox.mark_handled(session, event)
        return True

    async def _read_ticket(self, event: ReceivedEvent) -> bool:
        """Reads a ticket of the desk. Waits while the settings name another desk, or none."""
        if self._tickets is None or self._tickets.name != event.provider:
            raise NotConfigured("ticket desk", event.provider, "PROPOS_TICKET_DESKS")
        await reader.read(self._db, self._tickets, event.object_id)
        async with self._db.transaction() as session:
            await inbox.mark_handled(session, event)
        return True

    async def _book_refunds(self, event: ReceivedEvent, challenge_id: str) -> bool:
        """Books the refunds of a challenge that has ended and takes no more signals."""
        acquirer = self._payments.acquirers.of(event.provider)
        checkout = await acquirer.fetch_checkout(event.object_id)
        found = await acquirer.refunds(checkout.checkout_id)
        async with self._db.transaction() as session:
            challenge = await challenges.lock(session, challenge_id)
            paid = Paid(minor=checkout.amount_minor, currency=checkout.currency)
            if await refunds.observe_late(session, challenge, paid, found):
                await inbox.mark_handled(session, event)
                return True
        return await self._give_up(event, f"the ledger has no fee of {challenge_id} to pay back")

    # these return False: the event is not handled

    async def _wait_or_give_up(self, event: ReceivedEvent, why: str) -> bool:
        return await (self._give_up if event.attempts >= _PATIENCE else self._postpone)(event, why)

    async def _postpone(self, event: ReceivedEvent, why: str) -> bool:
        async with self._db.transaction() as session:
            await inbox.postpone(
                session, event, error=storable_text(why), seconds=min(60.0, 0.25 * 2 ** min(event.attempts, 9))
            )
        _events.labels(event.kind, "postponed").inc()
        return False

    async def _give_up(self, event: ReceivedEvent, why: str) -> bool:
        async with self._db.transaction() as session:
            await inbox.park(session, event, error=storable_text(why))
        _events.labels(event.kind if event.kind in {*_SIGNALS, *_CHARGEBACKS} else "other", "parked").inc()
        _log.warning("event parked", event_id=event.event_id, kind=event.kind, error=why)
        return False


def _key(event: ReceivedEvent) -> str:
    return keys.provider_event(event.provider, event.event_id)


def _found(
    events: Sequence[ReceivedEvent], by_object: Mapping[tuple[str, str], str]
) -> list[tuple[ReceivedEvent, str]]:
    """Returns each event whose object is one of ours, with the id of its subject."""
    each = [(event, by_object.get((event.provider, event.object_id))) for event in events]
    return [(event, subject_id) for event, subject_id in each if subject_id is not None]


def _challenge_signal(event: ReceivedEvent, challenge_id: str) -> KeyedSignal:
    fact = _SIGNALS[event.kind](key=_key(event), checkout_id=event.object_id)
    return keys.inbox_message(fact.key), challenge_workflow(challenge_id), fact


class EventSweep:
    """Fetches all events of one provider, so that an event with a lost webhook also gets into the inbox."""

    def __init__(self, db: Database, source: EventSource) -> None:
        self._db, self._source = db, source
        self._last: str | None = None  # after each start from the first event: no state in memory is needed

    async def step(self) -> int:
        """Stores the missing events; returns their number. An unreadable event is stored for a person."""
        events = await self._events()
        if not events:
            return 0
        missing = unreadable = 0
        async with self._db.transaction() as session:
            for event in events:
                new = await inbox.receive(
                    session,
                    provider=self._source.name,
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
                return await self._source.events(self._last)
            except CursorForgotten as error:
                _restarts.inc()
                _log.warning("the sweep starts again at the first event", after=self._last, error=error.message)
                self._last = None
        return await self._source.events(None)
