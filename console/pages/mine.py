"""A trader's own start page, and what a trader may do: ask for a payout, dispute a breach."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, Visit, redirect
from console.present.room import room_rows
from console.queries import accounts, rulebooks
from console.views.frame import Crumb
from firm import disputes, people
from firm.payouts import refusals as payout_refusals
from firm.payouts import requests as payouts
from firm.payouts.preview import preview
from front.fields import iban, positive_money
from store.read import accounts as read_accounts
from store.read import breaches, room, tickets, warnings
from store.read import payouts as read_payouts
from store.read import people as read_people
from store.read.pages import Window


class Made(BaseModel):
    """The text that was sent, for the idempotency key; the id of what was created."""

    text: str = ""
    id: str = ""


async def trader_home(visit: Visit) -> HTMLResponse:
    """Own accounts with their rooms, own payouts, breaches and tickets."""
    sold = await accounts.shelf(visit.session)
    trader_id = visit.viewer.trader_id or ""
    window = Window(limit=20)
    return await visit.render(
        "mine.html",
        [Crumb("Overview")],
        trader=await read_people.one(visit.session, visit.scope, trader_id),
        limits=room_rows(await room.list_rooms(visit.session, visit.scope, trader_id=trader_id)),
        warned=(await warnings.page(visit.session, visit.scope, Window(limit=10), trader_id=trader_id)).items,
        rulebooks=await rulebooks.of_trader(visit.session, trader_id),
        accounts=await accounts.of_trader(visit.session, visit.scope, trader_id, sold),
        payouts=(await read_payouts.page(visit.session, visit.scope, window)).items,
        breaches=(await breaches.page(visit.session, visit.scope, window)).items,
        tickets=(await tickets.page(visit.session, visit.scope, window)).items,
    )


class TraderActions:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/accounts/{ref}/payout", self.preview_payout, methods=["GET"], response_model=None)
        router.add_api_route("/accounts/{ref}/payout", self.request_payout, methods=["POST"], response_model=None)
        router.add_api_route("/beneficiary", self.beneficiary, methods=["POST"], response_model=None)
        router.add_api_route("/breaches/{id}/dispute", self.dispute, methods=["POST"], response_model=None)

    async def preview_payout(self, request: Request) -> HTMLResponse:
        """The room that a payout would leave, before it is requested."""
        text, cycle = request.query_params.get("amount", "").replace(",", ""), request.query_params.get("cycle") or None
        async with self._desk.visit(request, frozenset({"trader"})) as visit:
            account_id = await accounts.id_of(visit.session, visit.scope, request.path_params["ref"])
            account = await read_accounts.one(visit.session, visit.scope, account_id)
            gross = positive_money(text, account.currency)
            calendars = self._desk.deps.calendars
            ahead = await preview(visit.session, account_id, gross, cycle=cycle, calendars=calendars)
            crumbs = [Crumb("Overview", "/"), Crumb(account.number, f"/accounts/{account.number}"), Crumb("Payout")]
            return await visit.render("payout_preview.html", crumbs, account=account, ahead=ahead, amount=text)

    async def request_payout(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "payouts.request")
        text = posted.form.needed("amount", longest=40).replace(",", "")
        cycle = posted.form.text("cycle") or None

        async def work(session: AsyncSession) -> Made:
            account_id = await accounts.id_of(session, posted.scope, request.path_params["ref"])
            account = await read_accounts.one(session, posted.scope, account_id)
            gross = positive_money(text, account.currency)
            rail = self._desk.deps.payments.rail
            row = await payouts.request_payout(
                session,
                account_id=account_id,
                actor=posted.actor,
                gross=gross,
                rail=rail,
                cycle=cycle,
                calendars=self._desk.deps.calendars,
            )
            return Made(id=row.id)

        async with payout_refusals.kept(self._desk.deps.db):
            made = await posted.once.write(Made, Made(text=f"{text} {cycle or ''}".strip()), work)
        return redirect(href("payout", made.id), "ok", "Your payout request was recorded. The checks take a moment.")

    async def beneficiary(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "traders.set_beneficiary")
        account = iban(posted.form.needed("iban", longest=42))

        async def work(session: AsyncSession) -> Made:
            owner = posted.actor.trader_id or ""
            await people.set_beneficiary(session, trader_id=owner, beneficiary=account, actor=posted.actor)
            return Made(id=owner)

        await posted.once.write(Made, Made(text=account), work)
        return redirect("/", "ok", "New payout requests will use this account.")

    async def dispute(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "disputes.open")
        statement = posted.form.needed("statement", longest=4000)

        async def work(session: AsyncSession) -> Made:
            row = await disputes.open_dispute(
                session, breach_id=request.path_params["id"], actor=posted.actor, statement=statement
            )
            return Made(id=row.id)

        made = await posted.once.write(Made, Made(text=statement), work)
        return redirect(href("dispute", made.id), "ok", "Your dispute was recorded. A person will decide it.")
