"""Simulated traders. They use the firm only through its HTTP API, as people do."""

import asyncio
import hashlib
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

import httpx

from adapters.own_http import trust
from cli.demo.mailbox import Mailbox
from cli.demo.personas import Persona
from domain.errors import ApiRefused, Unavailable

_RETRIES: Final = 6


def refusal(answer: httpx.Response) -> ApiRefused:
    try:
        return ApiRefused(answer.json())
    except ValueError:  # an internal error is answered in plain text
        return ApiRefused({"detail": f"{answer.request.url.path} answered {answer.status_code}."})


class ApiClient:
    """The API client of one person. The key of each POST is derived from its content, so a repeat has no effect."""

    def __init__(self, api_url: str) -> None:
        self._http = httpx.AsyncClient(verify=trust(env=True), base_url=api_url, timeout=60)
        self.user: dict[str, Any] = {}
        self._password = ""

    async def aclose(self) -> None:
        await self._http.aclose()

    def use_token(self, token: str) -> None:
        self._http.headers["Authorization"] = f"Bearer {token}"

    async def sign_in(self, login: str, password: str) -> None:
        self.user = await self.post("/v1/sessions", {"login": login, "password": password})
        self.use_token(self.user["token"])
        self._password = password

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

    async def _proves(self, answer: httpx.Response) -> bool:
        """Proves by password what the API wants proved first. Returns whether the request can be sent again."""
        asked = _asked_for_proof(answer)
        if "password" not in asked.get("methods", ()):
            return False
        proof = {"action": asked["action"], "digest": asked["digest"], "method": "password", "text": self._password}
        made = await self._http.post("/v1/step-ups", json=proof)
        return made.status_code == 201

    async def _send(self, method: str, path: str, **arguments: Any) -> Any:
        """Sends a request, and repeats it while the API restarts or asks to wait (its key makes that safe). Raises
        ApiRefused."""
        for attempt in range(_RETRIES):
            try:
                answer = await self._http.request(method, path, **arguments)
            except httpx.TransportError as error:
                failure: Exception = error
            else:
                if answer.status_code < 400:
                    return answer.json() if answer.content else {}
                failure = refusal(answer)
                if await self._proves(answer):
                    continue
                if answer.status_code not in (429, 503):
                    raise failure
            await asyncio.sleep(0.3 * 2**attempt)
        raise Unavailable(f"{method} {path} did not answer: {failure}") from failure


def _asked_for_proof(answer: httpx.Response) -> dict[str, Any]:
    problem = answer.json() if answer.status_code == 403 else {}
    asked: dict[str, Any] = problem.get("step_up", {})
    return asked


class Trader:
    """A simulated trader: a persona with a login at the firm, and a mailbox."""

    def __init__(self, persona: Persona, api: ApiClient, mailbox: Mailbox) -> None:
        self.persona = persona
        self.api = api
        self._mailbox = mailbox
        self.trader_id = ""
        self.challenge_id = ""
        self.checkout_id = ""

    async def sign_up(self, password: str) -> None:
        body = {"name": self.persona.name, "email": self.persona.email, "country": self.persona.country}
        answer = await self.api.post("/v1/traders", {**body, "password": password})
        self.trader_id = answer["trader_id"]
        self.api.use_token(answer["token"])
        await self.confirm_email()
        if not self.persona.connects:
            await self.give_iban()

    async def confirm_email(self) -> None:
        """Opens the link in the mail that the firm has sent."""
        token = await self._mailbox.token(self.persona.email, "confirm")
        await self.api.put("/v1/email-confirmation", {"token": token})

    async def give_iban(self) -> None:
        """Adds the trader's bank account."""
        await self.api.put(f"/v1/traders/{self.trader_id}/beneficiary", {"iban": self.persona.iban})

    async def accounts(self) -> int:
        """Returns how many accounts for payouts the trader has given."""
        return len(await self.api.get(f"/v1/traders/{self.trader_id}/beneficiaries"))

    async def confirm_account(self) -> None:
        """Opens the link in the newest mail about another account. One that was used or replaced is refused."""
        token = await self._mailbox.token(self.persona.email, "bank-account")
        with suppress(ApiRefused):
            await self.api.put("/v1/beneficiary-confirmation", {"token": token})

    async def open_payee(self) -> str:
        """Opens an account at the acquirer for payouts; returns the address of the page to complete it."""
        answer = await self.api.post(f"/v1/traders/{self.trader_id}/payees", {"rail": "stripe"})
        return str(answer["url"])

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

    async def appeal(self, action_id: str) -> None:
        statement = "I trade from the same public signals as others. Please look at my trades again."
        await self.api.post(f"/v1/actions/{action_id}/appeals", {"statement": statement})

    async def request_payout(self, account_id: str, amount: Decimal, *, attempt: int) -> None:
        await self.api.post(f"/v1/accounts/{account_id}/payouts", {"amount": str(amount)}, key=str(attempt))
