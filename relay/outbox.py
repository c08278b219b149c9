"""Delivers committed messages to Temporal, platforms, the mail server and the desk of tickets: in order per target,
several at once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import structlog
from prometheus_client import Counter
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from contracts.ids import CORE_QUEUE, parts
from domain import places
from domain.errors import BadInput, Conflict, NotConfigured, NotFound, OutcomeUnknown, TooLarge, Unavailable
from domain.quoting import storable_text
from firm import intervention_ends
from firm.desk.in_force import in_force
from ports.mail import MailDesk
from ports.platform import Platforms, TradingPlatform
from ports.tickets import TicketDesk
from relay import credentials, mails
from relay.adjusting import Adjusting
from relay.desk import copier
from relay.desk.copier import DeskNotes
from relay.desk.own import OwnDesk
from relay.strikes import REFUSED, UNEXPECTED, Strikes, database_is_away
from relay.temporal import no_namespace
from relay.trading import Trading
from store import changing, deliveries, inbox, outbox, venue_limits
from store.db import Database
from store.deliveries import OutgoingMessage, Whereabouts

_AT_ONCE: Final = 16
_BATCH: Final = 128
_COPIES: Final = 4  # of tickets, at once: each makes several calls of a desk that may be slow
_BULK: Final = 64  # mails that nobody waits for, in one round
_BULK_AT_ONCE: Final = 4
_LEASE_SECONDS: Final = 30.0
_RPC_TIMEOUT: Final = timedelta(seconds=5)
_DELIVERY_SECONDS: Final = 20.0
_FINAL_CODES: Final = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)

_delivered = Counter("propos_relay_messages_total", "Outbox messages by outcome", ["topic", "outcome"])
_log = structlog.get_logger("relay.outbox")

Connect = Callable[[], Awaitable[Client]]


@dataclass(frozen=True)
class Delivery:
    """`seconds`: the pause of a postponed message; None: by its number of attempts."""

    status: Literal["dispatched", "postponed", "parked"]
    error: str = ""
    seconds: float | None = None


_DONE: Final = Delivery("dispatched")


def pause_seconds(attempts: int) -> float:
    """Returns the seconds to wait after this many attempts: from 0.25, doubled each time, up to 15."""
    return float(min(15.0, 0.25 * 2 ** min(attempts, 8)))


class OutboxDispatcher:
    def __init__(
        self,
        db: Database,
        connect: Connect,
        platforms: Platforms,
        desk: MailDesk | None = None,
        tickets: TicketDesk | None = None,
        notes: DeskNotes | None = None,
    ) -> None:
        self._db, self._connect, self._platforms, self._desk = db, connect, platforms, desk
        self._tickets, self._notes = tickets or OwnDesk(db), notes or DeskNotes()
        self._gate, self._copies_gate = asyncio.Semaphore(_AT_ONCE), asyncio.Semaphore(_COPIES)
        self._bulk_gate = asyncio.Semaphore(_BULK_AT_ONCE)
        self._strikes = Strikes()
        self._trading = Trading(db, platforms)
        self._adjusting = Adjusting(db, platforms, self._trading)

    async def release(self) -> None:
        async with self._db.transaction() as session:
            await deliveries.release(session)

    async def step(self) -> int:
        """Delivers one round, at most one message per target. Returns the number of messages tried. Copies of tickets
        and mails of notifications are not among them: a slow desk, or a mail for everybody, must not hold up locks and
        signals."""
        return await self._round(_BATCH, self._gate)

    async def step_copies(self) -> int:
        """Delivers one round of copies of tickets to the desk where people work on them."""
        return await self._round(_COPIES, self._copies_gate, only=outbox.DESK)

    async def step_bulk(self) -> int:
        """Delivers one round of the mails that nobody waits for."""
        return await self._round(_BULK, self._bulk_gate, only=outbox.BULK_MAIL)

    async def _round(self, limit: int, gate: asyncio.Semaphore, *, only: str | None = None) -> int:
        async with self._db.transaction() as session:
            messages = await deliveries.claim(session, limit=limit, lease_seconds=_LEASE_SECONDS, only=only)
        if not messages:
            return 0
        results = await asyncio.gather(*(self._try_message(message, gate) for message in messages))
        async with self._db.transaction() as session:
            done = [m for m, delivery in zip(messages, results, strict=True) if delivery.status == "dispatched"]
            await deliveries.mark_dispatched(session, done)
            for message, delivery in zip(messages, results, strict=True):
                if delivery.status == "postponed":
                    pause = pause_seconds(message.attempts) if delivery.seconds is None else delivery.seconds
                    await deliveries.postpone(session, message, error=storable_text(delivery.error), seconds=pause)
                elif delivery.status == "parked":
                    await deliveries.park(session, message, error=storable_text(delivery.error))
        for message, delivery in zip(messages, results, strict=True):
            self._report(message, delivery)
        return len(messages)

    def _report(self, message: OutgoingMessage, delivery: Delivery) -> None:
        _delivered.labels(message.topic, delivery.status).inc()
        if delivery.status != "dispatched":
            _log.warning(
                f"message {delivery.status}",
                key=message.key,
                target=message.target,
                attempts=message.attempts,
                error=delivery.error,
            )

    async def _try_message(self, message: OutgoingMessage, gate: asyncio.Semaphore) -> Delivery:
        async with gate:
            try:
                async with asyncio.timeout(_DELIVERY_SECONDS):
                    delivery = await self._deliver(message)
            except TimeoutError:
                pause = copier.UNKNOWN_SECONDS if message.topic == outbox.DESK else None
                return Delivery("postponed", "no answer in time", pause)
            except OutcomeUnknown as error:
                pause = copier.UNKNOWN_SECONDS if message.topic == outbox.DESK else None
                return Delivery("postponed", error.message, pause)
            except Unavailable as error:
                return Delivery("postponed", error.message)
            except RPCError as error:
                return _rpc_delivery(error)
            except (NotFound, TooLarge) as error:
                return Delivery("parked", error.message)
            except OSError as error:
                return Delivery("postponed", type(error).__name__)
            except Exception as error:
                if database_is_away(error):
                    raise
                # an error of one message must not block the others
                return self._count_strike(message, error)
        self._strikes.forget(message.id)
        return delivery

    def _count_strike(self, message: OutgoingMessage, error: Exception) -> Delivery:
        may_refuse = message.topic == outbox.DESK or message.topic.startswith("venue.")
        if may_refuse and isinstance(error, Conflict | BadInput):
            return Delivery("parked" if self._strikes.out(message.id, REFUSED) else "postponed", error.message)
        # only the type: the text of an unexpected error may quote the message
        why = type(error).__name__
        return Delivery("parked" if self._strikes.out(message.id, UNEXPECTED) else "postponed", why)

    async def _deliver(self, message: OutgoingMessage) -> Delivery:
        if message.topic == outbox.CREDENTIALS:
            await credentials.make(self._db, self._platforms, str(message.payload["credential_id"]))
            return _DONE
        by_topic: dict[str, Callable[[OutgoingMessage], Awaitable[Delivery]]] = {
            outbox.START: self._start,
            outbox.RESTART: self._start,
            outbox.SIGNAL: self._signal,
            outbox.LOCK: self._lock,
            outbox.RESUME: self._resume,
            outbox.FREEZE: self._freeze,
            outbox.MAIL: self._send_mail,
            outbox.BULK_MAIL: self._send_mail,
            outbox.DESK: self._copy_ticket,
            outbox.CLOSE: self._close,
            outbox.RESET: self._reset_balance,
            outbox.ADJUST: self._adjust,
            venue_limits.TOPIC: self._send_limits,
        }
        deliver = by_topic.get(message.topic)
        if deliver is not None:
            return await deliver(message)
        return Delivery("parked", f"unknown topic {message.topic!r}")

    async def _signal(self, message: OutgoingMessage) -> Delivery:
        handle = (await self._connect()).get_workflow_handle(message.target)
        try:
            await handle.signal(message.name, message.payload, rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            closed = error.status == RPCStatusCode.NOT_FOUND and not no_namespace(error)
            if not closed or not await self._can_be_skipped(message):
                raise
        return _DONE

    async def _can_be_skipped(self, message: OutgoingMessage) -> bool:
        """Returns whether a workflow that has ended can miss this message."""
        if message.name in outbox.HINTS:
            return True
        async with self._db.transaction() as session:
            if await intervention_ends.settle_signalled(session, message.key):
                return True
            if message.name == "transfer_changed":
                return await inbox.reopen_transfer(session, str(message.payload["key"]))
            if message.name == "chargeback_changed":  # the workflow ended after the event was routed: it starts again
                return await inbox.route_again(session, str(message.payload["key"]))
            if message.name in ("chargeback_received", "fee_refunded"):  # the workflow ended after the event was routed
                if not await inbox.has_ended(session, parts(message.target)[1]):
                    return False
                again = await inbox.route_again(session, str(message.payload["key"]))
                return again or message.name == "chargeback_received"  # a loss is on the record of its chargeback
        return False

    async def _start(self, message: OutgoingMessage) -> Delivery:
        again = message.topic == outbox.RESTART
        reuse = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
        client = await self._connect()
        try:
            await client.start_workflow(
                message.name,
                message.payload,
                id=message.target,
                task_queue=CORE_QUEUE,
                id_reuse_policy=reuse,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                rpc_timeout=_RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return _DONE  # an earlier start succeeded and its answer was lost; the workflow has already ended
        return _DONE

    async def _account(self, message: OutgoingMessage) -> tuple[TradingPlatform, Whereabouts]:
        """Returns where the message's account is now. Raises NotFound for an unknown account."""
        async with self._db.transaction() as session:
            found = await deliveries.whereabouts(session, str(message.payload["account_id"]))
        return self._platforms.of(found.platform), found

    async def _lock(self, message: OutgoingMessage) -> Delivery:
        platform, account = await self._account(message)
        await platform.lock(account.login, key=str(message.payload["key"]))
        async with self._db.transaction() as session:
            await deliveries.record_venue_lock(session, str(message.payload["account_id"]))
        return _DONE

    async def _close(self, message: OutgoingMessage) -> Delivery:
        platform, account = await self._account(message)
        positions = [places.at_venue(account.place, str(name)) for name in message.payload["position_ids"]]
        await platform.close_positions(account.login, key=message.key, position_ids=positions)
        return _DONE

    async def _send_mail(self, message: OutgoingMessage) -> Delivery:
        if self._desk is None:
            raise NotConfigured("mail sender", "<name>", "PROPOS_MAIL")
        tried = await mails.deliver(self._db, self._desk, str(message.payload["mail_id"]))
        return _DONE if tried.again_seconds is None else Delivery("postponed", tried.error, tried.again_seconds)

    async def _copy_ticket(self, message: OutgoingMessage) -> Delivery:
        """Waits while the settings of this process name another desk than the one in force. Without one in force there
        is nothing to copy: the next one gets every open ticket."""
        async with self._db.transaction() as session:
            name = await in_force(session)
        if name is None:
            return _DONE
        if name != self._tickets.name:
            raise NotConfigured("ticket desk", name, "PROPOS_TICKET_DESKS")
        await copier.copy(self._db, self._tickets, self._notes, str(message.payload["ticket_id"]))
        return _DONE

    async def _send_limits(self, message: OutgoingMessage) -> Delivery:
        again = bool(message.payload.get("again"))
        await self._trading.send_limits(str(message.payload["account_id"]), again=again)
        return _DONE

    async def _reset_balance(self, message: OutgoingMessage) -> Delivery:
        """Closes every position of an account, and brings its balance back to the initial one."""
        account_id = str(message.payload["account_id"])
        async with self._db.transaction() as session:
            initial = await deliveries.initial_of_active(session, account_id)
            waits = await deliveries.money_is_moving(session, account_id)
            changes = await changing.is_under_way(session, account_id)
        if initial is None:
            return _DONE  # the account has ended meanwhile
        if waits:  # the balance is not known until it is there
            return Delivery("postponed", "money of a payout is being moved")
        if changes:
            return Delivery("postponed", "the account is on its way to another platform")
        platform, account = await self._account(message)
        login = account.login
        if await platform.find_balance_operation(login, key=message.key, operation="adjustment") is not None:
            return _DONE
        for position in (await platform.snapshot(login)).positions:
            name = position.position_id
            await platform.close_positions(login, key=f"{message.key}/{name}", position_ids=[name])
        flat = await platform.snapshot(login)
        if flat.positions:
            return Delivery("postponed", "positions are still open")
        if flat.balance_minor != initial:
            await self._trading.send_limits(account_id, moving=True)
            await platform.balance_operation(
                login, key=message.key, operation="adjustment", amount_minor=initial - flat.balance_minor
            )
        return _DONE

    async def _adjust(self, message: OutgoingMessage) -> Delivery:
        waits = await self._adjusting.adjust(message)
        return Delivery("postponed", waits) if waits else _DONE

    async def _freeze(self, message: OutgoingMessage) -> Delivery:
        await self._trading.freeze(message)
        return _DONE

    async def _resume(self, message: OutgoingMessage) -> Delivery:
        await self._trading.resume(message)
        return _DONE


def _rpc_delivery(error: RPCError) -> Delivery:
    """Parks a message to a workflow that is closed or unknown. Postpones it when the namespace does not exist yet."""
    if error.status in _FINAL_CODES and not no_namespace(error):
        return Delivery("parked", f"{error.status.name}: {error.message}")
    return Delivery("postponed", f"{error.status.name}: {error.message}")
