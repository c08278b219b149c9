"""The actions on an account: each on a page of its own that says what it does before it is confirmed."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, Posted, Visit, redirect
from console.htmx import wants_fragment
from console.views.frame import Crumb
from contracts.challenges import ChallengeStatus
from contracts.ids import challenge_workflow
from contracts.messages import RefundRequest
from domain.account_actions import Action
from domain.errors import BadInput, Conflict, NotFound
from domain.interventions import Direction, Kind
from domain.lifecycle import CHALLENGE
from domain.wording import instant
from firm import account_actions, account_notes, challenges, tickets
from firm.products import version_moves
from front import account_actions as front
from front.account_actions import AdjustmentAsked, AdjustmentBody, InterventionBody
from front.fields import ungrouped
from front.permissions import check
from front.subjects.intervention import InterventionStep
from store.models import Account
from store.read import accounts as read_accounts
from store.read import challenges as read_challenges
from store.read.accounts import AccountView

Send = Callable[[Posted, AccountView], Awaitable[Response]]


class Done(BaseModel):
    """What was sent, for the idempotency key; and what came of it."""

    text: str = ""
    id: str = ""


class AccountActionPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._sends: Final[Mapping[str, Send]] = {
            "freeze": self._freeze,
            "thaw": self._thaw,
            "message": self._message,
            "note": self._note,
            "extend": self._extend,
            "refund": self._refund,
            "move": self._move,
            "adjust": self._adjust,
            "close": self._close,
            "reset": self._reset,
        }

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/accounts/{ref}/actions", self.listed, methods=["GET"], response_model=None)
        router.add_api_route("/accounts/{ref}/actions/{name}", self.show, methods=["GET"], response_model=None)
        router.add_api_route("/accounts/{ref}/actions/{name}", self.send, methods=["POST"], response_model=None)

    async def listed(self, request: Request) -> Response:
        """The actions that this person's role allows, also those that cannot be done now: a page, or the menu of the
        account's page."""
        async with self._desk.visit(request) as visit:
            account, found = await self._possible(visit)
            page = f"/accounts/{account.number}"
            if wants_fragment(request, "action-list"):
                return await visit.fragment("account_actions.html", "listed", possible=found, page=page)
            crumbs = [Crumb("Accounts", "/accounts"), Crumb(account.number, page), Crumb("Actions")]
            return await visit.render("account_actions.html", crumbs, account=account, possible=found, page=page)

    async def show(self, request: Request) -> Response:
        """What the action does now, and its form; or why it cannot be done. One that is done elsewhere leads there."""
        name = request.path_params["name"]
        async with self._desk.visit(request) as visit:
            account, found = await self._possible(visit)
            action = next((each for each in found if each.name == name), None)
            if action is None:
                raise NotFound
            if to := await _elsewhere(visit.session, account, action):
                return redirect(to)
            versions = await _versions(visit.session, account.id) if name == "move" else ()
            asked, ahead, wrong = dict(request.query_params), None, ""
            if name == "adjust" and not action.why_not and asked.get("amount"):
                ahead, wrong = await self._ahead(visit.session, account.id, asked)
            page = f"/accounts/{account.number}"
            crumbs = [Crumb("Accounts", "/accounts"), Crumb(account.number, page), Crumb(action.label)]
            return await visit.render(
                "account_action.html",
                crumbs,
                account=account,
                action=action,
                versions=versions,
                page=page,
                asked=asked,
                ahead=ahead,
                wrong=wrong,
            )

    async def _possible(self, visit: Visit) -> tuple[AccountView, Sequence[Action]]:
        check(visit.actor, "accounts.actions")
        account = await read_accounts.one(visit.session, visit.scope, visit.request.path_params["ref"])
        return account, await front.possible(visit.session, self._desk.deps, account, visit.actor)

    async def _ahead(
        self, session: AsyncSession, account_id: str, asked: Mapping[str, str]
    ) -> tuple[front.AdjustmentAhead | None, str]:
        """What an adjustment would do; or what is wrong with the amount, as a sentence."""
        try:
            body = AdjustmentAsked(amount=ungrouped(asked["amount"].strip()), direction=_direction(asked))
            ahead = await front.adjustment_ahead(session, self._desk.deps, account_id, body)
        except (BadInput, Conflict) as refused:
            return None, f"{refused.message} {refused.remedy}"
        return (None, ahead.refusal) if ahead.refusal else (ahead, "")

    async def send(self, request: Request) -> Response:
        name = request.path_params["name"]
        send = self._sends.get(name)
        if send is None:
            raise NotFound
        posted = await self._desk.posted(request, next(right for each, right in front.RIGHTS.items() if each == name))
        async with self._desk.deps.db.transaction() as session:
            account = await read_accounts.one(session, posted.scope, request.path_params["ref"])
        return await send(posted, account)

    async def _freeze(self, posted: Posted, account: AccountView) -> Response:
        reason = _reason(posted)

        async def work(session: AsyncSession) -> Done:
            made = await front.freeze(session, self._desk.deps, account.id, posted.actor, reason)
            return Done(id=made.freeze_id)

        await posted.once.write(Done, Done(text=reason), work)
        return _back(account, f"Frozen. {account.platform} is told now; open positions stay and payouts wait.")

    async def _thaw(self, posted: Posted, account: AccountView) -> Response:
        reason = _reason(posted)

        async def work(session: AsyncSession) -> Done:
            made = await front.thaw(session, account.id, posted.actor, reason)
            return Done(id=made.freeze_id)

        await posted.once.write(Done, Done(text=reason), work)
        return _back(account, "Thawed. The account trades again unless something else keeps it from that.")

    async def _message(self, posted: Posted, account: AccountView) -> Response:
        subject = posted.form.needed("subject", longest=tickets.MAX_SUBJECT)
        body = posted.form.needed("body", longest=4000)

        async def work(session: AsyncSession) -> Done:
            row = await tickets.open_for(
                session,
                actor=posted.actor,
                trader_id=account.trader_id,
                subject=subject,
                body=body,
                account_id=account.id,
            )
            return Done(id=row.id)

        made = await posted.once.write(Done, Done(text=f"{subject}\n{body}"), work)
        return redirect(href("ticket", made.id), "ok", "Sent. The ticket waits for the trader.")

    async def _note(self, posted: Posted, account: AccountView) -> Response:
        body = posted.form.needed("body", longest=account_notes.LONGEST)

        async def work(session: AsyncSession) -> Done:
            made = await front.note(session, account.id, posted.actor, body)
            return Done(id=made.id)

        await posted.once.write(Done, Done(text=body), work)
        return _back(account, "The note is in the timeline. Only staff see it.", "?show=people")

    async def _extend(self, posted: Posted, account: AccountView) -> Response:
        reason = _reason(posted)

        async def work(session: AsyncSession) -> Done:
            given = await challenges.extend(
                session, account.challenge_id, actor=posted.actor, key=posted.once.message_key, reason=reason
            )
            return Done(text=instant(given.deadline))

        done = await posted.once.write(Done, Done(text=reason), work)
        return _back(account, f"Extended. The phase ends on {done.text}.")

    async def _refund(self, posted: Posted, account: AccountView) -> Response:
        reason = _reason(posted)

        async def state_of(session: AsyncSession) -> str:
            return (await read_challenges.one(session, posted.scope, account.challenge_id)).state

        await posted.once.decide(
            "challenge",
            account.challenge_id,
            challenge_workflow(account.challenge_id),
            "refund",
            reason,
            body=Done(text=reason),
            machine=CHALLENGE,
            state_of=state_of,
            message=RefundRequest,
            result=ChallengeStatus,
            proof="money",
        )
        return _back(account, "The fee goes back to the payer.")

    async def _move(self, posted: Posted, account: AccountView) -> Response:
        reason, chosen = _reason(posted), posted.form.text("to_version")
        if not chosen.isdecimal() or len(chosen) > 6:
            raise BadInput("Choose a version.", field="to_version", remedy="Go back and choose one of the list.")

        async def work(session: AsyncSession) -> Done:
            row = await version_moves.propose(
                session,
                product=account.product,
                from_version=account.version,
                to_version=int(chosen),
                numbers=[int(account.number.removeprefix("A-"))],
                actor=posted.actor,
                reason=reason,
            )
            return Done(id=row.id)

        made = await posted.once.write(Done, Done(text=f"{chosen}\n{reason}"), work)
        return redirect(href("account_move", made.id), "ok", "Proposed. A second person must approve it.")

    async def _adjust(self, posted: Posted, account: AccountView) -> Response:
        body = AdjustmentBody(
            reason=_reason(posted),
            message=_message_of(posted),
            amount=ungrouped(posted.form.needed("amount", longest=40)),
            direction=_direction({"direction": posted.form.text("direction")}),
        )
        return await self._intervene(posted, account, "adjust", body)

    async def _close(self, posted: Posted, account: AccountView) -> Response:
        body = InterventionBody(reason=_reason(posted), message=_message_of(posted))
        return await self._intervene(posted, account, "close", body)

    async def _reset(self, posted: Posted, account: AccountView) -> Response:
        body = InterventionBody(reason=_reason(posted), message=_message_of(posted))
        return await self._intervene(posted, account, "reset", body)

    async def _intervene(self, posted: Posted, account: AccountView, kind: Kind, body: InterventionBody) -> Response:
        async def work(session: AsyncSession) -> InterventionStep:
            return await front.intervene(session, self._desk.deps, account.id, kind, body, posted.actor)

        made = await posted.once.write(InterventionStep, body, work)
        return redirect(href("intervention", made.id), "ok", "Proposed. A second person must approve it.")


async def _elsewhere(session: AsyncSession, account: AccountView, action: Action) -> str:
    """The page on which an action is done; empty for one that is done here, or cannot be done now."""
    if action.why_not:
        return ""
    if action.name == "platform":
        return f"/accounts/{account.number}#platform"
    if action.name == "close" and (case_id := await account_actions.open_case(session, account.id)):
        return href("case", case_id)
    if action.name == "compensate":
        return href("dispute", await account_actions.open_dispute(session, account.id) or "")
    return ""


async def _versions(session: AsyncSession, account_id: str) -> tuple[int, ...]:
    return await account_actions.later_versions(session, await session.get_one(Account, account_id))


def _direction(asked: Mapping[str, str]) -> Direction:
    chosen = asked.get("direction")
    if chosen not in ("credit", "debit"):
        raise BadInput("Choose credit or debit.", field="direction", remedy="Choose one of the two.")
    return "credit" if chosen == "credit" else "debit"


def _reason(posted: Posted) -> str:
    return posted.form.needed("reason", shortest=3, longest=1000)


def _message_of(posted: Posted) -> str:
    return posted.form.needed("message", longest=1000)


def _back(account: AccountView, words: str, query: str = "") -> Response:
    return redirect(f"/accounts/{account.number}{query}", "ok", words)
