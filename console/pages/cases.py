"""The forms of a surveillance case: propose an action, note something, claim it or hand it over; and its figures."""

from typing import Final, Literal, get_args

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, redirect
from console.pages.mine import Made
from console.present.case_parts import share
from console.views.case import PrecisionLine
from console.views.frame import Crumb
from domain.errors import BadInput
from domain.surveillance.casework import ACTION_WORDS, TWO_PEOPLE, ProposedAction
from domain.surveillance.names import pattern_name
from firm import case_actions, cases
from store.read import precision

_ACTIONS: Final = get_args(ProposedAction)


class Proposed(BaseModel):
    """What was sent, for the idempotency key; and the id of the proposal."""

    action: ProposedAction
    trades: list[str]
    payouts: list[str]
    rule: str
    message: str
    reason: str
    id: str = ""


class CasePages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/cases/{id}/action", self.propose, methods=["POST"], response_model=None)
        router.add_api_route("/cases/{id}/notes", self.note, methods=["POST"], response_model=None)
        router.add_api_route("/cases/{id}/assignment", self.assign, methods=["POST"], response_model=None)
        router.add_api_route("/risk/precision", self.precision, methods=["GET"], response_model=None)

    async def propose(self, request: Request) -> Response:
        """Raises BadInput, and what `firm.case_actions` refuses with."""
        posted, case_id = await self._desk.posted(request, "cases.decide"), request.path_params["id"]
        form = posted.form
        action = _action(form.text("action"))
        sent = Proposed(
            action=action,
            trades=form.texts("trade") if action == "deduct" else [],
            payouts=form.texts("payout") if action == "deny" else [],
            rule=form.needed("rule", shortest=3, longest=1000),
            message=form.text("message")[:4000],
            reason=form.needed("reason", shortest=3, longest=1000),
        )
        named = [_named(value) for value in sent.trades]

        async def work(session: AsyncSession) -> Proposed:
            row = await case_actions.propose(
                session,
                case_id,
                action=sent.action,
                rule=sent.rule,
                message=sent.message,
                trades=named,
                payouts=sent.payouts,
                actor=posted.actor,
                reason=sent.reason,
            )
            return sent.model_copy(update={"id": row.id})

        await posted.once.write(Proposed, sent, work)
        follows = (
            "A second person must approve this." if action in TWO_PEOPLE else "Read the message, then send the warning."
        )
        return redirect(href("case", case_id), "ok", f"Proposed: {ACTION_WORDS[action]}. {follows}")

    async def note(self, request: Request) -> Response:
        posted, case_id = await self._desk.posted(request, "cases.decide"), request.path_params["id"]
        body = posted.form.needed("body", longest=4000)

        async def work(session: AsyncSession) -> Made:
            return Made(id=(await cases.note(session, case_id, body=body, actor=posted.actor)).id)

        await posted.once.write(Made, Made(text=body), work)
        return redirect(href("case", case_id), "ok", "Note added.")

    async def assign(self, request: Request) -> Response:
        posted, case_id = await self._desk.posted(request, "cases.decide"), request.path_params["id"]
        to = posted.form.text("to")

        async def work(session: AsyncSession) -> Made:
            return Made(id=(await cases.assign(session, case_id, to=to, actor=posted.actor)).id)

        await posted.once.write(Made, Made(text=to), work)
        text = "The case is assigned to you." if to == posted.actor.user_id else "The case is assigned."
        return redirect(href("case", case_id), "ok", text if to else "The case is no longer assigned.")

    async def precision(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            found = await precision.by_pattern(visit.session)
            lines = [
                PrecisionLine(
                    pattern=pattern_name(row.pattern),
                    version=row.thresholds_version,
                    confirmed=row.above.confirmed,
                    false_positive=row.above.false_positive,
                    inconclusive=row.above.inconclusive,
                    undecided=row.above.undecided,
                    precision=share(row.above.precision),
                    share=None if row.above.precision is None else float(row.above.precision.share),
                    blind=share(row.blind.precision),
                    below=share(row.below.precision),
                )
                for row in found.items
            ]
            return await visit.render("precision.html", [Crumb("Risk", "/risk"), Crumb("Alert precision")], lines=lines)


def _action(text: str) -> ProposedAction:
    """Raises BadInput."""
    if text not in _ACTIONS:
        raise BadInput("Choose an action.", field="action", remedy="Use one of the list.")
    chosen: Literal["warn", "deduct", "deny", "close"] = text  # type: ignore[assignment]
    return chosen


def _named(value: str) -> tuple[str, str]:
    """Reads "acc_…/position". Raises BadInput."""
    account_id, slash, position_id = value.partition("/")
    if not (account_id and slash and position_id):
        raise BadInput("A trade of this form is not readable.", field="trade", remedy="Reload the page.")
    return account_id, position_id
