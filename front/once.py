"""The same key and input: the same answer, however often and however concurrently it is asked."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import DecisionRequest, RefundRequest
from domain.approvals import Actor
from domain.decision_requests import DecidedKind, DecisionAsked
from domain.states import StateMachine
from firm import decision_requests
from front.auth import Deps, SignedInCaller
from front.deps import ApiDeps
from front.fields import idempotency_key
from front.updates import StateOf, decide, update_key
from store.idempotency import RequestKey, ask, claim, remember

M = TypeVar("M", bound=BaseModel)
Check = Callable[[AsyncSession], Awaitable[None]]


class Once:
    """One keyed request of a person. `route` is what is asked of what, such as "POST /v1/payouts/pay_…/approve"."""

    def __init__(self, deps: ApiDeps, actor: Actor, route: str, key: str) -> None:
        self._deps = deps
        self._route = route
        self.actor = actor
        self.key = key
        self.message_key = update_key(actor.user_id, key)

    def _ask(self, body: BaseModel | None) -> RequestKey:
        sent = body.model_dump(mode="json") if body else None
        return ask(self.actor.user_id, self.key, self._route, sent)

    async def write(self, kind: type[M], body: BaseModel | None, work: Callable[[AsyncSession], Awaitable[M]]) -> M:
        """Do `work` and keep its answer in one transaction; a copy waits for it and gets the same."""
        asked = self._ask(body)
        async with self._deps.db.transaction() as session:
            kept = await claim(session, asked)
            if kept is None:
                kept = await remember(session, asked, (await work(session)).model_dump(mode="json"))
        return kind.model_validate(kept)

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
        message: type[DecisionRequest] | type[RefundRequest] = DecisionRequest,
        result: type[M],
        check: Check | None = None,
    ) -> M:
        """Have a workflow decide. `state_of` raises NotFound for what the caller may not see, before anything else.
        `check` runs unless the key has its answer already; what it raises leaves the key free.

        The request is a row before the workflow hears of it: without that row, whoever carries it out refuses.
        """
        asked = self._ask(body)
        async with self._deps.db.transaction() as session:
            await state_of(session)
            kept = await claim(session, asked)
            if kept is None:
                if check is not None:
                    await check(session)
                wanted = DecisionAsked(
                    key=self.message_key,
                    subject_kind=kind,
                    subject_id=subject_id,
                    verb=update,
                    user_id=self.actor.user_id,
                )
                await decision_requests.ask(session, wanted, reason=reason)
        if kept is None:
            request = message(key=self.message_key, actor=self.actor, reason=reason)
            taken = await decide(
                self._deps, workflow_id, update, request, machine=machine, state_of=state_of, result=result
            )
            async with self._deps.db.transaction() as session:
                kept = await remember(session, asked, taken.model_dump(mode="json"))
        return result.model_validate(kept)


def keyed(request: Request, deps: Deps, caller: SignedInCaller, key: Annotated[str, Depends(idempotency_key)]) -> Once:
    return Once(deps, caller.actor, f"{request.method} {request.url.path}", key)


Keyed = Annotated[Once, Depends(keyed)]
