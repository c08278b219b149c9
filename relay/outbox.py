"""Carries committed messages to Temporal and the venue: in order per target, several targets at once, none lost."""

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
_NEVER: Final = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)

_delivered = Counter("propos_relay_messages_total", "Outbox messages by what became of them", ["topic", "outcome"])
_log = structlog.get_logger("relay.outbox")

Connect = Callable[[], Awaitable[Client]]


@dataclass(frozen=True)
class Outcome:
    verdict: Literal["dispatched", "postponed", "parked"]
    error: str = ""


_DONE: Final = Outcome("dispatched")


def pause_seconds(attempts: int) -> float:
    """Back-off after so many attempts: doubles from a quarter of a second to 15."""
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
        """Deliver one round: at most one message per target; gives how many were tried."""
        async with self._db.transaction() as session:
            messages = await deliveries.claim(session, limit=_BATCH, lease_seconds=_LEASE_SECONDS)
        if not messages:
            return 0
        outcomes = await asyncio.gather(*(self._tried(message) for message in messages))
        async with self._db.transaction() as session:
            done = [m for m, outcome in zip(messages, outcomes, strict=True) if outcome.verdict == "dispatched"]
            await deliveries.mark_dispatched(session, done)
            for message, outcome in zip(messages, outcomes, strict=True):
                if outcome.verdict == "postponed":
                    pause = pause_seconds(message.attempts)
                    await deliveries.postpone(session, message, error=storable_text(outcome.error), seconds=pause)
                elif outcome.verdict == "parked":
                    await deliveries.park(session, message, error=storable_text(outcome.error))
        for message, outcome in zip(messages, outcomes, strict=True):
            self._report(message, outcome)
        return len(messages)

    def _report(self, message: OutgoingMessage, outcome: Outcome) -> None:
        _delivered.labels(message.topic, outcome.verdict).inc()
        if outcome.verdict != "dispatched":
            _log.warning(
                f"message {outcome.verdict}",
                key=message.key,
                target=message.target,
                attempts=message.attempts,
                error=outcome.error,
            )

    async def _tried(self, message: OutgoingMessage) -> Outcome:
        async with self._gate:
            try:
                async with asyncio.timeout(_DELIVERY_SECONDS):
                    outcome = await self._deliver(message)
            except TimeoutError:
                return Outcome("postponed", "no answer in time")
            except Unavailable as error:
                return Outcome("postponed", error.message)
            except RPCError as error:
                return _rpc_outcome(error)
            except NotFound as error:
                return Outcome("parked", error.message)
            except OSError as error:
                return Outcome("postponed", type(error).__name__)
            except Exception as error:
                if database_is_away(error):
                    raise
                # whatever is wrong with this message, the others go on
                return self._struck(message, error)
        self._strikes.forget(message.id)
        return outcome

    def _struck(self, message: OutgoingMessage, error: Exception) -> Outcome:
        if message.topic.startswith("venue.") and isinstance(error, Conflict | BadInput):
            return Outcome("parked" if self._strikes.out(message.id, REFUSED) else "postponed", error.message)
        # the type and no more: the text of an unforeseen error may quote the message
        why = type(error).__name__
        return Outcome("parked" if self._strikes.out(message.id, UNEXPECTED) else "postponed", why)

    async def _deliver(self, message: OutgoingMessage) -> Outcome:
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
        return Outcome("parked", f"nobody delivers the topic {message.topic!r}")

    async def _signal(self, message: OutgoingMessage) -> Outcome:
        handle = (await self._connect()).get_workflow_handle(message.target)
        try:
            await handle.signal(message.name, message.payload, rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            closed = error.status == RPCStatusCode.NOT_FOUND and not no_namespace(error)
            if not closed or not await self._needs_nobody(message):
                raise
        return _DONE

    async def _needs_nobody(self, message: OutgoingMessage) -> bool:
        """Whether nothing is lost when a workflow that has ended does not hear this."""
        if message.name in outbox.HINTS:
            return True
        async with self._db.transaction() as session:
            if message.name == "transfer_changed":
                return await inbox.payout_ended_as_reported(session, str(message.payload["key"]))
            if message.name in ("chargeback_received", "fee_refunded"):  # it ended after the event was routed to it
                return await inbox.reopen(session, str(message.payload["key"]))
        return False

    async def _start(self, message: OutgoingMessage, if_it_ran: WorkflowIDReusePolicy) -> Outcome:
        client = await self._connect()
        try:
            await client.start_workflow(
                message.name,
                message.payload,
                id=message.target,
                task_queue=CORE_QUEUE,
                id_reuse_policy=if_it_ran,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                rpc_timeout=_RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return _DONE  # it ran to its end before we heard of the first start
        return _DONE

    async def _platform(self, message: OutgoingMessage) -> TradingPlatform:
        """Where the message's account is. Raises NotFound for an account that is not on the record."""
        async with self._db.transaction() as session:
            name = await deliveries.platform_of(session, str(message.payload["account_id"]))
        return self._platforms.of(name)

    async def _lock(self, message: OutgoingMessage) -> Outcome:
        platform = await self._platform(message)
        await platform.lock(int(message.target), key=str(message.payload["key"]))
        async with self._db.transaction() as session:
            await deliveries.record_venue_lock(session, str(message.payload["account_id"]))
        return _DONE

    async def _close(self, message: OutgoingMessage) -> Outcome:
        positions = [str(position) for position in message.payload["position_ids"]]
        platform = await self._platform(message)
        await platform.close_positions(int(message.target), key=message.key, position_ids=positions)
        return _DONE

    async def _resume(self, message: OutgoingMessage) -> Outcome:
        """Let a paused account trade again, unless its life has ended meanwhile or it is paused once more: locks reach
        the venue past the outbox, so that a resume that was late may come after the next of them."""
        account_id, offence_id = str(message.payload["account_id"]), str(message.payload["offence_id"])
        async with self._db.transaction() as session:
            if not await deliveries.is_active(session, account_id):
                return _DONE
            if await deliveries.was_paused_again(session, account_id, offence_id):
                return _DONE
        platform = await self._platform(message)
        await platform.set_trading(int(message.target), key=message.key, enabled=True)
        return _DONE


def _rpc_outcome(error: RPCError) -> Outcome:
    """A workflow that is closed or unknown stays so; a namespace that is not there yet may come."""
    if error.status in _NEVER and not no_namespace(error):
        return Outcome("parked", f"{error.status.name}: {error.message}")
    return Outcome("postponed", f"{error.status.name}: {error.message}")
