"""Records the histories that every later version must replay: `python -m tests.replay.record [NAME...]`.

Run it for a new way through a workflow, never to silence a failing replay: a history that stops replaying means that
runs in production would break. Payloads are encrypted with the key of the tests.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.worker import Worker

from cli.stack.exits import leave
from contracts.messages import (
    CaseStart,
    ChallengeStart,
    DecisionRequest,
    MarketTimeReached,
    PayoutStart,
    PlatformChangeStart,
    RefundRequest,
    RiskChanged,
    TransferChanged,
)
from domain.approvals import Actor
from domain.errors import Conflict
from firm import challenges, people
from relay.temporal import connect
from store.migrate import upgrade
from tests import servers
from tests.asked import ask_for
from tests.challenge_world import KEYS, Firm, a_firm, after
from tests.convicted import convict
from tests.replay.other_code import AnotherChallenge
from tests.replay.scripted import Script
from worker import workflow_runner
from workflows.case import CaseWorkflow
from workflows.payout import PayoutWorkflow
from workflows.platform_change import PlatformChangeWorkflow

HISTORIES: Final = Path(__file__).parent / "histories"
ROSA: Final = Actor(user_id="usr_rosa", person_id="person-rosa", role="risk")


Chapter = Callable[[Firm], Awaitable[WorkflowHandle[Any, Any]]]


async def _cancelled(firm: Firm) -> WorkflowHandle[Any, Any]:
    challenge_id = await firm.buy(await firm.add_trader("cancelled"))
    await firm.market_time(after(hours=24))
    await firm.ends(challenge_id, "cancelled")
    return firm.handle(challenge_id)


async def _refunded(firm: Firm) -> WorkflowHandle[Any, Any]:
    actor = await firm.add_trader("refunded")
    challenge_id = await firm.bought(actor)
    request = RefundRequest(key="r1", actor=actor, reason="I will not have the time.")
    await ask_for(firm.db, "challenge", challenge_id, "refund", request)
    await firm.handle(challenge_id).execute_update("refund", request, id="r1")
    await firm.ends(challenge_id, "refunded")
    return firm.handle(challenge_id)


async def _refunded_at_provider(firm: Firm) -> WorkflowHandle[Any, Any]:
    """The news comes between the pass of a phase and the opening of the next account."""
    challenge_id = await firm.bought(await firm.add_trader("desk"))
    checkout_id = str((await firm.challenge(challenge_id)).checkout_id)

    async def refunded() -> None:
        firm.provider.becomes(checkout_id, "refunded")
        await firm.handle(challenge_id).signal("fee_refunded", {"key": "ev", "checkout_id": checkout_id})

    firm.venue.before_lock = refunded
    await firm.passes(challenge_id)
    await firm.ends(challenge_id, "refunded")
    return firm.handle(challenge_id)


async def _charged_back_between_phases(firm: Firm) -> WorkflowHandle[Any, Any]:
    """Recorded before news of money that went back overtook the next account: the account was opened first."""
    challenge_id = await firm.bought(await firm.add_trader("between"))
    checkout_id = str((await firm.challenge(challenge_id)).checkout_id)

    async def charged_back() -> None:
        firm.provider.becomes(checkout_id, "charged_back")
        await firm.handle(challenge_id).signal("chargeback_received", {"key": "ev", "checkout_id": checkout_id})

    firm.venue.before_lock = charged_back
    await firm.passes(challenge_id)
    await firm.ends(challenge_id, "charged_back")
    return firm.handle(challenge_id)


async def _wrong_payment(firm: Firm) -> WorkflowHandle[Any, Any]:
    """A payment that was not the fee, refunded after a first refusal."""
    actor = await firm.add_trader("wrong")
    challenge_id = await firm.buy(actor)
    checkout_id = str((await firm.challenge(challenge_id)).checkout_id)
    firm.provider.takes(checkout_id, amount_minor=1)
    await firm.signal(challenge_id, "payment_settled", {"key": "wrong", "checkout_id": checkout_id})
    await firm.becomes(challenge_id, "payment_review")
    await firm.quiet()
    firm.provider.refuses = Conflict("Not now.")
    for key in ("w1", "w2"):
        request = RefundRequest(key=key, actor=actor, reason="It was the wrong amount.")
        await ask_for(firm.db, "challenge", challenge_id, "refund", request)
        try:
            await firm.handle(challenge_id).execute_update("refund", request, id=key)
        except WorkflowUpdateFailedError:
            continue  # the first one
    await firm.ends(challenge_id, "refunded")
    return firm.handle(challenge_id)


async def _expired(firm: Firm) -> WorkflowHandle[Any, Any]:
    challenge_id = await firm.bought(await firm.add_trader("expired"))
    await firm.market_time(await firm.now() + (after(days=30) - after()))
    await firm.ends(challenge_id, "expired")
    return firm.handle(challenge_id)


async def _retaken(firm: Firm) -> WorkflowHandle[Any, Any]:
    """In profit when its time is over, extended once: a second attempt at the phase, which expires."""
    actor = await firm.add_trader("retaken")
    challenge_id = await firm.bought(actor, await firm.lenient_product())
    async with firm.db.transaction() as session:
        await challenges.extend(session, challenge_id, actor=actor, key="x1", reason="I was ill.")
    first = await firm.account(challenge_id)
    firm.venue.seats[first.login or 0].balance_minor += 1
    await firm.market_time(await firm.now() + (after(days=44) - after()))

    async def again() -> bool:
        return (await firm.account(challenge_id)).attempt == 2

    await firm.until(again)
    await firm.becomes(challenge_id, "active")
    await firm.market_time(await firm.now() + (after(days=30) - after()))
    await firm.ends(challenge_id, "expired")
    return firm.handle(challenge_id)


async def _failed(firm: Firm) -> WorkflowHandle[Any, Any]:
    challenge_id = await firm.bought(await firm.add_trader("failed"))
    await firm.breach(challenge_id)
    await firm.becomes(challenge_id, "breached")
    await firm.market_time(await firm.now() + (after(days=14) - after()))
    await firm.ends(challenge_id, "failed")
    return firm.handle(challenge_id)


async def _charged_back(firm: Firm) -> WorkflowHandle[Any, Any]:
    challenge_id = await firm.bought(await firm.add_trader("charged"))
    checkout_id = str((await firm.challenge(challenge_id)).checkout_id)
    firm.provider.becomes(checkout_id, "charged_back")
    await firm.signal(challenge_id, "chargeback_received", {"key": "cb", "checkout_id": checkout_id})
    await firm.ends(challenge_id, "charged_back")
    return firm.handle(challenge_id)


async def _closed(firm: Firm) -> WorkflowHandle[Any, Any]:
    """Two phases, identity, funded, and then closed by the firm: a chain of three runs."""
    challenge_id = await firm.bought(await firm.add_trader("closed"))
    rosa = await firm.add_user("rosa", "risk")
    await firm.passes(challenge_id)
    await firm.becomes(challenge_id, "active", phase_index=2)
    await firm.passes(challenge_id)
    await firm.becomes(challenge_id, "identity_check")
    async with firm.db.transaction() as session:
        await people.decide_identity(
            session, trader_id="trd_closed", verified=True, actor=rosa, reason="Documents match.", key="k1"
        )
    await firm.becomes(challenge_id, "funded", phase_index=3)
    case_id = await convict(firm, challenge_id)
    await firm.signal(challenge_id, "closed_by_firm", {"key": "case/1", "case_id": case_id})
    await firm.ends(challenge_id, "closed")
    return firm.handle(challenge_id)


def _decided(decision: str, state: str, *, of_dispute: bool) -> Chapter:
    async def chapter(firm: Firm) -> WorkflowHandle[Any, Any]:
        name = f"{decision}{int(of_dispute)}"
        actor, rosa = await firm.add_trader(name), await firm.add_user(f"rosa-{name}", "risk")
        challenge_id = await firm.bought(actor)
        breach_id = await firm.breach(challenge_id)
        await firm.becomes(challenge_id, "breached")
        dispute_id = await firm.dispute(breach_id, actor)
        await firm.decide(dispute_id, decision, rosa)
        await firm.dispute_becomes(dispute_id, state)
        if of_dispute:
            handle: WorkflowHandle[Any, Any] = firm.client.get_workflow_handle(f"dispute/{dispute_id}")
            await handle.result()
            return handle
        await firm.becomes(challenge_id, "active")
        case_id = await convict(firm, challenge_id)
        await firm.signal(challenge_id, "closed_by_firm", {"key": "case/2", "case_id": case_id})
        await firm.ends(challenge_id, "closed")
        return firm.handle(challenge_id)

    return chapter


CHAPTERS: Final[dict[str, Chapter]] = {
    "challenge-cancelled": _cancelled,
    "challenge-refunded-at-provider": _refunded_at_provider,
    "challenge-charged-back-between-phases": _charged_back_between_phases,
    "challenge-wrong-payment": _wrong_payment,
    "challenge-refunded": _refunded,
    "challenge-expired": _expired,
    "challenge-retaken": _retaken,
    "challenge-failed": _failed,
    "challenge-charged-back": _charged_back,
    "challenge-closed": _closed,
    "challenge-reinstated": _decided("reinstate", "reinstated", of_dispute=False),
    "dispute-upheld": _decided("uphold", "upheld", of_dispute=True),
    "dispute-reinstated": _decided("reinstate", "reinstated", of_dispute=True),
}

Act = tuple[str, str]  # ("signal" or "update", name)
_SENT: Final = ("reserved", "awaiting_approval", "approved", "sent", "sent")
_HELD: Final = ("reserved", "in_review")
# name -> (the activities' answers in order, what happens once the workflow rests)
PLAYS: Final[dict[str, tuple[tuple[str, ...], tuple[Act, ...]]]] = {
    "payout-paid": ((*_SENT, "settling", "paid"), (("update", "approve"), ("signal", "transfer_changed"))),
    "payout-returned": ((*_SENT, "releasing", "returned"), (("update", "approve"), ("signal", "transfer_changed"))),
    # with the marker of a send that runs without the lock
    "payout-paid-without-lock": (
        (*_SENT, "settling", "paid"),
        (("update", "approve"), ("signal", "transfer_changed")),
    ),
    "payout-rejected": (
        (*_HELD, "awaiting_approval", "releasing", "rejected"),
        (("signal", "risk_changed"), ("update", "reject")),
    ),
    "payout-cancelled": ((*_HELD, "releasing", "cancelled"), (("update", "cancel"),)),
    "payout-timed-out": ((*_HELD, "releasing", "timed_out"), (("signal", "market_time_reached"),)),
    "payout-refused": (("refused",), ()),
    # the ways since attempts are rows; the histories above are of runs that began before
    "payout-released": (
        ("awaiting_approval", "awaiting_approval", "approved", "sent", "returned", "owed", "releasing", "released"),
        (
            ("update", "approve"),
            ("update", "approve"),
            ("signal", "transfer_changed"),
            ("update", "keep"),
            ("update", "release"),
        ),
    ),
    "payout-sent-twice": (
        ("awaiting_approval", "approved", "in_review", "in_review", "awaiting_approval", "approved", "sent", "paid"),
        (("update", "approve"), ("update", "send_again"), ("update", "approve"), ("signal", "transfer_changed")),
    ),
    "payout-stopped": (
        ("in_review", "awaiting_approval", "approved", "sent", "in_review", "releasing", "rejected"),
        (("signal", "risk_changed"), ("update", "approve"), ("update", "stop"), ("update", "reject")),
    ),
    # a shard tells that the record has switched, and a venue is asked again after a pause
    "platform_change-done": (
        ("shut", "leaving", "leaving", "taken", "done"),
        (("signal", "market_time_reached"),),
    ),
    "platform_change-abandoned": (("shut", "giving_back", "giving_back", "abandoned"), ()),
    "case-cleared": (("open", "cleared"), (("update", "clear"),)),
    "case-confirmed": (("open", "confirmed"), (("update", "confirm"),)),
    "case-deducted": (("open", "deducted"), (("update", "deduct"),)),
    "case-denied": (("open", "denied"), (("update", "deny"),)),
    "case-inconclusive": (("open", "inconclusive"), (("update", "inconclusive"),)),
    # the hold is raised, then ends, and a person decides
    "case-warned": (
        ("open", "open", "open", "warned"),
        (("signal", "market_time_reached"), ("signal", "market_time_reached"), ("update", "warn")),
    ),
}
_SIGNALS: Final = {
    "transfer_changed": TransferChanged(key="t1", transfer_id="tr_1"),
    "risk_changed": RiskChanged(key="k1"),
    "market_time_reached": MarketTimeReached(key="m1"),
}


_STARTS: Final[dict[str, Callable[[str], tuple[str, Any]]]] = {
    "case": lambda subject: ("Case", CaseStart(case_id=subject)),
    "payout": lambda subject: ("Payout", PayoutStart(payout_id=subject)),
    "platform_change": lambda subject: ("PlatformChange", PlatformChangeStart(change_id=subject)),
}


async def _play(client: Client, name: str) -> WorkflowHandle[Any, Any]:
    states, acts = PLAYS[name]
    noun, subject = name.partition("-")[0], f"{name}-{uuid4().hex[:8]}"
    workflow, start = _STARTS[noun](subject)
    queue = f"record-{subject}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[PayoutWorkflow, CaseWorkflow, PlatformChangeWorkflow],
        activities=Script(*states).all(),
        workflow_runner=workflow_runner(),
    ):
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            workflow, start, id=f"{noun}/{subject}", task_queue=queue
        )
        for number, (kind, word) in enumerate(acts):
            await _at_rest(handle)
            if kind == "signal":
                await handle.signal(word, _SIGNALS[word])
            else:
                request = DecisionRequest(key=f"{name}-{word}-{number}", actor=ROSA, reason="Looked at it.")
                await handle.execute_update(word, request, id=request.key)
        assert await handle.result() == states[-1]
    return handle


async def _at_rest(handle: WorkflowHandle[Any, Any]) -> None:
    while True:
        raw = (await handle.describe()).raw_description
        if not raw.pending_activities and not raw.HasField("pending_workflow_task"):
            return
        await asyncio.sleep(0.05)


async def _must_fail(client: Client) -> WorkflowHandle[Any, Any]:
    start = ChallengeStart(challenge_id="chl_never")
    async with Worker(
        client, task_queue="record-never", workflows=[AnotherChallenge], workflow_runner=workflow_runner()
    ):
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            "Challenge", start, id="challenge/chl_never", task_queue="record-never"
        )
        while not (await handle.describe()).raw_description.pending_activities:
            await asyncio.sleep(0.05)
        return handle


def _anonymous(value: Any) -> Any:
    """Without the names of the machine that recorded it."""
    if isinstance(value, dict):
        return {
            key: "recorder" if key.lower().endswith("identity") else _anonymous(item) for key, item in value.items()
        }
    return [_anonymous(item) for item in value] if isinstance(value, list) else value


async def _write(client: Client, name: str, handle: WorkflowHandle[Any, Any]) -> None:
    """Every run of the workflow, the first one first."""
    runs = []
    run_id: str | None = (await handle.describe()).run_id
    while run_id:
        history = await client.get_workflow_handle(handle.id, run_id=run_id).fetch_history()
        runs.append(_anonymous(json.loads(history.to_json())))
        run_id = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id or None
    body = {"workflow_id": handle.id, "runs": runs[::-1]}
    path = HISTORIES / f"{name}.json"
    path.write_text(json.dumps(body, separators=(",", ":"), sort_keys=True) + "\n")
    print(f"{path.name}: {len(runs)} run(s), {sum(len(run['events']) for run in runs)} events")


async def record(names: list[str]) -> None:
    with servers.postgres_server() as cluster, servers.temporal_server() as address:
        url = cluster.url("postgres")
        servers.create_database(url, "record")
        database_url = servers.database_of(url, "record")
        upgrade(database_url)
        client = await connect(address, servers.NAMESPACE, KEYS)
        async with a_firm(database_url, address) as firm:
            for name in [name for name in CHAPTERS if not names or name in names]:
                await _write(client, name, await CHAPTERS[name](firm))
        for name in [name for name in PLAYS if not names or name in names]:
            await _write(client, name, await _play(client, name))
        if not names or "must-fail" in names:
            await _write(client, "must-fail", await _must_fail(client))


if __name__ == "__main__":
    HISTORIES.mkdir(exist_ok=True)
    asyncio.run(record(sys.argv[1:]))
    leave(0)
