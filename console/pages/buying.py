"""The checkout page of a trader: choose, see the price, accept the terms, pay at the acquirer, come back."""

import re
from dataclasses import dataclass
from typing import Final, TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import QueryParams

from console.desk import Desk, Form, redirect
from console.htmx import wants_fragment
from console.pages.mine import Made
from console.views.frame import Crumb
from domain.errors import BadInput, PropOSError
from domain.lifecycle import CHALLENGE, payment_due
from domain.products.compare import compare
from domain.products.product import Product
from domain.products.words import describe
from firm.selling import sales
from firm.selling.sales import Sold
from front import checkout
from front.checkout import Purchase, PurchaseOrder
from front.permissions import CAN
from store import products
from store.models import Challenge
from store.read import challenges as read_challenges
from store.read import receipts
from store.read.pages import Window

_CODES: Final = re.compile(r"[\s,;]+")
_TRADER: Final = frozenset({"trader"})
_COMPARED: Final = 3
P = TypeVar("P", bound=Purchase)


@dataclass(frozen=True)
class Choice:
    """An add-on to choose, with its price."""

    id: str
    name: str
    amount_minor: int
    chosen: bool


class BuyingPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/buy", self.shelf, methods=["GET"], response_model=None)
        router.add_api_route("/compare", self.compare, methods=["GET"], response_model=None)
        router.add_api_route("/buy/{product}", self.choose, methods=["GET"], response_model=None)
        router.add_api_route("/buy/{product}", self.order, methods=["POST"], response_model=None)
        router.add_api_route("/checkout/{id}", self.state, methods=["GET"], response_model=None)
        router.add_api_route("/receipts", self.receipts, methods=["GET"], response_model=None)
        router.add_api_route("/receipts/{id}", self.receipt, methods=["GET"], response_model=None)

    async def shelf(self, request: Request) -> HTMLResponse:
        """Every product on sale."""
        async with self._desk.visit(request, _TRADER) as visit:
            sold = await products.newest_of_each(visit.session)
            firsts = {product.product: describe(product).sections[0].words[0] for product in sold}
            return await visit.render("buy.html", [Crumb("Overview", "/"), Crumb("Buy")], sold=sold, firsts=firsts)

    async def compare(self, request: Request) -> HTMLResponse:
        """Two or three products side by side; without a choice, the cheapest. Raises BadInput, NotFound."""
        chosen = list(dict.fromkeys(request.query_params.getlist("product")))
        if chosen and not 2 <= len(chosen) <= _COMPARED:
            raise BadInput(
                f"Choose two or three challenges; you chose {len(chosen)}.",
                field="product",
                remedy="Go back and tick those that you want to compare.",
            )
        async with self._desk.visit(request, _TRADER) as visit:
            sold = [await products.newest(visit.session, name) for name in chosen]
            if not chosen:
                shelf = await products.newest_of_each(visit.session)
                sold = sorted(shelf, key=lambda product: product.fee_minor)[:_COMPARED]
            crumbs = [Crumb("Overview", "/"), Crumb("Buy", "/buy"), Crumb("Compare")]
            return await visit.render("compare.html", crumbs, sold=sold, comparison=compare(sold))

    async def choose(self, request: Request) -> HTMLResponse:
        """The choices and the price of them. Changes nothing, so that a reload asks for the price again."""
        asked, slug = request.query_params, request.path_params["product"]
        async with self._desk.visit(request, _TRADER) as visit:
            product, actor = await products.newest(visit.session, slug), visit.actor
        sold, problem = None, ""
        try:
            sold = await checkout.offer(self._desk.deps, actor.trader_id or "", _purchase(slug, asked))
        except PropOSError as refused:
            if refused.status >= 500:
                raise
            problem = f"{refused.message} {refused.remedy or ''}".strip()
        values = {
            "product": product,
            "choices": _choices(product, asked.getlist("add_on")),
            "coupon": asked.get("coupon", "")[:100],
            "sold": sold,
            "problem": problem,
            "changed": [] if sold is None else _changes(sold),
        }
        async with self._desk.visit(request, _TRADER) as visit:
            if wants_fragment(request, "price"):
                return await visit.fragment("checkout.html", "price", **values)
            crumbs = [Crumb("Overview", "/"), Crumb("Buy", "/buy"), Crumb(product.name)]
            return await visit.render("checkout.html", crumbs, **values)

    async def order(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "challenges.buy")
        form, deps = posted.form, self._desk.deps
        if form.text("accept") != "yes":
            raise BadInput("The terms are not accepted.", field="accept", remedy="Read them, and tick the box.")
        body = _order(request.path_params["product"], form)
        taxed = await checkout.taxes_of(deps, posted.actor.trader_id or "", body)

        async def work(session: AsyncSession) -> Made:
            return Made(id=(await checkout.order(session, deps, posted.actor, body, taxed)).id)

        made = await posted.once.write(Made, body, work)
        await checkout.ensure_checkout(deps, made.id)
        return redirect(f"/checkout/{made.id}")

    async def state(self, request: Request) -> HTMLResponse:
        """What became of an order: the way to the acquirer while it can be paid, and the way back from it."""
        async with self._desk.visit(request, _TRADER) as visit:
            row = await read_challenges.one(visit.session, visit.scope, request.path_params["id"])
            challenge = await visit.session.get_one(Challenge, row.id)
            due = payment_due(challenge.bought_at)
            papers = await receipts.page(visit.session, visit.scope, Window(limit=50), challenge_id=row.id)
            values = {
                "challenge": row,
                "stage": _stage(row.state, over=await visit.now() >= due),
                "pay_url": challenge.checkout_url or "",
                "due": due,
                "quote": await sales.quote_of(visit.session, challenge),
                "papers": papers.items,
            }
            if wants_fragment(request, "order-state"):
                return await visit.fragment("order_state.html", "state", **values)
            crumbs = [Crumb("Overview", "/"), Crumb("Buy", "/buy"), Crumb("Order")]
            return await visit.render("order_state.html", crumbs, **values)

    async def receipts(self, request: Request) -> HTMLResponse:
        cursor = request.query_params.get("cursor")
        async with self._desk.visit(request, CAN["receipts.read"]) as visit:
            found = await receipts.page(visit.session, visit.scope, Window(cursor=cursor))
            crumbs = [Crumb("Overview", "/"), Crumb("Receipts")]
            return await visit.render("receipts.html", crumbs, rows=found.items, next_cursor=found.next_cursor)

    async def receipt(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request, CAN["receipts.read"]) as visit:
            row = await receipts.one(visit.session, visit.scope, request.path_params["id"])
            crumbs = [Crumb("Overview", "/"), Crumb("Receipts", "/receipts"), Crumb(row.number)]
            return await visit.render("receipt.html", crumbs, receipt=row)


def _purchase(product: str, asked: QueryParams) -> Purchase:
    """Raises BadInput."""
    codes = [code for code in _CODES.split(asked.get("coupon", "").strip()) if code]
    return _read(Purchase, product=product, add_ons=asked.getlist("add_on"), coupons=codes)


def _order(product: str, form: Form) -> PurchaseOrder:
    """Returns what the form orders: the choices that its price and its terms were shown for. Raises BadInput."""
    return _read(
        PurchaseOrder,
        product=product,
        add_ons=form.text("add_ons").split(),
        coupons=form.text("coupons").split(),
        quote=form.text("quote"),
        accepted_terms=form.text("terms"),
    )


def _read(kind: type[P], **values: object) -> P:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "order"
        raise BadInput(
            f"{field.capitalize()} cannot be read.", field=field, remedy="Check how the coupon is written."
        ) from error


def _choices(product: Product, chosen: list[str]) -> list[Choice]:
    lines = [add_on.line(product.fee_minor, product.currency) for add_on in product.add_ons]
    return [Choice(line.code, line.label, line.amount_minor, line.code in chosen) for line in lines]


def _changes(sold: Sold) -> list[str]:
    """Returns the sentences of the rule book that are new with the add-ons."""
    if not sold.add_ons:
        return []
    before = {words for section in describe(sold.of).sections for words in section.words}
    return [words for section in describe(sold.terms).sections for words in section.words if words not in before]


def _stage(state: str, *, over: bool) -> str:
    """Returns what the buyer can do: `pay`, `late`, `paid`, `back` (the money went back), `held`, `expired`."""
    if state == CHALLENGE.initial:
        return "late" if over else "pay"
    return {"cancelled": "expired", "refunded": "back", "charged_back": "back", "payment_review": "held"}.get(
        state, "paid"
    )
