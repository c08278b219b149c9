"""A page of the console, read as a browser would."""

from html.parser import HTMLParser
from typing import Final

from sqlalchemy import select

from domain.approvals import Actor, Role
from store.models import User
from tests.console_world import ConsoleWorld

# what htmx sends when a person goes back
RESTORES: Final = {"HX-History-Restore-Request": "true", "HX-Request-Type": "full"}


class Page(HTMLParser):
    """Collects what the policy forbids, the forms, and every address the page names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forbidden: list[str] = []
        self.actions: list[str] = []
        self.addresses: list[str] = []
        self._script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._script = tag == "script"
        if tag == "style" or "style" in given or any(name.startswith("on") for name in given):
            self.forbidden.append(f"<{tag} {given}>")
        if tag == "script" and not given.get("src"):
            self.forbidden.append("<script> without src")
        if tag == "form" and (given.get("method") or "").lower() == "post":
            self.actions.append(given.get("action") or "")
        self.addresses += [value for name in ("src", "href", "action", "hx-get") if (value := given.get(name))]

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.forbidden.append(data)
        self._script = False


def staff_pages(world: ConsoleWorld) -> list[str]:
    firm = world.firm
    return [
        "/", "/accounts", "/accounts?sort=closest&state=funded", f"/accounts/{firm.active}",
        f"/accounts/{firm.breached}?range=1d&show=rules", f"/proofs/{firm.proof}", "/queue",
        "/queue?kind=payout", f"/queue/payout/{firm.payout}", f"/queue/identity/{firm.waiting_trader}?kind=identity",
        "/payouts", "/payouts?state=awaiting_approval", f"/payouts/{firm.payout}", f"/payouts/{firm.big_payout}",
        f"/disputes/{firm.dispute}", f"/cases/{firm.case}", f"/identity/{firm.waiting_trader}", "/traders",
        f"/traders/{firm.waiting_trader}", "/tickets", f"/tickets/{firm.ticket}", "/mails", "/risk", "/exposure",
        "/challenges", "/breaches", "/deals", "/ledger", "/cases",
        "/reports", "/reports/pass-rates", "/reports/revenue", "/reports/decision-times", "/reports/liability",
        "/reports/liability/accounts", "/reports/liability/accounts?reason=eligible",
        "/chargebacks", "/chargebacks?state=won", "/audit", "/messages", "/search?q=nothing",
        "/notifications", "/notifications?show=unread", "/notifications/choices",
        "/notifications/previews/account.warning",
    ]  # fmt: skip


async def actor(world: ConsoleWorld, role: Role) -> Actor:
    async with world.db.transaction() as session:
        user = (await session.scalars(select(User).where(User.role == role).limit(1))).one()
        return Actor(user_id=user.id, person_id=user.person_id, role=role)
