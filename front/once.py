"""The same key and input: the same answer, however often and however concurrently it is asked."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import DecisionRequest, RefundRequest, Target
from domain.approvals import Actor
from domain.decision_requests import DecidedKind, DecisionAsked
from domain.key_errors import NeedsPerson
from domain.states import StateMachine
from domain.step_up import ActionClass, digest_of
from firm import decision_requests
from front.auth import Deps, SignedInCaller
from front.deps import ApiDeps
from front.fields import idempotency_key
from front.proving import require
from front.updates import StateOf, decide, update_key
from store import step_ups
from store.idempotency import RequestKey, ask, claim, remember
from store.identity import token_digest

M = TypeVar("M", bound=BaseModel)
Check = Callable[[AsyncSession], Awaitable[None]]


class Once:
    """One keyed request of a person. `route` is what is asked of what, such as "POST /v1/payouts/pay_…/approve"."""

    def __init__(self, deps: ApiDeps, actor: Actor, route: str, key: str, token: str = "") -> None:
        """`token`: of the session, which step-ups are bound to."""
        self.deps = deps
        self.holder = token_digest(token)
        self._route = route
        self.actor = actor
        self.key = key
        self.message_key = update_key(actor.user_id, key)
        self._whole: str | None = None

    def part(self, route: str) -> "Once":
        """One of several requests that are made under this key: the same part again gets its first answer. A step-up
        that this request has used makes the one of the part, when the part is carried out."""
        made = Once(self.deps, self.actor, route, hashlib.sha256(f"{self.key}/{route}".encode()).hexdigest())
        made.holder, made._whole = self.holder, self.message_key
        return made

    async def begin(self, session: AsyncSession, body: BaseModel) -> None:
        """Takes the key for this body, for a request whose parts keep their own answers. Raises IdempotencyMismatch."""
        await claim(session, self._ask(body))

    async def prove(self, session: AsyncSession, action: ActionClass, **what: str) -> None:
        """Uses a step-up for `what` is decided. Raises StepUpRequired, which leaves the key free, or NeedsPerson for an
        API key."""
        if self.actor.key_id is not None:
            raise NeedsPerson
        about, key = digest_of(action, **what), self.message_key
        used = None if self._whole is None else await step_ups.of_key(session, self._whole)
        if used is not None:
            await step_ups.derive(session, used, about, key=key)
        await require(session, self.deps, self.actor, holder=self.holder, action=action, about=about, key=key)

    def _ask(self, body: BaseModel | None) -> RequestKey:
        sent = body.model_dump(mode="json") if body else None
        return ask(self.actor.user_id, self.key, self._route, sent)

    async def write(self, kind: type[M], body: BaseModel | None, work: Callable[[AsyncSession], Awaitable[M]]) -> M:
        """Do `work` and keep its answer in one transaction; a copy waits for it and gets the same."""
        asked = self._ask(body)
        async with self.deps.db.transaction() as session:
            kept = await claim(session, asked)
            if kept is None:
                kept = await remember(session, asked, (await work(session)).model_dump(mode="json"))
        return kind.model_validate(kept)

    async def reveal(
        self, kind: type[M], body: BaseModel | None, work: Callable[[AsyncSession], Awaitable[tuple[M, str]]]
    ) -> tuple[M, str | None]:
        """Like `write`, for work that also returns a new secret: whoever asks first gets it, a repetition gets None. It
        is stored nowhere. Every API key and every signing secret is made through here."""
        asked, secret = self._ask(body), None
        async with self.deps.db.transaction() as session:
            kept = await claim(session, asked)
            if kept is None:
                answer, secret = await work(session)
                kept = await remember(session, asked, answer.model_dump(mode="json"))
        return kind.model_validate(kept), secret

    async def decide(
        self,
        kind: DecidedKind,
        subject_id: str,
        workflow_id: str,
        update: str,
        reason: str,
        *,
        body: BaseModel,
        machine: StateMachine,
        state_of: StateOf,
        refund_minor: int | None = None,
        message: type[DecisionRequest] | type[RefundRequest] = DecisionRequest,
        result: type[M],
        check: Check | None = None,
        seen: str | None = None,
        again: Target | None = None,
        told: str = "",
        proof: ActionClass | None = None,
    ) -> M:
        """Have a workflow decide. `state_of` raises NotFound for what the caller may not see, before anything else.
        `check` runs before the request is on the record; what it raises leaves the key free. The same key again only
        asks for the outcome, whatever became of the subject since. `refund_minor`: of a RefundRequest, a part of the
        fee. `told`: what the trader of a dispute is told.

        `seen`: the digest of what the person read. `proof`: the class of the step-up that is used for it. The request
        is a row before the workflow hears of it: without that row, whoever carries it out refuses.
        """
        if self.actor.key_id is not None:  # a program is no person, whoever it acts for
            raise NeedsPerson
        asked, request = self._ask(body), self._request(message, reason, refund_minor, again, told)
        async with self.deps.db.transaction() as session:
            await state_of(session)
            kept = await claim(session, asked)
            if kept is None:
                wanted = DecisionAsked(
                    key=self.message_key,
                    subject_kind=kind,
                    subject_id=subject_id,
                    verb=update,
                    user_id=self.actor.user_id,
                )
                if not await decision_requests.is_asked(session, wanted):
                    if check is not None:
                        await check(session)
                    await decision_requests.ask(session, wanted, reason=request.stated, seen=seen)
                if proof is not None:
                    await self.prove(
                        session, proof, verb=update, subject=subject_id, said=request.stated, seen=seen or ""
                    )
        if kept is None:
            taken = await decide(
                self.deps, workflow_id, update, request, machine=machine, state_of=state_of, result=result
            )
            async with self.deps.db.transaction() as session:
                kept = await remember(session, asked, taken.model_dump(mode="json"))
        return result.model_validate(kept)

    def _request(
        self,
        message: type[DecisionRequest] | type[RefundRequest],
        reason: str,
        refund_minor: int | None,
        again: Target | None,
        told: str,
    ) -> DecisionRequest | RefundRequest:
        given = {"key": self.message_key, "actor": self.actor, "reason": reason}
        if issubclass(message, RefundRequest):
            return message.model_validate(given | {"amount_minor": refund_minor})
        chosen = {name: value for name, value in (again or Target())._asdict().items() if value}
        chosen |= {"message": told} if told else {}
        return message.model_validate(given | chosen)


def keyed(request: Request, deps: Deps, caller: SignedInCaller, key: Annotated[str, Depends(idempotency_key)]) -> Once:
    return Once(deps, caller.actor, f"{request.method} {request.url.path}", key, caller.token)


Keyed = Annotated[Once, Depends(keyed)]
