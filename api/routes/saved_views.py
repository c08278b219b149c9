"""Views of lists that a person of the firm keeps under a name."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from front import saved_views
from front.auth import Caller, Deps, allowed
from front.fields import Input, ViewName
from front.lists import Text
from front.once import Keyed
from front.saved_views import NAMES, SavedView
from store.read.pages import View

router = APIRouter(prefix="/v1/saved-views", tags=["saved views"])
_RIGHT = allowed(saved_views.RIGHT)
ListName = Annotated[str, Field(json_schema_extra={"enum": sorted(NAMES)})]


class SavedViewBody(Input):
    """`filters` and `sort`: as the list takes them as parameters. A search is not kept, since it may be a name."""

    list: ListName
    name: ViewName
    filters: dict[str, Text] = Field(default_factory=dict, max_length=20)
    sort: Text = ""


class SavedViews(View):
    """By list and name; at most 20 of a list."""

    items: tuple[SavedView, ...]
    next_cursor: None = None


@router.get("")
async def list_saved_views(
    caller: Annotated[Caller, Depends(_RIGHT)],
    deps: Deps,
    wanted: Annotated[ListName | None, Query(alias="list", description="Of this list only.")] = None,
) -> SavedViews:
    """Your own views of the lists that you may read."""
    if wanted is not None:
        saved_views.may_keep(caller.actor, wanted)
    async with deps.db.transaction() as session:
        return SavedViews(items=await saved_views.kept(session, caller.actor, wanted))


@router.post("", status_code=201, dependencies=[Depends(_RIGHT)])
async def save_view(body: SavedViewBody, deps: Deps, once: Keyed) -> SavedView:
    """Keep filters and order of a list under a name. A view of the same name is replaced."""
    asked = SavedView(list=body.list, name=body.name, filters=body.filters, sort=body.sort)
    readable = deps.subjects.readable_by(once.actor)

    async def work(session: AsyncSession) -> SavedView:
        return await saved_views.keep(session, once.actor, asked, readable)

    return await once.write(SavedView, body, work)


@router.delete("", dependencies=[Depends(_RIGHT)])
async def delete_view(
    wanted: Annotated[ListName, Query(alias="list", description="Of this list.")],
    name: Annotated[ViewName, Query(description="The name of the view.")],
    once: Keyed,
) -> SavedView:
    """Delete a view of yours."""

    async def work(session: AsyncSession) -> SavedView:
        return await saved_views.forget(session, once.actor, wanted, name)

    return await once.write(SavedView, SavedView(list=wanted, name=name), work)
