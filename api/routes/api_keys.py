"""API keys: how a program acts for the person who made its key."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain.api_keys import LONGEST_DAYS, LONGEST_OVERLAP_HOURS
from firm import api_keys
from front import programs
from front.auth import Caller, Deps, allowed
from front.fields import Input, KeyId, Line
from front.once import Keyed
from front.permissions import scopes_of
from front.programs import KeyMade
from store.read.pages import View
from store.read.programs import ApiKeyView

router = APIRouter(prefix="/v1/api-keys", tags=["programs"])
Owner = Annotated[Caller, Depends(allowed("keys.manage"))]
Days = Annotated[int, Field(ge=1, le=LONGEST_DAYS)]
Hours = Annotated[int, Field(ge=0, le=LONGEST_OVERLAP_HOURS)]


class KeyBody(Input):
    """`scopes`: names of permissions that your role has; `days`: how long the key lasts."""

    name: Line
    scopes: Annotated[list[Annotated[str, Field(max_length=60)]], Field(min_length=1, max_length=100)]
    days: Days = programs.DAYS


class KeyRotationBody(Input):
    """`overlap_hours`: how long the old key works beside the new one."""

    overlap_hours: Hours = programs.OVERLAP_HOURS
    days: Days = programs.DAYS


class Keys(View):
    """`offered`: the scopes that a key of yours can have."""

    items: tuple[ApiKeyView, ...]
    offered: tuple[str, ...]


class Revoked(View):
    id: str
    state: str


@router.get("")
async def list_keys(caller: Owner, deps: Deps) -> Keys:
    """Your keys, newest first; an admin reads everybody's. Never a token."""
    actor = caller.actor
    async with deps.db.transaction() as session:
        items = await programs.keys(session, None if actor.role == "admin" else actor.user_id)
    return Keys(items=tuple(items), offered=tuple(sorted(scopes_of(actor.role))))


@router.post("", status_code=201, dependencies=[Depends(allowed("keys.manage"))])
async def make_key(body: KeyBody, once: Keyed) -> KeyMade:
    """A key that acts for you. The token is in this answer and nowhere else. Staff need a step-up."""
    return await programs.make_key(once, name=body.name, scopes=body.scopes, days=body.days, body=body)


@router.post("/{key_id}/rotate", status_code=201, dependencies=[Depends(allowed("keys.manage"))])
async def rotate_key(key_id: KeyId, body: KeyRotationBody, once: Keyed) -> KeyMade:
    """A new key with the same name and scopes; the old one works on for the overlap. Staff need a step-up."""
    return await programs.rotate_key(once, key_id, overlap_hours=body.overlap_hours, days=body.days, body=body)


@router.post("/{key_id}/revoke", dependencies=[Depends(allowed("keys.manage"))])
async def revoke_key(key_id: KeyId, once: Keyed) -> Revoked:
    """The key is worth nothing from now on. An admin can revoke anybody's."""

    async def work(session: AsyncSession) -> Revoked:
        row = await api_keys.revoke(session, key_id, actor=once.actor)
        return Revoked(id=row.id, state="revoked")

    return await once.write(Revoked, None, work)
