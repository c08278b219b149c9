"""Simulated traders and operators. They use the firm only through its HTTP API, as people do."""

import asyncio
import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import httpx

from cli.demo.personas import Persona
from contracts.ids import case_workflow, dispute_workflow, payout_workflow
from domain.errors import ApiRefused, BadInput, Conflict, NotFound, Unavailable

_RETRIES: Final = 6


def _refusal(answer: httpx.Response) -> ApiRefused:
    try:
        return ApiRefused(answer.json())
    except ValueError:  # an internal error is answered in plain text
        return ApiRefused({"detail": f"{answer.request.url.path} answered {answer.status_code}."})


class ApiClient:
    """The API client of one person. The key of each POST is derived from its content, so a repeat has no effect."""

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
        """Returns every item of a paged list."""
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
        """Sends a request, and repeats it while the API is restarting (its key makes that safe). Raises ApiRefused."""
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
    """Moves the market's clock, and acts as the outside world: cardholders who pay or charge back."""

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
        """Advances market time to at most `until`; returns the time reached.

        It pauses when an account is locked or the payment provider has news, so that the consequences happen at the
        same market time in every run.
        """
        body = {"until": until.isoformat(), "pause": True}
        return datetime.fromisoformat((await self._call("POST", "/market/advance", json=body))["market_time"])

    async def go_live(self) -> None:
        """Switches from recorded to live prices. Safe to repeat."""
        if (await self.market())["mode"] != "live":
            await self._call("POST", "/market/live")

    async def bind_trader(self, reference: str, persona: Persona, leader: str | None) -> None:
        body = {"reference": reference, "temper": persona.temper, "seed": persona.seed, "leader": leader}
        await self._call("POST", "/traders", json=body)

    async def account(self, login: int) -> dict[str, Any]:
        """Returns the platform's own view of an account."""
        found: dict[str, Any] = await self._call("GET", f"/venue/accounts/{login}")
        return found

    async def order(self, login: int, body: dict[str, Any]) -> None:
        await self._call("POST", f"/venue/accounts/{login}/orders", json=body)

    async def set_faults(self, **faults: bool | float) -> None:
        """Sets the faults of the payment provider; without arguments, clears them."""
        await self._call("PUT", "/provider/faults", json=faults)

    async def provider_entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._call("GET", "/provider/entries")
        return found

    async def charge_back(self, checkout_id: str) -> None:
        await self._call("POST", f"/provider/checkouts/{checkout_id}/dispute")

    async def pay(self, checkout_url: str) -> None:
        """Submits the hosted checkout page as the buyer does."""
        answer = await self._http.post(checkout_url, data={"outcome": "paid"}, follow_redirects=False)
        if answer.status_code >= 400:
            raise BadInput(f"The checkout page answered {answer.status_code}.")


class Trader:
    """A simulated trader: a persona with a login at the firm."""

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
        """Orders the persona's challenge; returns the address of the checkout page."""
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
    """Simulated staff, who work on the queue with their own logins and decide by simple rules.

    `doubtful`: traders whose documents are rejected. `skipped_kinds`: kinds of work that are left for people.
    """

    def __init__(self, finance: tuple[ApiClient, ApiClient], risk: ApiClient) -> None:
        self._finance = finance
        self._risk = risk
        self.doubtful: set[str] = set()
        self.skipped_kinds: set[str] = set()

    async def work(self) -> list[str] | None:
        """Decide what can be decided now. Returns the workflow ids that were called (a decision on an identity calls
        none, and its news go on their way); None when nothing was decided."""
        called, decided = list[str](), False
        queue = [item for item in await self._risk.items("/v1/queue") if item["kind"] not in self.skipped_kinds]
        payouts_wait = any(item["kind"] == "payout" for item in queue)
        for item in queue:
            kind = item["kind"]
            if kind == "identity":
                verified = item["subject_id"] not in self.doubtful
                reason = "Documents match." if verified else "The document has expired."
                await self._risk.post(
                    f"/v1/traders/{item['subject_id']}/identity", {"verified": verified, "reason": reason}
                )
                decided = True
            elif kind == "dispute":
                await self._decide_dispute(item["subject_id"])
                called.append(dispute_workflow(item["subject_id"]))
            elif kind == "case" and payouts_wait:
                await self._decide_case(item["subject_id"])
                called.append(case_workflow(item["subject_id"]))
        for item in queue:
            if item["kind"] == "payout" and await self._decide_payout(item["subject_id"]):
                called.append(payout_workflow(item["subject_id"]))
        return called if called or decided else None

    async def _decide_dispute(self, dispute_id: str) -> None:
        """Reinstates if the spread was very wide at the deciding tick or the floor narrowly missed; else upholds."""
        evidence = (await self._risk.get(f"/v1/disputes/{dispute_id}"))["evidence"]
        wide = Decimal(str(evidence["spread_ratio"] or 0)) >= 3
        narrow = int(evidence["overshoot_minor"]) <= int(evidence["initial_minor"]) // 2000
        if wide or narrow:
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
        """Rejects if one trade made nearly all of the profit; else as many people approve as the policy requires."""
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
