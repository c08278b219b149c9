"""Plays one wave of payouts: requests, decisions, and the days until the money has arrived or is back."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from sqlalchemy import func, select
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from cli.chaos.firm import OUTAGES, ChaosFirm, Payee, patiently, until
from cli.chaos.staff import CHECKERS, Desk
from contracts.ids import chargeback_workflow, payout_workflow
from domain.errors import Unavailable
from domain.surveillance.findings import Finding, Involved
from firm.case_opening import open_case
from sandbox.bank.ibans import iban_of
from store.models import Chargeback, PayoutTransfer

_TRANSFERS: Final = "/v1/transfers"
_WEBHOOKS: Final = {"duplicate_webhooks": 3, "drop_webhooks": 1, "reorder": True, "delay_webhooks": 0.3}
_CALLS: Final = {"too_many": 1, "error_before": 1, "timeout_before": 1, "error_after": 1}
_CALLS_COUNTED: Final = tuple(_CALLS)
# What the bank does on each day, and which process is killed.
_DAYS: Final = (
    (("reject_batch",), "sandbox"),
    (("duplicate_statement", "other_account", "late_statement"), "postgres"),
    (("truncate",), "temporal"),
    (("reorder",), "relay"),
    (("lose",), ""),
)


class Wave:
    """`payees`: whose payouts this wave is about."""

    def __init__(self, firm: ChaosFirm, desk: Desk, payees: Sequence[Payee]) -> None:
        self._firm, self._desk, self._payees = firm, desk, payees
        self._before: dict[str, int] = {}  # how often each fault had happened when the wave began

    async def play(self) -> None:
        firm = self._firm
        self._before = await patiently(firm.sandbox.fault_uses, "faults are read")
        await self._faults(**_WEBHOOKS)
        await self._together([self._request(payee) for payee in self._payees], kills=("api",))
        await firm.settle()
        await self._buyers_act()
        await firm.settle()
        plain = [payee for payee in self._payees if payee.plan.rail == "bank"]
        connect = [payee for payee in self._payees if payee.plan.rail == "stripe" and payee.plan.twist != "late_effect"]
        half = (len(connect) + 1) // 2
        await self._faults(only=_TRANSFERS, **_CALLS)
        await self._together([self._decide(each) for each in (*plain, *connect[:half])], kills=("worker", "relay"))
        await self._happened(_CALLS_COUNTED, connect[:half])
        await firm.settle()
        await self._faults(only=_TRANSFERS, forget_keys=True, timeout_after=1)
        await self._together([self._decide(each) for each in connect[half:]])
        await self._happened(("timeout_after",), connect[half:])
        await firm.settle()
        for payee in self._payees:
            if payee.plan.twist == "late_effect":
                await self._late_effect(payee)
        await self._days(connect)

    async def _happened(self, faults: Sequence[str], payees: Sequence[Payee]) -> None:
        """Waits until each of these faults has met a call for these payouts. An approval that was refused while a
        process was away is given again."""

        async def met() -> bool:
            uses = await self._firm.sandbox.fault_uses()
            if all(uses.get(name, 0) > self._before.get(name, 0) for name in faults):
                return True
            for payee in payees:
                if (await self._desk.payout(payee.payout_id))["state"] == "awaiting_approval":
                    await self._desk.approve_fully(payee.payout_id)
            return False

        await until(met, f"each of {', '.join(faults)} happens")

    async def _faults(self, **faults: Any) -> None:
        await patiently(lambda: self._firm.sandbox.stripe_faults(**faults), "faults are set")

    async def _together(self, work: list[Coroutine[Any, Any, None]], kills: Sequence[str] = ()) -> None:
        """Runs the work at once, and kills processes meanwhile."""
        tasks = [asyncio.create_task(each) for each in work]
        for name in kills:
            await asyncio.sleep(0.4)
            await self._firm.kill(name)
        await asyncio.gather(*tasks)

    async def _request(self, payee: Payee) -> None:
        body = {"amount": str(payee.plan.gross)}
        path = f"/v1/accounts/{payee.account_id}/payouts"
        answer = await patiently(lambda: payee.trader.api.post(path, body, key="payout"), "a payout is requested")
        payee.payout_id = answer["id"]

    async def _buyers_act(self) -> None:
        """Banks of buyers take the fee back, and somebody refunds one at the acquirer's own desk."""
        for payee in self._payees:
            checkout = payee.trader.checkout_id
            if payee.plan.buyer in ("won", "lost"):
                await self._firm.sandbox.charge_back(checkout, asks_first=False)
                self._firm.happened["desk_dispute"] += 1
            elif payee.plan.buyer == "desk_refund":
                await self._firm.sandbox.refund_at_desk(checkout)
                self._firm.happened["desk_refund"] += 1

    # decisions

    async def _decide(self, payee: Payee) -> None:
        firm, desk, payout_id = self._firm, self._desk, payee.payout_id
        match payee.plan.twist:
            case "race":
                await asyncio.gather(
                    desk.approve("farid", payout_id),
                    desk.decide("grace", payout_id, "reject", "A single bet made the profit."),
                )
                firm.happened["operators_raced"] += 1
            case "retract":
                await desk.approve("farid", payout_id)
                await asyncio.gather(
                    desk.approve("grace", payout_id),
                    desk.decide("farid", payout_id, "retract", "I looked at another account."),
                )
                firm.happened["approval_revoked"] += 1
            case "role":
                await desk.lose_role_while_approving(payout_id)
            case "beneficiary":
                await desk.approve("farid", payout_id)
                await asyncio.gather(desk.approve("grace", payout_id), self._change_beneficiary(payee))
            case "case":
                await asyncio.gather(desk.approve_fully(payout_id), self._open_case(payee))
            case "terminated":
                await self._terminate(payout_id)
                await desk.approve_fully(payout_id)
            case "reset":
                await desk.approve(CHECKERS[0], payout_id)
                await self._reset(payout_id)
                await desk.approve(CHECKERS[1], payout_id)
            case _:
                await desk.approve_fully(payout_id)

    async def _change_beneficiary(self, payee: Payee) -> None:
        other = {"iban": iban_of(f"{payee.trader.persona.iban} and another")}
        path = f"/v1/traders/{payee.trader.trader_id}/beneficiary"
        known = await patiently(payee.trader.accounts, "the accounts are read")
        await patiently(lambda: payee.trader.api.put(path, other), "another account is asked for")

        async def given() -> bool:
            await payee.trader.confirm_account()
            return await payee.trader.accounts() > known

        await until(given, "another account is given")
        self._firm.happened["beneficiary_changed"] += 1

    async def _open_case(self, payee: Payee) -> None:
        finding = Finding(
            key=f"chaos/{payee.payout_id}",
            detector="copy_trading",
            at=self._firm.now,
            score=Decimal("0.8"),
            sentence="It copies another account.",
            accounts=(Involved(account_id=payee.account_id, role="follower"),),
        )

        async def work() -> None:
            async with self._firm.db.transaction() as session:
                await open_case(session, finding)

        await patiently(work, "a case is opened")
        self._firm.happened["case_opened"] += 1

    async def _terminate(self, payout_id: str) -> None:
        handle = self._firm.temporal.get_workflow_handle(payout_workflow(payout_id))
        try:
            await handle.terminate("chaos")
        except OUTAGES:  # it has ended, or its server is away
            return
        self._firm.happened["workflow_terminated"] += 1

    async def _reset(self, payout_id: str) -> None:
        client = self._firm.temporal
        first = await patiently(partial(self._first_task, payout_id), "a first task is complete")
        request = ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=payout_workflow(payout_id)),
            reason="chaos",
            workflow_task_finish_event_id=first,
            request_id=f"reset-{payout_id}",
        )
        try:
            await client.workflow_service.reset_workflow_execution(request)
        except OUTAGES:
            return
        self._firm.happened["workflow_reset"] += 1

    async def _first_task(self, payout_id: str) -> int:
        """Returns the event with which the first task of a payout's workflow was complete. Messages may lie before it,
        and tasks whose worker was killed."""
        handle = self._firm.temporal.get_workflow_handle(payout_workflow(payout_id))
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return int(event.event_id)
        raise Unavailable(f"No task of the payout {payout_id} is complete yet.")

    async def _late_effect(self, payee: Payee) -> None:
        """The worker dies while the acquirer makes the transfer. The next worker finds the key in use; then the first
        call has its effect, and nobody waits for its answer."""
        firm = self._firm
        before = await patiently(firm.sandbox.fault_uses, "faults are read")
        await self._faults(only=_TRANSFERS, hold=True)
        deciding = asyncio.create_task(self._desk.approve_fully(payee.payout_id))

        async def tried() -> bool:
            async with firm.db.transaction() as session:
                tries = select(func.max(PayoutTransfer.tries)).where(PayoutTransfer.payout_id == payee.payout_id)
                return bool(await session.scalar(tries))

        async def in_use() -> bool:
            return (await firm.sandbox.fault_uses()).get("key_in_use", 0) > before.get("key_in_use", 0)

        await until(tried, "the transfer is tried")
        await asyncio.sleep(0.5)
        await firm.kill("worker")
        await until(in_use, "another call finds the key in use")
        await patiently(firm.sandbox.stripe_faults, "faults are cleared")
        await deciding
        await firm.settle()

    # the days after

    async def _days(self, connect: Sequence[Payee]) -> None:
        """A transfer whose answer was lost has come back from the payee's account. It is sent again on these days, and
        ends as planned."""
        firm = self._firm
        await self._faults(**_WEBHOOKS, **_fates(connect))
        for faults, killed in _DAYS:
            await patiently(partial(firm.sandbox.bank_faults, **dict.fromkeys(faults, 1)), "faults are set")
            await patiently(firm.sandbox.settle, "the acquirer pays out to the firm's bank")  # it is on a statement
            await self._together([firm.advance(firm.now + timedelta(days=1))], kills=(killed,) if killed else ())
            await self._banks_decide()
            await firm.settle(await self._desk.work())

    async def _banks_decide(self) -> None:
        """The buyers' banks decide against the firm where the plan says so."""
        lost = {payee.trader.challenge_id for payee in self._payees if payee.plan.buyer == "lost"}

        async def submitted() -> list[Chargeback]:
            async with self._firm.db.transaction() as session:
                found = select(Chargeback).where(Chargeback.state == "submitted", Chargeback.challenge_id.in_(lost))
                return list(await session.scalars(found))

        for row in await patiently(submitted, "chargebacks are read"):
            await patiently(partial(self._firm.sandbox.decide_against_firm, row.provider_id), "a bank decides")
            await self._firm.settle([chargeback_workflow(row.id)])


def _fates(payees: Sequence[Payee]) -> dict[str, int]:
    """Returns the faults that let payouts on payees' accounts end as planned."""
    fates = [payee.plan.fate for payee in payees]
    return {"payouts_fail": fates.count("fails"), "payouts_return": fates.count("returns")}
