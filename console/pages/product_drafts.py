"""Drafts of product versions: an editor with the errors beside it, what changes, the effect, the proposal."""

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from console.addresses import href
from console.desk import Desk, Visit, redirect
from console.htmx import wants_fragment
from console.pages.mine import Made
from console.present.impact import bars
from console.views.frame import Crumb
from domain.errors import BadInput
from firm.products import draft_texts, drafts, impact
from firm.products.yaml_text import MAX_BYTES
from front import permissions, product_drafts
from store.read import drafts as read
from store.read import versions

_CAN: Final = "versions.propose"
_LONGEST: Final = 2 * MAX_BYTES  # with the line ends of a form; the text itself is measured where it is saved


class ProductDraftPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        for method, path, page in (
            ("POST", "/product-drafts", self.start),
            ("GET", "/product-drafts/{id}", self.show),
            ("POST", "/product-drafts/{id}", self.change),
            ("POST", "/product-drafts/{id}/delete", self.delete),
            ("GET", "/product-drafts/{id}/impact", self.impacts),
            ("POST", "/product-drafts/{id}/impact", self.ask_for_impact),
            ("POST", "/product-drafts/{id}/proposal", self.propose),
        ):
            router.add_api_route(path, page, methods=[method], response_model=None)

    async def start(self, request: Request) -> Response:
        """Raises BadInput, and what `firm.products.drafts` refuses with."""
        posted = await self._desk.posted(request, _CAN)
        source, _, of = posted.form.text("from").partition(":")
        try:
            asked = product_drafts.DraftStart.model_validate(
                {"source": source, "of": of, "product": posted.form.text("product") or None}
            )
        except ValidationError as error:
            raise BadInput(
                "Choose where to start from, and name a new product with small letters, digits and dashes.",
                field="product",
                remedy="Go back and write a name such as two-step-plus.",
            ) from error

        async def work(session: AsyncSession) -> Made:
            return Made(id=(await product_drafts.start(session, asked, posted.actor)).id)

        made = await posted.once.write(Made, asked, work)
        return redirect(f"/product-drafts/{made.id}", "ok", "The draft is saved. Nobody can buy it yet.")

    async def show(self, request: Request) -> HTMLResponse:
        async with self._desk.visit(request) as visit:
            return await self._page(visit, await read.draft(visit.session, request.path_params["id"]))

    async def change(self, request: Request) -> Response:
        """Saves the text, or only checks it; whatever is wrong with it, it is shown again as it was typed."""
        posted = await self._desk.posted(request, _CAN)
        draft_id, seen = request.path_params["id"], posted.form.text("seen")
        text, refused = posted.form.text("text"), ""
        if len(text) > _LONGEST:
            raise BadInput("The definition is too long.", field="text", remedy="Leave out comments if need be.")

        async def work(session: AsyncSession) -> Made:
            return Made(id=(await drafts.save(session, draft_id, text, seen=seen, actor=posted.actor)).id)

        if posted.form.text("act") == "save":
            try:
                await posted.once.write(Made, Made(text=f"{text}\n{seen}"), work)
                return redirect(f"/product-drafts/{draft_id}", "ok", "The draft is saved.")
            except product_drafts.NOT_SAVED as error:
                refused = f"{error.message} {error.remedy or ''}".strip()
        async with self._desk.visit(request) as visit:
            draft = await read.draft(visit.session, draft_id)
            return await self._page(visit, draft, typed=text, seen=seen, refused=refused)

    async def delete(self, request: Request) -> Response:
        posted = await self._desk.posted(request, _CAN)

        async def work(session: AsyncSession) -> Made:
            await drafts.discard(session, request.path_params["id"], actor=posted.actor)
            return Made()

        await posted.once.write(Made, None, work)
        return redirect("/products#drafts", "ok", "The draft is deleted.")

    async def impacts(self, request: Request) -> Response:
        """The replays, which reload while one waits."""
        draft_id = request.path_params["id"]
        if not wants_fragment(request, "impact"):
            return redirect(f"/product-drafts/{draft_id}#impact")
        async with self._desk.visit(request) as visit:
            draft = await read.draft(visit.session, draft_id)
            runs = await read.impacts(visit.session, draft_id)
            return await visit.fragment("product_draft.html", "impact", draft=draft, runs=runs, bars=bars)

    async def ask_for_impact(self, request: Request) -> Response:
        """Raises what `firm.products` refuses with."""
        posted = await self._desk.posted(request, _CAN)
        draft_id, chosen = request.path_params["id"], posted.form.text("version")
        asked = product_drafts.ImpactAsked(version=_version(chosen) if chosen else None)

        async def work(session: AsyncSession) -> Made:
            draft = await drafts.locked(session, draft_id)
            terms = await drafts.terms_of(session, draft, self._desk.deps.venues)
            return Made(id=(await impact.ask(session, draft, terms, version=asked.version, actor=posted.actor)).id)

        await posted.once.write(Made, asked, work)
        return redirect(f"/product-drafts/{draft_id}#impact", "ok", "The replay was requested.")

    async def propose(self, request: Request) -> Response:
        """Raises what `firm.products` refuses with."""
        posted = await self._desk.posted(request, _CAN)
        seen, reason = posted.form.text("seen"), posted.form.needed("reason", shortest=3, longest=1000)

        async def work(session: AsyncSession) -> Made:
            row = await drafts.propose(
                session,
                request.path_params["id"],
                seen=seen,
                venues=self._desk.deps.venues,
                actor=posted.actor,
                reason=reason,
            )
            return Made(id=row.id)

        made = await posted.once.write(Made, Made(text=f"{seen}\n{reason}"), work)
        return redirect(
            href("product_version", made.id), "ok", "The version is proposed. Somebody else must approve it."
        )

    async def _page(
        self, visit: Visit, draft: read.DraftView, *, typed: str | None = None, seen: str = "", refused: str = ""
    ) -> HTMLResponse:
        """`typed`: a text that is not saved, as it was sent."""
        session, text = visit.session, draft.text if typed is None else typed
        may = permissions.may(visit.actor, _CAN)
        try:
            check, product = await product_drafts.check(session, text, self._desk.deps.venues)
            diff = await product_drafts.diff(session, draft, text, product)
        except BadInput as error:  # it is too long to look at
            check, diff, refused = None, None, refused or f"{error.message} {error.remedy or ''}".strip()
        known = await versions.versions(session, product.product if check and product else draft.product)
        own = may and draft.open and draft.made_by == visit.actor.user_id
        return await visit.render(
            "product_draft.html",
            [Crumb("Products", "/products"), Crumb(f"Draft of {draft.product}")],
            422 if refused else 200,
            draft=draft,
            text=text,
            seen=seen or draft.digest,
            saved=check is not None and check.digest == draft.digest,
            refused=refused,
            check=check,
            diff=diff,
            known=known,
            own=own,
            may=may,
            runs=await read.impacts(session, draft.id),
            bars=bars,
            longest=MAX_BYTES,
        )


def _version(text: str) -> int:
    if not text.isdecimal() or not 1 <= len(text) <= 6 or int(text) < 1:
        raise BadInput("Choose a version.", field="version", remedy="Go back and choose one of the list.")
    return int(text)


async def starts(session: AsyncSession) -> dict[str, list[tuple[str, str]]]:
    """What a new product can be copied from: (value of the form, words), by group."""
    sold = {row.product: row.name for row in await versions.versions(session) if row.newest}
    return {
        "Products": [(f"product:{product}", f"{name} ({product})") for product, name in sold.items()],
        "Examples": [(f"example:{each.file}", f"{each.name} ({each.family})") for each in draft_texts.examples()],
    }
