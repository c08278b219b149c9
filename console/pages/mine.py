"""A trader's own start page, and what a trader may do: ask for a payout, dispute a breach."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, Visit, redirect
from console.queries import accounts, rulebooks
from console.views.account import AccountRow
from console.views.frame import Crumb
from domain.approvals import Actor
from domain.money import known_currency
from firm import appeals, beneficiaries, confirmations, disputes
from firm.payouts import refusals as payout_refusals
from firm.payouts import requests as payouts
from firm.payouts.preview import preview
from front.beneficiaries import give
from front.fields import iban, positive_money, ungrouped
from front.identity import start_check
from store.links import Account
from store.models import Dispute
from store.read import accounts as read_accounts
from store.read import beneficiaries as read_beneficiaries
from store.read import breaches, tickets, warnings
from store.read import disputes as read_disputes
from store.read import payouts as read_payouts
from store.read import people as read_people
from store.read.listing import Asked
from store.read.pages import Window
from store.read.payouts import PayoutRow
from store.read.people import TraderView

_TRADER: Final = frozenset({"trader"})
_DETAILS: Final = "/my/details"
_Opened = Callable[[AsyncSession, Actor, str], Awaitable[Dispute]]


class Made(BaseModel):
    """The text that was sent, for the idempotency key; the id of what was created."""

    text: str = ""
    id: str = ""


async def trader_home(visit: Visit) -> HTMLResponse:
    """Own accounts with their rooms, what can be done next, own payouts and breaches, and the way to everything
    else."""
    sold = await accounts.shelf(visit.session)
    trader_id = visit.viewer.trader_id or ""
    window = Window(limit=8)
    trader = await read_people.one(visit.session, visit.scope, trader_id)
    own = await accounts.of_trader(visit.session, visit.scope, trader_id, sold)
    waiting = Asked({"state": "waiting_for_trader"})
    paid = await read_payouts.page(visit.session, visit.scope, window)
    return await visit.render(
        "mine.html",
        [Crumb("Overview")],
        trader=trader,
        tasks=_tasks(trader, own, (await tickets.page(visit.session, visit.scope, window, waiting)).items, paid.items),
        warned=(await warnings.page(visit.session, visit.scope, window, trader_id=trader_id)).items,
        rulebooks=await rulebooks.of_trader(visit.session, trader_id),
        accounts=own,
        payouts=paid.items,
        breaches=(await breaches.page(visit.session, visit.scope, window)).items,
    )


def _tasks(
    trader: TraderView, own: Sequence[AccountRow], asked: Sequence[tickets.TicketRow], paid: Sequence[PayoutRow]
) -> list[tuple[str, str, str]]:
    """What waits for the trader: (words, the page, the name of the link)."""
    found = [(f"Support waits for your answer: {row.subject}", f"/tickets/{row.id}", "Answer") for row in asked]
    if own and trader.identity == "unverified":
        found.append(("Payouts wait until your identity is verified.", "/my/details", "Verify your identity"))
    if own and trader.beneficiary is None:
        found.append(("Payouts need a bank account.", "/my/details", "Add a bank account"))
    under_way = {row.account_number for row in paid if row.closed_at is None}
    found += [
        (f"{row.number} is funded and has no open payout.", f"/accounts/{row.number}", "Simulate a payout")
        for row in own
        if row.challenge_state == "funded" and row.status == "active" and row.number not in under_way
    ]
    return found


class TraderActions:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/accounts/{ref}/payout", self.preview_payout, methods=["GET"], response_model=None)
        router.add_api_route("/accounts/{ref}/payout", self.request_payout, methods=["POST"], response_model=None)
        router.add_api_route("/my/details", self.details, methods=["GET"], response_model=None)
        router.add_api_route("/my/messages", self.messages, methods=["GET"], response_model=None)
        router.add_api_route("/identity-check", self.check_identity, methods=["POST"], response_model=None)
        router.add_api_route("/beneficiary", self.beneficiary, methods=["POST"], response_model=None)
        router.add_api_route("/breaches/{id}/dispute", self.dispute, methods=["POST"], response_model=None)
        router.add_api_route("/actions/{id}/appeal", self.appeal, methods=["POST"], response_model=None)
        router.add_api_route("/disputes/{id}/appeal", self.second, methods=["POST"], response_model=None)

    async def preview_payout(self, request: Request) -> HTMLResponse:
        """The room that a payout would leave, before it is requested."""
        asked = request.query_params
        text, cycle, paid_to = ungrouped(asked.get("amount", "").strip()), asked.get("cycle"), asked.get("beneficiary")
        async with self._desk.visit(request, _TRADER) as visit:
            account = await read_accounts.one(visit.session, visit.scope, request.path_params["ref"])
            gross = positive_money(text, account.currency)
            calendars = self._desk.deps.calendars
            ahead = await preview(
                visit.session,
                account.id,
                gross,
                cycle=cycle or None,
                beneficiary_id=paid_to or None,
                payable=self._desk.deps.payments.rails.check,
                calendars=calendars,
            )
            trader_id = visit.viewer.trader_id or ""
            own = await read_beneficiaries.of_trader(visit.session, visit.scope, trader_id)
            crumbs = [Crumb("Overview", "/"), Crumb(account.number, f"/accounts/{account.number}"), Crumb("Payout")]
            return await visit.render(
                "payout_preview.html",
                crumbs,
                account=account,
                ahead=ahead,
                amount=text,
                beneficiaries=[each for each in own if each.state != beneficiaries.REFUSED],
                paid_to=paid_to,
            )

    async def request_payout(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "payouts.request")
        text = ungrouped(posted.form.needed("amount", longest=40))
        cycle, paid_to = posted.form.text("cycle") or None, posted.form.text("beneficiary") or None

        async def work(session: AsyncSession) -> Made:
            account = await read_accounts.one(session, posted.scope, request.path_params["ref"])
            await confirmations.check_confirmed(session, account.trader_id, self._desk.deps.sign_ins)
            gross = positive_money(text, account.currency)
            rail = self._desk.deps.payments.rails.default
            row = await payouts.request_payout(
                session,
                account_id=account.id,
                actor=posted.actor,
                gross=gross,
                rail=rail,
                payable=self._desk.deps.payments.rails.check,
                cycle=cycle,
                beneficiary_id=paid_to,
                calendars=self._desk.deps.calendars,
            )
            return Made(id=row.id)

        async with payout_refusals.kept(self._desk.deps.db):
            made = await posted.once.write(Made, Made(text=f"{text} {cycle or ''} {paid_to or ''}".strip()), work)
        return redirect(href("payout", made.id), "ok", "Your payout request was recorded. The checks take a moment.")

    async def details(self, request: Request) -> HTMLResponse:
        """Identity and bank accounts: their state, and what to do."""
        async with self._desk.visit(request, _TRADER) as visit:
            trader_id = visit.viewer.trader_id or ""
            return await visit.render(
                "my_details.html",
                [Crumb("Overview", "/"), Crumb("Identity and bank account")],
                trader=await read_people.one(visit.session, visit.scope, trader_id),
                identity_check=await read_people.identity_check(visit.session, visit.scope, trader_id),
                beneficiaries=await read_beneficiaries.of_trader(visit.session, visit.scope, trader_id),
            )

    async def messages(self, request: Request) -> HTMLResponse:
        """Questions, messages of the firm, disputes and appeals."""
        async with self._desk.visit(request, _TRADER) as visit:
            window = Window(limit=50)
            return await visit.render(
                "my_messages.html",
                [Crumb("Overview", "/"), Crumb("Messages")],
                tickets=(await tickets.page(visit.session, visit.scope, window)).items,
                disputes=(await read_disputes.page(visit.session, visit.scope, window)).items,
            )

    async def check_identity(self, request: Request) -> Response:
        """The page then has the link to the checker: a form may not lead to another site."""
        posted = await self._desk.posted(request, "traders.check_identity")
        started = await start_check(self._desk.deps, posted.actor.trader_id or "")
        if not started.url:
            return redirect(_DETAILS, "ok", "Our staff will check your identity and contact you.")
        return redirect(_DETAILS, "ok", "Your identity check is ready. Follow the link under Identity.")

    async def beneficiary(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "traders.set_beneficiary")
        account = iban(posted.form.needed("iban", longest=42))
        currency = posted.form.text("currency").strip().upper() or None
        if currency is not None:
            known_currency(currency)

        async def work(session: AsyncSession) -> Made:
            owner = posted.actor.trader_id or ""
            trader = await read_people.one(session, posted.scope, owner)
            rail = self._desk.deps.payments.rails.for_currency(account, trader.name, currency)
            row = await give(session, posted.once, owner, Account(account, rail, currency))
            return Made(id=row.id if row else "", text=row.state if row else "mailed")

        made = await posted.once.write(Made, Made(text=f"{account} {currency or ''}".strip()), work)
        if not made.id:
            return redirect(
                _DETAILS,
                "warn",
                "Nothing has changed yet. To confirm this account, open the link in the e-mail that we sent.",
            )
        if made.text == beneficiaries.WAITING:
            return redirect(
                _DETAILS, "warn", "Support will contact you to confirm this account. Payouts to it wait until then."
            )
        return redirect(_DETAILS, "ok", "New payout requests will use this account.")

    async def dispute(self, request: Request) -> Response:
        async def opened(session: AsyncSession, actor: Actor, statement: str) -> Dispute:
            return await disputes.open_dispute(
                session, breach_id=request.path_params["id"], actor=actor, statement=statement
            )

        return await self._disputed(request, opened, "Your dispute was recorded. A person will decide it.")

    async def appeal(self, request: Request) -> Response:
        async def opened(session: AsyncSession, actor: Actor, statement: str) -> Dispute:
            return await appeals.open_appeal(
                session, action_id=request.path_params["id"], actor=actor, statement=statement
            )

        text = "Your appeal was recorded. Somebody who was not involved in the decision will decide it."
        return await self._disputed(request, opened, text)

    async def second(self, request: Request) -> Response:
        async def opened(session: AsyncSession, actor: Actor, statement: str) -> Dispute:
            return await disputes.open_second(
                session, dispute_id=request.path_params["id"], actor=actor, statement=statement
            )

        text = "Your appeal was recorded. People who were not involved in the first decision will decide it."
        return await self._disputed(request, opened, text)

    async def _disputed(self, request: Request, opened: _Opened, text: str) -> Response:
        posted = await self._desk.posted(request, "disputes.open")
        statement = posted.form.needed("statement", longest=4000)

        async def work(session: AsyncSession) -> Made:
            return Made(id=(await opened(session, posted.actor, statement)).id)

        made = await posted.once.write(Made, Made(text=statement), work)
        return redirect(href("dispute", made.id), "ok", text)
