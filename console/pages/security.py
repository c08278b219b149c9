"""How a person signs in: passkeys, the authenticator app, recovery codes, the identity provider."""

import json

import segno
from fastapi import APIRouter, Request
from fastapi.responses import Response

from console.desk import Desk, Posted, redirect
from console.views.frame import Crumb
from domain.approvals import PEOPLE, STAFF
from front import browsers, provider
from front.auth import COOKIE
from front.factors import ADD_APP, ADD_PASSKEY, LINK, UNLINK, Own, read_credential
from store import provider_identities
from store.identity import token_digest

_HERE = Crumb("Security", "/security")


class SecurityPages:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self, router: APIRouter) -> None:
        router.add_api_route("/security", self.show, methods=["GET"], response_model=None)
        for path, answer in (
            ("link", self.mail_link),
            ("passkeys/new", self.new_passkey),
            ("passkeys", self.add_passkey),
            ("passkeys/{id}/name", self.rename_passkey),
            ("passkeys/{id}/remove", self.remove_passkey),
            ("authenticator", self.new_authenticator),
            ("authenticator/confirm", self.confirm_authenticator),
            ("authenticator/remove", self.remove_authenticator),
            ("recovery-codes", self.recovery_codes),
            ("provider", self.link),
            ("provider/remove", self.unlink),
        ):
            router.add_api_route(f"/security/{path}", answer, methods=["POST"], response_model=None)

    async def show(self, request: Request) -> Response:
        """With the token of the link that was mailed, a first factor can be added."""
        token = request.query_params.get("token", "")[:100]
        async with self._desk.visit(request, PEOPLE) as visit:
            own = Own(self._desk.deps, visit.actor, "", "")
            linked = await provider_identities.linked(visit.session, visit.actor.user_id)
        found = await own.listed()
        async with self._desk.visit(request, PEOPLE) as visit:
            offered = self._desk.deps.access.provider if visit.actor.role in STAFF else None
            return await visit.render(
                "security.html",
                [Crumb("Security")],
                factors=found,
                linked=linked,
                provider=offered.label if offered else "",
                token=token,
                proofs={do: own.about(do) for do in (ADD_PASSKEY, ADD_APP, LINK, UNLINK)},
            )

    async def mail_link(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        await self._own(request, posted).mail_link()
        return redirect("/security", "ok", "We sent you an e-mail. Open its link in this browser within 30 minutes.")

    async def new_passkey(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        name = posted.form.needed("name", longest=60)
        asked = await self._own(request, posted).begin_passkey()
        async with self._desk.visit(request, PEOPLE) as visit:
            return await visit.render(
                "passkey_new.html",
                [_HERE, Crumb("New passkey")],
                name=name,
                challenge=asked.challenge_id,
                options=json.dumps(asked.options),
            )

    async def add_passkey(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        form = posted.form
        name, credential = form.needed("name", longest=60), read_credential(form.text("credential"))
        await self._own(request, posted).add_passkey(form.text("challenge")[:40], name, credential)
        return redirect("/security", "ok", "The passkey is added.")

    async def rename_passkey(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        name = posted.form.needed("name", longest=60)
        await self._own(request, posted).rename_passkey(request.path_params["id"], name)
        return redirect("/security", "ok", "The passkey was renamed.")

    async def remove_passkey(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        await self._own(request, posted).remove_passkey(request.path_params["id"])
        return redirect("/security", "ok", "The passkey is removed.")

    async def new_authenticator(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        made = await self._own(request, posted).begin_authenticator()
        picture = segno.make(made.address, error="m").svg_data_uri(scale=5, border=4, light="#fff")
        async with self._desk.visit(request, PEOPLE) as visit:
            return await visit.render(
                "authenticator_new.html", [_HERE, Crumb("Authenticator app")], secret=made.secret, picture=picture
            )

    async def confirm_authenticator(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        made = await self._own(request, posted).confirm_authenticator(posted.form.needed("code", longest=20))
        return await self._codes(request, made.codes)

    async def remove_authenticator(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        await self._own(request, posted).remove_authenticator()
        return redirect("/security", "ok", "The authenticator app is removed.")

    async def recovery_codes(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        return await self._codes(request, (await self._own(request, posted).renew_recovery_codes()).codes)

    async def link(self, request: Request) -> Response:
        """The person goes to the provider by a link: our policy lets no form lead to another site."""
        posted = await self._desk.posted(request)
        await self._own(request, posted).prove(LINK)
        token = browsers.token_of(request)
        address = await provider.go(
            self._desk.deps, browsers.holder_of(token), next_page="/security", user_id=posted.actor.user_id
        )
        async with self._desk.visit(request, PEOPLE) as visit:
            offered = provider.provider(self._desk.deps).label
            response = await visit.render(
                "provider_link.html", [_HERE, Crumb(offered)], address=address, provider=offered
            )
        browsers.remember(response, self._desk.deps, token)
        return response

    async def unlink(self, request: Request) -> Response:
        posted = await self._desk.posted(request)
        await self._own(request, posted).prove(UNLINK)
        async with self._desk.deps.db.transaction() as session:
            await provider.unlink(session, posted.actor)
        return redirect("/security", "ok", "You no longer sign in with the identity provider.")

    async def _codes(self, request: Request, codes: tuple[str, ...]) -> Response:
        async with self._desk.visit(request, PEOPLE) as visit:
            return await visit.render("recovery_codes.html", [_HERE, Crumb("Recovery codes")], codes=codes)

    def _own(self, request: Request, posted: Posted) -> Own:
        holder = token_digest(request.cookies[COOKIE])
        return Own(self._desk.deps, posted.actor, holder, posted.once.message_key)
