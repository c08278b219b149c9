"""Risk, the audit trail, and search."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import has_page, href
from console.desk import Desk, redirect
from console.formats import detail, words
from console.lists import Table
from console.pages.mine import Made
from console.present.case_parts import heading
from console.views.frame import Crumb
from console.views.parts import Link
from domain.approvals import PEOPLE
from firm import reviews as firm_reviews
from firm.reviews import DOUBTFUL_BREACH
from front import compensating, permissions
from front.fields import ungrouped
from store.read import audit, cases, disputes, reviews, search
from store.read.named import in_texts, written
from store.read.pages import Window

_EVERYBODY = PEOPLE
_SHOWN = 30


class RecordPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/risk", self.risk, methods=["GET"], response_model=None)
        router.add_api_route("/reviews/{id}/close", self.close_review, methods=["POST"], response_model=None)
        router.add_api_route("/disputes/{id}/compensation", self.compensate, methods=["POST"], response_model=None)
        router.add_api_route("/audit", self.audit, methods=["GET"], response_model=None)
        router.add_api_route("/audit/verify", self.verify, methods=["POST"], response_model=None)
        router.add_api_route("/search", self.search, methods=["GET"], response_model=None)

    async def risk(self, request: Request) -> HTMLResponse:
        at = {name: request.query_params.get(name) for name in ("disputes", "reviews")}
        async with self._desk.visit(request) as visit:
            named = (await cases.page(visit.session, Window(limit=_SHOWN))).items
            known = await in_texts(visit.session, [row.sentence for row in named])
            dispute_page = await disputes.page(visit.session, visit.scope, Window(limit=_SHOWN, cursor=at["disputes"]))
            review_page = await reviews.page(visit.session, Window(limit=_SHOWN, cursor=at["reviews"]))
            disputed, doubts = dispute_page.items, review_page.items
            asked = [row for row in doubts if row.kind == DOUBTFUL_BREACH]
            return await visit.render(
                "risk.html",
                [Crumb("Risk")],
                cases=[
                    Link(
                        heading(row),
                        href("case", row.id),
                        row.state,
                        f"{row.opened_at:%Y-%m-%d %H:%M} UTC · {written(row.sentence, known)}",
                    )
                    for row in named
                ],
                disputes=[
                    Link(
                        f"{row.account_number} {row.trader_name}, {words(row.rule_id) or 'appeal'}",
                        href("dispute", row.id),
                        row.state,
                        f"{row.opened_at:%Y-%m-%d %H:%M} UTC",
                    )
                    for row in disputed
                ],
                doubtful=[
                    Link(
                        f"{row.account_number} {words(row.detail['rule_id'])}",
                        href("review", row.id),
                        row.outcome or row.status,
                        f"{row.occurred_at:%Y-%m-%d %H:%M} UTC, {row.detail['doubts'][0]['words']}",
                    )
                    for row in asked
                ],
                reviews=[(row, _one_line(row.detail)) for row in doubts if row.kind != DOUBTFUL_BREACH],
                may_close=permissions.may(visit.actor, "reviews.close"),
                at=at,
                older={"disputes": dispute_page.next_cursor, "reviews": review_page.next_cursor},
            )

    async def close_review(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "reviews.close")
        review_id, reason = request.path_params["id"], posted.form.needed("reason", shortest=3, longest=1000)

        async def work(session: AsyncSession) -> Made:
            await firm_reviews.close(session, review_id=review_id, actor=posted.actor, reason=reason)
            return Made(id=review_id)

        await posted.once.write(Made, Made(text=reason), work)
        return redirect("/risk", "ok", "The review is closed.")

    async def compensate(self, request: Request) -> Response:
        posted = await self._desk.posted(request, "compensations.propose")
        dispute_id, form = request.path_params["id"], posted.form
        amount = ungrouped(form.needed("amount", longest=20))
        reason = form.needed("reason", shortest=3, longest=1000)
        message = form.needed("message", longest=4000)

        async def work(session: AsyncSession) -> Made:
            made = await compensating.propose(
                session, posted.once, dispute_id, amount=amount, reason=reason, message=message
            )
            return Made(id=made.id, text=made.state)

        made = await posted.once.write(Made, Made(text=f"{amount} {reason} {message}"), work)
        done = "The voucher is granted." if made.text == "granted" else "Another person must grant the voucher."
        return redirect(href("dispute", dispute_id), "ok", done)

    async def audit(self, request: Request) -> HTMLResponse:
        asked = request.query_params
        filters = {name: asked.get(name, "").strip() for name in ("subject", "actor", "action")}
        async with self._desk.visit(request) as visit:
            found = await audit.page(
                visit.session,
                Window(limit=100, cursor=asked.get("cursor")),
                subject_id=filters["subject"] or None,
                actor=filters["actor"] or None,
                action=filters["action"] or None,
            )
            return await visit.render(
                "audit.html",
                [Crumb("Audit")],
                rows=[
                    (row, _one_line(row.evidence), _page_of(row.subject_kind, row.subject_id)) for row in found.items
                ],
                check=await audit.check(visit.session),
                may_verify=permissions.may(visit.actor, "audit.verify"),
                filters=filters,
                table=Table("/audit", filters, "", asked.get("cursor"), found.next_cursor),
            )

    async def verify(self, request: Request) -> Response:
        """Checks every entry, not only those after the last verification."""
        posted = await self._desk.posted(request, "audit.verify")
        async with self._desk.deps.db.transaction() as session:
            found = await audit.check_all(session, posted.actor.user_id)
        if found.broken_at is not None:
            return redirect("/audit", "bad", f"The chain is broken at entry {found.broken_at}.")
        return redirect("/audit", "ok", f"All entries up to {found.through:,} are verified.")

    async def search(self, request: Request) -> Response:
        """A single hit opens at once."""
        text = request.query_params.get("q", "")[:120]
        async with self._desk.visit(request, _EVERYBODY) as visit:
            found = await search.search(visit.session, visit.scope, text, visit.subjects.findable(visit.actor))
            shown = [hit for hit in found.items if visit.scope.staff or hit.kind != "trader"]  # they have no such page
            places = [(hit, _place(hit.kind, hit.id, hit.label)) for hit in shown]
            if len(places) == 1:
                return redirect(places[0][1])
            return await visit.render("search.html", [Crumb("Search")], hits=places, more=found.more)


def _place(kind: str, subject_id: str, label: str) -> str:
    return href(kind, label if kind == "account" else subject_id)


def _page_of(kind: str, subject_id: str) -> str | None:
    return href(kind, subject_id) if has_page(kind) else None


def _one_line(details: Mapping[str, Any]) -> str:
    """Details as one line: names and values, no braces."""
    return ", ".join(f"{name.lower()} {value}" for name, value in detail(details))
