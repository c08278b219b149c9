"""Traders and operators of a demo firm: they see and do what people do, over HTTP and nothing else."""

import asyncio
import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import httpx

from cli.demo.personas import Persona
from domain.errors import ApiRefused, BadInput, Conflict, NotFound, Unavailable

_RETRIES: Final = 6


def _refusal(answer: httpx.Response) -> ApiRefused:
    try:
        return ApiRefused(answer.json())
    except ValueError:  # a defect answers in plain text
        return ApiRefused({"detail": f"{answer.request.url.path} answered {answer.status_code}."})


class ApiClient:
    """One signed-in person. Every POST carries a key derived from what it means, so a repeat is harmless."""

    def __init__(self, api_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=api_url, timeout=60)
        self.user: dict[str, Any] = {}

    async def aclose(self) -> None:
        await self._http.aclose()

    def use_token(self, token: str) -> None:
        self._http.headers["Authorization"] = f"Bearer {token}"

    async def sign_in(self, login: str, password: str) -> None:
        self.user = await self.post("/v1/sessions", {"login": login, "password": password})
        self.use_token(self.user["token"])

    async def get(self, path: str, **params: str | int) -> Any:
        return await self._send("GET", path, params=params)

    async def items(self, path: str, **params: str | int) -> list[dict[str, Any]]:
        """Every item of a paged list."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = await self.get(path, limit=100, **params, **({"cursor": cursor} if cursor else {}))
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    async def post(self, path: str, body: dict[str, Any], *, key: str | None = None) -> Any:
        digest = hashlib.sha256(f"{path}\x1f{key or body}".encode()).hexdigest()[:40]
        return await self._send("POST", path, json=body, headers={"Idempotency-Key": f"demo-{digest}"})

    async def put(self, path: str, body: dict[str, Any]) -> Any:
        return await self._send("PUT", path, json=body)

    async def _send(self, method: str, path: str, **arguments: Any) -> Any:
        """Send, and again while the other side is restarting (the keys make that safe); raises ApiRefused."""
        for attempt in range(_RETRIES):
            try:
                answer = await self._http.request(method, path, **arguments)
            except httpx.TransportError as error:
                failure: Exception = error
            else:
                if answer.status_code < 400:
                    return answer.json() if answer.content else {}
                if answer.status_code != 503:
                    raise _refusal(answer)
                failure = _refusal(answer)
            await asyncio.sleep(0.3 * 2**attempt)
        raise Unavailable(f"{method} {path} did not answer: {failure}") from failure


class SandboxClient:
    """The market's clock, and what only the outside world does: a cardholder who pays or charges back."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.AsyncClient(base_url=url, timeout=600, headers={"Authorization": f"Bearer {token}"})

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = await self._http.request(method, path, **arguments)
        if answer.status_code >= 400:
            raise _refusal(answer)
        return answer.json() if answer.content else {}

    async def market(self) -> dict[str, Any]:
        found: dict[str, Any] = await self._call("GET", "/market")
        return found

    async def advance(self, until: datetime) -> datetime:
        """Let market time run, at most to `until`, and give where it stands: it pauses when an account was locked or
        the payment provider has news, so that what follows from that happens at the same market time in every run."""
        body = {"until": until.isoformat(), "pause": True}
        return datetime.fromisoformat((await self._call("POST", "/market/advance", json=body))["market_time"])

    async def go_live(self) -> None:
        """Leave the recording for live prices; repeating it changes nothing."""
        if (await self.market())["mode"] != "live":
            await self._call("POST", "/market/live")

    async def bind_trader(self, reference: str, persona: Persona, leader: str | None) -> None:
        body = {"reference": reference, "temper": persona.temper, "seed": persona.seed, "leader": leader}
        await self._call("POST", "/traders", json=body)

    async def account(self, login: int) -> dict[str, Any]:
        """The venue's own view of an account."""
        found: dict[str, Any] = await self._call("GET", f"/venue/accounts/{login}")
        return found

    async def order(self, login: int, body: dict[str, Any]) -> None:
        await self._call("POST", f"/venue/accounts/{login}/orders", json=body)

    async def set_faults(self, **faults: bool | float) -> None:
        """What goes wrong next at the payment provider; no arguments: nothing any more."""
        await self._call("PUT", "/provider/faults", json=faults)

    async def provider_entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._call("GET", "/provider/entries")
        return found

    async def charge_back(self, checkout_id: str) -> None:
        await self._call("POST", f"/provider/checkouts/{checkout_id}/dispute")

    async def pay(self, checkout_url: str) -> None:
        """Fill in the hosted checkout page as the buyer does."""
        answer = await self._http.post(checkout_url, data={"outcome": "paid"}, follow_redirects=False)
        if answer.status_code >= 400:
            raise BadInput(f"The checkout page answered {answer.status_code}.")


class Trader:
    """A persona with an account at the firm."""

    def __init__(self, persona: Persona, api: ApiClient) -> None:
        self.persona = persona
        self.api = api
        self.trader_id = ""
        self.challenge_id = ""
        self.checkout_id = ""

    async def sign_up(self, password: str) -> None:
        body = {"name": self.persona.name, "email": self.persona.email, "country": self.persona.country}
        answer = await self.api.post("/v1/traders", {**body, "password": password})
        self.trader_id = answer["trader_id"]
        self.api.use_token(answer["token"])
        await self.api.put(f"/v1/traders/{self.trader_id}/beneficiary", {"iban": self.persona.iban})

    async def buy(self) -> str:
        """Order the persona's challenge; gives the checkout page's address."""
        answer = await self.api.post("/v1/challenges", {"product": self.persona.product}, key=str(self.persona.number))
        self.challenge_id, self.checkout_id = answer["id"], answer["checkout_id"]
        return str(answer["checkout_url"])

    async def ask_refund(self) -> None:
        await self.api.post(f"/v1/challenges/{self.challenge_id}/refund", {"reason": "I will not have the time."})

    async def dispute(self, breach_id: str) -> None:
        statement = "The price at that moment does not look right to me. Please check the spread and my deals."
        await self.api.post(f"/v1/breaches/{breach_id}/disputes", {"statement": statement})

    async def request_payout(self, account_id: str, amount: Decimal, *, attempt: int) -> None:
        await self.api.post(f"/v1/accounts/{account_id}/payouts", {"amount": str(amount)}, key=str(attempt))


class Operator:
    """Scripted staff: each looks at the queue with their own login and decides by what they see.

    `doubtful` are traders whose documents will not hold; `leave` are kinds of work that nobody does.
    """

    def __init__(self, finance: tuple[ApiClient, ApiClient], risk: ApiClient) -> None:
        self._finance = finance
        self._risk = risk
        self.doubtful: set[str] = set()
        self.leave: set[str] = set()

    async def work(self) -> list[str]:
        """Decide what can be decided now; gives the workflow ids that were called."""
        called: list[str] = []
        queue = [item for item in await self._risk.items("/v1/queue") if item["kind"] not in self.leave]
        payouts_wait = any(item["kind"] == "payout" for item in queue)
        for item in queue:
            kind = item["kind"]
            if kind == "identity":
                verified = item["subject_id"] not in self.doubtful
                reason = "Documents match." if verified else "The document has expired."
                await self._risk.post(
                    f"/v1/traders/{item['subject_id']}/identity", {"verified": verified, "reason": reason}
                )
            elif kind == "dispute":
                await self._decide_dispute(item["subject_id"])
                called.append(f"dispute/{item['subject_id']}")
            elif kind == "case" and payouts_wait:
                await self._decide_case(item["subject_id"])
                called.append(f"case/{item['subject_id']}")
        for item in queue:
            if item["kind"] == "payout" and await self._decide_payout(item["subject_id"]):
                called.append(f"payout/{item['subject_id']}")
        return called

    async def _decide_dispute(self, dispute_id: str) -> None:
        """Reinstate when the spread had blown up at the deciding tick, or the floor was missed by a hair."""
        evidence = (await self._risk.get(f"/v1/disputes/{dispute_id}"))["evidence"]
        wide = Decimal(str(evidence["spread_ratio"] or 0)) >= 3
        hair = int(evidence["overshoot_minor"]) <= int(evidence["initial_minor"]) // 2000
        if wide or hair:
            reason = "The spread was several times its normal width." if wide else "The floor was missed by a hair."
            await self._risk.post(f"/v1/disputes/{dispute_id}/reinstate", {"reason": reason})
        else:
            await self._risk.post(f"/v1/disputes/{dispute_id}/uphold", {"reason": "Prices and deals agree."})

    async def _decide_case(self, case_id: str) -> None:
        score = Decimal(str((await self._risk.get(f"/v1/cases/{case_id}"))["score"]))
        if score >= Decimal("0.9"):
            await self._risk.post(f"/v1/cases/{case_id}/confirm", {"reason": "One account mirrors the other."})
        else:
            await self._risk.post(f"/v1/cases/{case_id}/clear", {"reason": "Too little to act on."})

    async def _decide_payout(self, payout_id: str) -> bool:
        """Reject when one bet made nearly all of the profit; else approve with as many people as the policy asks."""
        payout = await self._finance[0].get(f"/v1/payouts/{payout_id}")
        if payout["state"] != "awaiting_approval":
            return False
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
                await person.post(f"/v1/payouts/{payout_id}/approve", {"reason": "Checks are green."})
            except ApiRefused as refusal:
                if refusal.problem not in {Conflict.type, NotFound.type, "already-decided", "illegal-transition"}:
                    raise
                return True
        return True
