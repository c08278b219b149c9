"""Simulated staff. They use the firm only through its HTTP API, as people do."""

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from cli.demo.actors import ApiClient
from contracts.ids import case_workflow, chargeback_workflow, dispute_workflow, payout_workflow
from domain.errors import (
    AlreadyDecided,
    ApiRefused,
    Conflict,
    IllegalTransition,
    NotFound,
    NothingLeft,
    StaleDecision,
)
from domain.payouts.tainted import MOST_NAMED

# somebody else, or the market, was faster
_OVERTAKEN: Final = frozenset(
    {Conflict.type, NotFound.type, AlreadyDecided.type, IllegalTransition.type, NothingLeft.type, StaleDecision.type}
)


_APART: Final = ("identity", "case")  # one decision does not depend on another
_AT_ONCE: Final = 4
_NO_COPYING: Final = "Copying the trades of other traders is not allowed."
_CONDUCT: Final = "The rules on trading conduct were broken."
_RULES: Final = {
    "copying": _NO_COPYING,
    "identity": "Every trader signs up once, under their own name.",
    "sizing": "One trade must not risk most of what the account may lose.",
    "timing": "Trading around closings, releases and within seconds is limited.",
}


class Operator:
    """Simulated staff, who work on the queue with their own logins and decide by simple rules.

    `doubtful`: traders whose documents are rejected. `silent`: traders who do not answer when their money came back.
    `skipped_kinds`: kinds of work that are left for people.
    """

    def __init__(
        self,
        finance: tuple[ApiClient, ApiClient],
        risk: tuple[ApiClient, ApiClient],
        support: ApiClient,
        admin: ApiClient,
    ) -> None:
        self._finance = finance
        self._admin = admin
        self._risk, self._appeals = risk
        self._support = support
        self._sent_again: set[str] = set()
        self._copying = asyncio.Lock()
        self.doubtful: set[str] = set()
        self.silent: set[str] = set()
        self.skipped_kinds: set[str] = set()

    async def work(self) -> list[str] | None:
        """Decide what can be decided now. Returns the workflow ids that were called (a decision on an identity calls
        none, and its news go on their way); None when nothing was decided."""
        called, decided = list[str](), False
        queue = [item for item in await self._risk.items("/v1/queue") if item["kind"] not in self.skipped_kinds]
        payouts_wait = any(item["kind"] == "payout" for item in queue)
        apart = [item for item in queue if item["kind"] in _APART]
        rest = [item for item in queue if item["kind"] not in _APART]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def handled(item: dict[str, Any]) -> str | None:
            async with gate:
                return await self._handle(item, payouts_wait=payouts_wait)

        found = await asyncio.gather(*(handled(item) for item in apart))
        for workflow in [*found, *[await self._handle(item, payouts_wait=payouts_wait) for item in rest]]:
            decided = decided or workflow is not None
            called += [workflow] if workflow else []
        for item in queue:
            if item["kind"] == "payout" and await self._handle_payout(item["subject_id"]):
                called.append(payout_workflow(item["subject_id"]))
        return called if called or decided else None

    async def _handle(self, item: dict[str, Any], *, payouts_wait: bool) -> str | None:
        """Returns the id of the workflow that was called, "" when a decision calls none, None without a decision."""
        kind, subject = item["kind"], item["subject_id"]
        if kind == "identity":
            verified = subject not in self.doubtful
            reason = "Documents match." if verified else "The document has expired."
            await self._risk.post(f"/v1/traders/{subject}/identity", {"verified": verified, "reason": reason})
            return ""
        if kind == "dispute":
            await self._decide_dispute(subject)
            return dispute_workflow(subject)
        if kind == "case" and payouts_wait and await self._decide_case(subject):
            return case_workflow(subject)
        if kind == "chargeback":
            reason = "The customer traded on the account that this payment bought."
            await self._finance[0].post(f"/v1/chargebacks/{subject}/submit", {"reason": reason})
            return chargeback_workflow(subject)
        if kind == "beneficiary":
            reason = "Reached under the number on file; the trader named the account."
            await self._support.post(f"/v1/beneficiaries/{subject}/confirm", {"reason": reason})
            return ""
        return None

    async def _decide_dispute(self, dispute_id: str) -> None:
        """Reinstates if the spread was very wide at the deciding tick or the floor narrowly missed; else upholds. An
        appeal against a decision about trading is upheld by somebody who had no part in it."""
        dispute = await self._risk.get(f"/v1/disputes/{dispute_id}")
        if dispute["case_id"]:
            reason = "The deals and their times are as the case shows them."
            await self._say(dispute_id, "uphold", reason, [self._appeals])
            return
        evidence = dispute["evidence"]
        wide = Decimal(str(evidence["spread_ratio"] or 0)) >= 3
        narrow = int(evidence["overshoot_minor"]) <= int(evidence["initial_minor"]) // 2000
        if wide or narrow:
            reason = "The spread was several times its normal width." if wide else "The floor was missed by a hair."
            await self._say(dispute_id, "reinstate", reason, [self._risk, self._appeals])
        else:
            await self._say(dispute_id, "uphold", "Prices and deals agree.", [self._risk, self._appeals])

    async def _say(self, dispute_id: str, verb: str, reason: str, people: Sequence[ApiClient]) -> None:
        """These people decide one after the other, until there are as many as the policy asks for."""
        for person in people:
            seen = (await person.get(f"/v1/disputes/{dispute_id}"))["seen"]
            made = await person.post(f"/v1/disputes/{dispute_id}/{verb}", {"reason": reason, "seen": seen})
            if made["approvals"] >= made["approvals_needed"]:
                return

    async def _decide_case(self, case_id: str) -> bool:
        """Copying costs profit that was copied, up to half of the payout that was asked for, so that the trader is paid
        the rest; a first offence of another kind is warned of. Risk proposes what costs money, and admin approves it. A
        weak alert is cleared. Returns whether it was decided."""
        case = await self._risk.get(f"/v1/cases/{case_id}")
        if case["family"] != "copying":
            return await self._decide_as_seen(case_id, case)
        async with self._copying:  # two cases may name the same trades
            return await self._decide_as_seen(case_id, await self._risk.get(f"/v1/cases/{case_id}"))

    async def _decide_as_seen(self, case_id: str, case: dict[str, Any]) -> bool:
        base = f"/v1/cases/{case_id}"
        if Decimal(str(case["score"] or 1)) < Decimal("0.6"):
            await self._risk.post(f"{base}/clear", {"reason": "Too little to act on."})
            return True
        trades = await self._copied_with_profit(case)
        if trades and case["hold"]["is_on"] and not any(each["held_payout_id"] for each in case["accounts"]):
            return False
        why = case["sentence"][:900]
        if not trades:
            rule = _RULES.get(case["family"], _CONDUCT)
            await self._risk.post(f"{base}/actions", {"action": "warn", "rule": rule, "reason": why}, key=case["seen"])
            await self._risk.post(f"{base}/warn", {"reason": why})
            return True
        body = {"action": "deduct", "rule": _NO_COPYING, "trades": trades, "reason": why}
        made = await self._risk.post(f"{base}/actions", body, key=case["seen"])
        await self._admin.post(f"{base}/deduct", {"reason": why, "seen": made["seen"]})
        return True

    async def _copied_with_profit(self, case: dict[str, Any]) -> list[dict[str, str]]:
        """Returns the trades of a case of copying whose profit is deducted."""
        if case["family"] != "copying":
            return []
        found = (await self._risk.get(f"/v1/cases/{case['id']}/trades"))["items"]
        won = [each for each in found if each["profit_minor"] > 0 and not each["why_not"]]
        held = {each["held_payout_id"] for each in case["accounts"]} - {None}
        asked = [int((await self._finance[0].get(f"/v1/payouts/{each}"))["gross_minor"]) for each in sorted(held)]
        return [
            {"account": each["account_id"], "position": each["position_id"]}
            for each in up_to(won, sum(asked) // 2 if asked else None)[:MOST_NAMED]
        ]

    async def _handle_payout(self, payout_id: str) -> bool:
        """Returns whether something was decided."""
        payout = await self._finance[0].get(f"/v1/payouts/{payout_id}")
        if payout["state"] == "awaiting_approval":
            return await self._decide_payout(payout)
        return payout["state"] == "returned" and await self._decide_return(payout)

    async def _decide_return(self, payout: dict[str, Any]) -> bool:
        """Sends money that came back again over another rail, once, if the trader has an account there. Else puts it
        back on the account. What came back twice, or belongs to a trader who does not answer, is kept as a claim."""
        found = await self._finance[0].get(f"/v1/traders/{payout['trader_id']}/beneficiaries")
        other = next((each for each in found if each["rail"] != payout["rail"] and each["state"] != "refused"), None)
        base = f"/v1/payouts/{payout['id']}"
        if payout["id"] in self._sent_again:
            await self._finance[0].post(f"{base}/keep", {"reason": "It came back twice; the trader is asked."})
        elif payout["trader_id"] in self.silent:
            await self._finance[0].post(f"{base}/keep", {"reason": "The trader does not answer."})
        elif other is None:
            await self._finance[0].post(f"{base}/release", {"reason": "The trader has no other account."})
        elif other["state"] != "confirmed":
            return False
        else:
            to = next((each for each in payout["send_to"] if each["rail"] == other["rail"]), None)
            if to is None:  # it was confirmed after the payout was read
                return False
            self._sent_again.add(payout["id"])
            body = {"reason": "The trader gave another account.", "rail": to["rail"], "beneficiary": to["beneficiary"]}
            await self._finance[0].post(f"{base}/send-again", body)
        return True

    async def _decide_payout(self, payout: dict[str, Any]) -> bool:
        """Rejects if one trade made nearly all of the profit; else as many people approve as the policy requires."""
        payout_id = payout["id"]
        deals = await self._finance[0].items(f"/v1/accounts/{payout['account_id']}/deals")
        gains = sorted((int(deal["profit_minor"]) for deal in deals if deal["entry"] == "out"), reverse=True)
        profit = sum(gains)
        if gains and len(gains) < 4 and 10 * gains[0] >= 9 * profit:
            await self._finance[0].post(
                f"/v1/payouts/{payout_id}/reject", {"reason": "A single bet made nearly all of the profit."}
            )
            return True
        for person in self._finance[: payout["approvers_needed"]]:
            try:
                seen = (await person.get(f"/v1/payouts/{payout_id}"))["seen"]
                await person.post(f"/v1/payouts/{payout_id}/approve", {"reason": "Checks are green.", "seen": seen})
            except ApiRefused as refusal:
                if refusal.problem not in _OVERTAKEN:
                    raise
                return True
        return True


def up_to(won: Sequence[Mapping[str, Any]], most_minor: int | None) -> list[Mapping[str, Any]]:
    """Returns trades whose profits together are at most `most_minor` (None: all), the smallest first; one in any
    case."""
    if most_minor is None:
        return list(won)
    chosen, total = list[Mapping[str, Any]](), 0
    for each in sorted(won, key=lambda trade: (int(trade["profit_minor"]), str(trade["position_id"]))):
        total += int(each["profit_minor"])
        if chosen and total > most_minor:
            break
        chosen.append(each)
    return chosen
