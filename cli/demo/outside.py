"""The world outside the firm: the market's clock, cardholders and their banks, and the desks of the providers."""

from datetime import datetime
from typing import Any, Final, Literal

import httpx

from adapters.own_http import trust
from cli.demo.actors import refusal
from cli.demo.personas import Persona
from cli.stack.venues import Venue, account_names
from domain.errors import BadInput

_PHASES: Final = 4  # more than any product of the demo has
Method = Literal["card", "bank_debit", "declined"]


class VenueDesk:
    """The desk of a venue that follows the sandbox."""

    def __init__(self, venue: Venue) -> None:
        headers = {"Authorization": f"Bearer {venue.desk_token}"}
        self._http = httpx.AsyncClient(verify=trust(env=True), base_url=venue.url, timeout=60, headers=headers)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def bind_trader(self, reference: str, persona: Persona, leader: str | None) -> None:
        body = {
            "reference": reference,
            "temper": persona.temper,
            "seed": persona.seed,
            "leader": leader,
            "accounts": account_names(reference, _PHASES),
        }
        answer = await self._http.post("/desk/traders", json=body)
        if answer.status_code >= 400:
            raise refusal(answer)


class SandboxClient:
    """Talks to the sandbox as everybody does who is not the firm."""

    def __init__(self, url: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            verify=trust(env=True), base_url=url, timeout=600, headers={"Authorization": f"Bearer {token}"}
        )
        self._stripe_key = {"Authorization": f"Bearer sk_test_{token}"}

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(self, method: str, path: str, **arguments: Any) -> Any:
        answer = await self._http.request(method, path, **arguments)
        if answer.status_code >= 400:
            raise refusal(answer)
        return answer.json() if answer.content else {}

    # the market

    async def market(self) -> dict[str, Any]:
        found: dict[str, Any] = await self._call("GET", "/market")
        return found

    async def advance(self, until: datetime) -> datetime:
        """Advances market time to at most `until`; returns the time reached.

        It pauses when an account is locked or a provider has news, so that the consequences happen at the same market
        time in every run.
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

    # buyers and payees

    async def pay(self, checkout_url: str, method: Method = "card") -> None:
        """Submits the hosted checkout page as the buyer does."""
        await self._submit(checkout_url, method)

    async def complete_account(self, onboarding_url: str) -> None:
        """Submits the hosted page on which a payee gives details and a bank account."""
        await self._submit(onboarding_url, "complete")

    async def _submit(self, url: str, outcome: str) -> None:
        answer = await self._http.post(url, data={"outcome": outcome}, follow_redirects=False)
        if answer.status_code >= 400:
            raise BadInput(f"The page {url} answered {answer.status_code}.")

    # the acquirer's desk, and the buyers' banks

    async def stripe_faults(self, **faults: bool | float) -> None:
        """Sets the faults of the acquirer; without arguments, clears them."""
        await self._call("PUT", "/stripe/desk/faults", json=faults)

    async def stripe_faults_left(self) -> dict[str, Any]:
        found: dict[str, Any] = await self._call("GET", "/stripe/desk/faults")
        return found

    async def fault_uses(self) -> dict[str, int]:
        """Returns how often each fault of the acquirer and of the bank really happened."""
        return {**await self._call("GET", "/stripe/desk/faults/uses"), **await self._call("GET", "/bank/faults/uses")}

    async def charge_back(self, checkout_id: str, *, asks_first: bool) -> str:
        """The buyer's bank disputes a payment, or asks about it first. Returns the id of the dispute."""
        made = await self._call("POST", "/stripe/desk/disputes", json={"payment": checkout_id, "inquiry": asks_first})
        return str(made["id"])

    async def decide_against_firm(self, dispute_id: str) -> None:
        await self._call("POST", f"/stripe/desk/disputes/{dispute_id}/decide", json={"outcome": "lost"})

    async def refund_at_desk(self, checkout_id: str) -> None:
        """Somebody of the firm refunds a whole payment on the acquirer's own site."""
        await self._call("POST", "/stripe/desk/refunds", json={"payment": checkout_id})

    async def settle(self) -> int:
        """Pays half of what is available at the acquirer out to the firm's bank, as its owner does on the acquirer's
        site. Returns the number of payouts made."""
        balance = await self._call("GET", "/stripe/v1/balance", headers=self._stripe_key)
        halves = {part["currency"]: part["amount"] // 2 for part in balance["available"]}
        due = {currency: amount for currency, amount in halves.items() if amount > 0}
        for currency, amount in due.items():
            body = {"currency": currency, "amount": amount}
            await self._call("POST", "/stripe/v1/payouts", headers=self._stripe_key, data=body)
        return len(due)

    async def send_back_newest(self, account: str) -> None:
        """The payee's bank sends the newest payout of an account at the acquirer back."""
        headers = {**self._stripe_key, "Stripe-Account": account}
        found = await self._call("GET", "/stripe/v1/payouts", headers=headers, params={"limit": 1})
        await self._call("POST", f"/stripe/desk/payouts/{found['data'][0]['id']}/fail")

    # the bank

    async def bank_faults(self, **faults: int) -> None:
        """Sets the faults of the bank; without arguments, clears them."""
        await self._call("PUT", "/bank/faults", json=faults)

    async def bank_faults_left(self) -> dict[str, Any]:
        found: dict[str, Any] = await self._call("GET", "/bank/faults")
        return found

    async def send_back(self, transfer_key: str) -> None:
        """The payee's bank sends a bank transfer back that has arrived."""
        await self._call("POST", "/bank/returns", json={"key": transfer_key})

    # the simple provider of earlier versions

    async def set_faults(self, **faults: bool | float) -> None:
        """Sets the faults of the simple provider; without arguments, clears them."""
        await self._call("PUT", "/provider/faults", json=faults)

    async def provider_entries(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._call("GET", "/provider/entries")
        return found
