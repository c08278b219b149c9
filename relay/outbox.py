"""Delivers committed messages to Temporal and the trading platforms: in order per target, several targets at once."""

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

from contracts.ids import CORE_QUEUE
from domain.errors import BadInput, Conflict, NotFound, Unavailable
from domain.quoting import storable_text
from ports.platform import Platforms, TradingPlatform
from relay.strikes import REFUSED, UNEXPECTED, Strikes, database_is_away
from relay.temporal import no_namespace
from store import deliveries, inbox, outbox
from store.db import Database
from store.deliveries import OutgoingMessage

_AT_ONCE: Final = 16
_BATCH: Final = 128
_LEASE_SECONDS: Final = 30.0
_RPC_TIMEOUT: Final = timedelta(seconds=5)
_DELIVERY_SECONDS: Final = 20.0
_FINAL_CODES: Final = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)

_delivered = Counter("propos_relay_messages_total", "Outbox messages by outcome", ["topic", "outcome"])
_log = structlog.get_logger("relay.outbox")

Connect = Callable[[], Awaitable[Client]]


@dataclass(frozen=True)
class Delivery:
    status: Literal["dispatched", "postponed", "parked"]
    error: str = ""


_DONE: Final = Delivery("dispatched")


def pause_seconds(attempts: int) -> float:
    """Returns the seconds to wait after this many attempts: from 0.25, doubled each time, up to 15."""
    return float(min(15.0, 0.25 * 2 ** min(attempts, 8)))


class OutboxDispatcher:
    def __init__(self, db: Database, connect: Connect, platforms: Platforms) -> None:
        self._db, self._connect, self._platforms = db, connect, platforms
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._strikes = Strikes()

    async def release(self) -> None:
        async with self._db.transaction() as session:
            await deliveries.release(session)

    async def step(self) -> int:
        """Delivers one round, at most one message per target. Returns the number of messages tried."""
        async with self._db.transaction() as session:
            messages = await deliveries.claim(session, limit=_BATCH, lease_seconds=_LEASE_SECONDS)
        if not messages:
            return 0
        results = await asyncio.gather(*(self._try_message(message) for message in messages))
        async with self._db.transaction() as session:
            done = [m for m, delivery in zip(messages, results, strict=True) if delivery.status == "dispatched"]
            await deliveries.mark_dispatched(session, done)
            for message, delivery in zip(messages, results, strict=True):
                if delivery.status == "postponed":
                    pause = pause_seconds(message.attempts)
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

    async def _try_message(self, message: OutgoingMessage) -> Delivery:
        async with self._gate:
            try:
                async with asyncio.timeout(_DELIVERY_SECONDS):
                    delivery = await self._deliver(message)
            except TimeoutError:
                return Delivery("postponed", "no answer in time")
            except Unavailable as error:
                return Delivery("postponed", error.message)
            except RPCError as error:
                return _rpc_delivery(error)
            except NotFound as error:
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
        if message.topic.startswith("venue.") and isinstance(error, Conflict | BadInput):
            return Delivery("parked" if self._strikes.out(message.id, REFUSED) else "postponed", error.message)
        # only the type: the text of an unexpected error may quote the message
        why = type(error).__name__
        return Delivery("parked" if self._strikes.out(message.id, UNEXPECTED) else "postponed", why)

    async def _deliver(self, message: OutgoingMessage) -> Delivery:
        if message.topic == outbox.START:
            return await self._start(message, WorkflowIDReusePolicy.REJECT_DUPLICATE)
        if message.topic == outbox.RESTART:
            return await self._start(message, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
        if message.topic == outbox.SIGNAL:
            return await self._signal(message)
        if message.topic == outbox.LOCK:
            return await self._lock(message)
        if message.topic == "venue.close":
            return await self._close(message)
        if message.topic == "venue.resume":
            return await self._resume(message)
        if message.topic == "venue.reset_balance":
            return await self._reset_balance(message)
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
            if message.name == "transfer_changed":
                return await inbox.payout_ended_as_reported(session, str(message.payload["key"]))
            if message.name in ("chargeback_received", "fee_refunded"):  # the workflow ended after the event was routed
                return await inbox.reopen(session, str(message.payload["key"]))
        return False

    async def _start(self, message: OutgoingMessage, reuse_policy: WorkflowIDReusePolicy) -> Delivery:
        client = await self._connect()
        try:
            await client.start_workflow(
                message.name,
                message.payload,
                id=message.target,
                task_queue=CORE_QUEUE,
                id_reuse_policy=reuse_policy,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                rpc_timeout=_RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return _DONE  # an earlier start succeeded and its answer was lost; the workflow has already ended
        return _DONE

    async def _platform(self, message: OutgoingMessage) -> TradingPlatform:
        """Returns the platform of the message's account. Raises NotFound for an unknown account."""
        async with self._db.transaction() as session:
            name = await deliveries.platform_of(session, str(message.payload["account_id"]))
        return self._platforms.of(name)

    async def _lock(self, message: OutgoingMessage) -> Delivery:
        platform = await self._platform(message)
        await platform.lock(int(message.target), key=str(message.payload["key"]))
        async with self._db.transaction() as session:
            await deliveries.record_venue_lock(session, str(message.payload["account_id"]))
        return _DONE

    async def _close(self, message: OutgoingMessage) -> Delivery:
        positions = [str(position) for position in message.payload["position_ids"]]
        platform = await self._platform(message)
        await platform.close_positions(int(message.target), key=message.key, position_ids=positions)
        return _DONE

    async def _reset_balance(self, message: OutgoingMessage) -> Delivery:
        """Closes every position of an account, and brings its balance back to the initial one."""
        account_id, login = str(message.payload["account_id"]), int(message.target)
        async with self._db.transaction() as session:
            initial = await deliveries.initial_of_active(session, account_id)
        if initial is None:
            return _DONE  # the account has ended meanwhile
        platform = await self._platform(message)
        if await platform.find_balance_operation(login, key=message.key, operation="adjustment") is not None:
            return _DONE
        for position in (await platform.snapshot(login)).positions:
            name = position.position_id
            await platform.close_positions(login, key=f"{message.key}/{name}", position_ids=[name])
        flat = await platform.snapshot(login)
        if flat.positions:
            return Delivery("postponed", "positions are still open")
        if flat.balance_minor != initial:
            await platform.balance_operation(
                login, key=message.key, operation="adjustment", amount_minor=initial - flat.balance_minor
            )
        return _DONE

    async def _resume(self, message: OutgoingMessage) -> Delivery:
        """Lets a paused account trade again, unless it has ended or was paused again in the meantime. Locks reach the
        platform without the outbox, so a late resume may arrive after the next lock."""
        account_id, offence_id = str(message.payload["account_id"]), str(message.payload["offence_id"])
        async with self._db.transaction() as session:
            if not await deliveries.is_active(session, account_id):
                return _DONE
            if await deliveries.was_paused_again(session, account_id, offence_id):
                return _DONE
        platform = await self._platform(message)
        await platform.set_trading(int(message.target), key=message.key, enabled=True)
        return _DONE


def _rpc_delivery(error: RPCError) -> Delivery:
    """Parks a message to a workflow that is closed or unknown. Postpones it when the namespace does not exist yet."""
    if error.status in _FINAL_CODES and not no_namespace(error):
        return Delivery("parked", f"{error.status.name}: {error.message}")
    return Delivery("postponed", f"{error.status.name}: {error.message}")
