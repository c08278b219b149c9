"""Decisions of people: one route for every verb of every subject that has an address in the API."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import DecisionResult
from front.auth import Having
from front.deciding import by_workflow, on_record
from front.fields import DecisionBody, id_of
from front.once import Keyed
from front.subjects.subject import Subject, Subjects, Verb


def router(subjects: Subjects) -> APIRouter:
    """POST /v1/payouts/{id}/approve and the like."""
    made = APIRouter(prefix="/v1", tags=["decisions"])
    for subject in subjects:
        for verb in subject.verbs:
            if subject.api is None or verb.path is None:
                continue
            made.add_api_route(
                f"{subject.api}/{{id}}/{verb.path}",
                _route(subject, verb),
                methods=["POST"],
                name=f"{verb.name}_{subject.name}",
                summary=f"{verb.name} {subject.label}".replace("_", " ").capitalize(),
                description=verb.means,
                response_model=verb.answer or DecisionResult,
                dependencies=[Depends(Having(verb.right))],
            )
    return made


def _route(subject: Subject, verb: Verb) -> Callable[..., Awaitable[BaseModel]]:
    prefix = subject.find.prefix if subject.find else ""

    async def decide(id: Annotated[str, id_of(prefix)], body: DecisionBody, once: Keyed) -> BaseModel:
        if verb.answer is None:
            return await by_workflow(subject, verb, id, body.reason, body=body, once=once, seen=body.seen)

        async def work(session: AsyncSession) -> BaseModel:
            return (await on_record(session, subject, verb, id, body.reason, once, seen=body.seen or "")).answer

        return await once.write(verb.answer, body, work)

    decide.__annotations__["body"] = verb.body
    return decide
