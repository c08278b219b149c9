"""What the staff do under chaos: approve, race, take approvals back, and work off the queue. Through the API only."""

import asyncio
from typing import Any, Final

from sqlalchemy import func, select

from cli.chaos.firm import ChaosFirm, patiently
from contracts.ids import case_workflow, chargeback_workflow, payout_workflow
from domain.approvals import Role
from domain.errors import ApiRefused
from store import identity

CHECKERS: Final = ("farid", "grace")
_REASON: Final = "Checks are green."
_DECIDABLE: Final = ("awaiting_approval", "in_review")


class Desk:
    """`sent_again`: payouts whose money came back and was sent again."""

    def __init__(self, firm: ChaosFirm) -> None:
        self._firm = firm
        self._role_lock = asyncio.Lock()
        self._tries = 0
        self.refusals: dict[str, int] = {}
        self.sent_again: set[str] = set()

    async def post(self, login: str, path: str, body: dict[str, Any]) -> bool:
        """Returns whether the decision was taken. A refusal is counted; an outage is waited for."""
        self._tries += 1
        client, key = self._firm.people.get(login) or await self._firm.person(login), f"{self._tries}"
        try:
            await patiently(lambda: client.post(path, body, key=key), f"{login} decides")
        except ApiRefused as refusal:
            self.refusals[refusal.problem] = self.refusals.get(refusal.problem, 0) + 1
            if refusal.problem == "not-signed-in":
                await self._firm.person(login)
            return False
        return True

    async def payout(self, payout_id: str) -> dict[str, Any]:
        client = self._firm.people.get("rosa") or await self._firm.person("rosa")
        found: dict[str, Any] = await patiently(lambda: client.get(f"/v1/payouts/{payout_id}"), "a payout is read")
        return found

    async def approve(self, login: str, payout_id: str) -> bool:
        seen = (await self.payout(payout_id))["seen"]
        return await self.post(login, f"/v1/payouts/{payout_id}/approve", {"reason": _REASON, "seen": seen})

    async def decide(self, login: str, payout_id: str, verb: str, reason: str, **more: str) -> bool:
        return await self.post(login, f"/v1/payouts/{payout_id}/{verb}", {"reason": reason, **more})

    async def approve_fully(self, payout_id: str) -> None:
        """Approves with as many people as the policy asks for."""
        for login in CHECKERS[: (await self.payout(payout_id))["approvers_needed"]]:
            await self.approve(login, payout_id)

    async def change_role(self, login: str, role: Role) -> None:
        """Changes a role as `propos user role` does. The person must sign in again."""
        firm = self._firm
        async with firm.db.transaction() as session:
            await identity.change_role(session, login=login, role=role, by="command-line")
            at = await session.scalar(select(func.clock_timestamp()))
        assert at is not None
        firm.roles.append((at, login, role))

    async def lose_role_while_approving(self, payout_id: str) -> None:
        """Two people approve; the first one loses the role at the moment of the second approval."""
        async with self._role_lock:
            await self._firm.person("ana")
            await self.approve("ana", payout_id)
            approving = asyncio.create_task(self.approve("grace", payout_id))
            await patiently(lambda: self.change_role("ana", "auditor"), "a role changes")
            self._firm.happened["role_revoked"] += 1
            await approving
            await patiently(lambda: self.change_role("ana", "admin"), "a role changes")

    async def work(self, *, last: bool = False) -> list[str]:
        """Decides what waits in the queue; returns the workflows that were called. `last`: what is still in review is
        rejected, what came back is put back on the account."""
        client = await self._firm.person("rosa")
        queue = await patiently(lambda: client.items("/v1/queue"), "the queue is read")
        called: list[str] = []
        for item in queue:
            workflow = await self._handle(item, last=last)
            called += [workflow] if workflow else []
        return called

    async def _handle(self, item: dict[str, Any], *, last: bool) -> str:
        kind, subject = item["kind"], item["subject_id"]
        if kind == "payout":
            return payout_workflow(subject) if await self._handle_payout(subject, last=last) else ""
        if kind == "case":
            done = await self.post("rosa", f"/v1/cases/{subject}/clear", {"reason": "Too little to act on."})
            return case_workflow(subject) if done else ""
        if kind == "chargeback":
            words = {"reason": "The customer traded on the account that this payment bought."}
            done = await self.post("farid", f"/v1/chargebacks/{subject}/submit", words)
            return chargeback_workflow(subject) if done else ""
        if kind == "beneficiary":
            await self.post("sam", f"/v1/beneficiaries/{subject}/confirm", {"reason": "The trader named the account."})
        return ""

    async def _handle_payout(self, payout_id: str, *, last: bool) -> bool:
        """Returns whether something was decided."""
        payout = await self.payout(payout_id)
        state = payout["state"]
        if state == "awaiting_approval":
            await self.approve_fully(payout_id)
            return True
        if state == "returned" and payout_id not in self.sent_again and not last:
            self.sent_again.add(payout_id)
            return await self._send_again(payout, "The trader's bank says that it works now.")
        if state in ("returned", "owed"):
            return await self.decide("farid", payout_id, "release", "The trader has no other account.")
        if state == "in_review" and payout.get("halted") and payout_id not in self.sent_again and not last:
            self.sent_again.add(payout_id)
            return await self._send_again(payout, "It was a slip of the bank.")
        if state == "in_review" and last:
            return await self.decide("farid", payout_id, "reject", "It cannot be paid.")
        return False

    async def _send_again(self, payout: dict[str, Any], why: str) -> bool:
        """Sends it again over its own rail, to the account that the payout shows."""
        to = payout["send_to"][0]
        return await self.decide("farid", payout["id"], "send-again", why, beneficiary=to["beneficiary"])
