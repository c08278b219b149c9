"""Staff sign in with a real OpenID Connect server, run here: linked by an invitation or by a signed-in person."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import select

from adapters.sign_in.oidc import OidcProvider
from api.app import create_app
from domain.errors import Unavailable
from domain.sign_in_errors import SignInRefused
from front.access import Access
from store.identity import add_user
from store.models import OutgoingMailRow
from tests.api_world import PASSWORD, ApiWorld, api_world
from tests.oidc_server import oidc_server
from tests.proofs import proof_form

MONA = "mona@firm.example"
_START = "/sign-in/provider?next=/queue"
_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with oidc_server() as address:
        yield address


@pytest.fixture
async def world(database_url: str, issuer: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        provider = OidcProvider(
            issuer=issuer, client_id="propos", client_secret="secret", seconds=120, label="Our directory"
        )
        async with made.db.transaction() as session:
            await add_user(session, login=MONA, name="Mona", password_hash="x", role="finance", person_id="person-mona")
        made.deps = replace(made.deps, access=Access(provider=provider))
        yield made


@asynccontextmanager
async def _browser(world: ApiWorld) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(world.deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://firm.test") as http:
        yield http


async def _at_provider(away: str, subject: str) -> str:
    """Sign in there as `subject`; returns the path back to us."""
    async with httpx.AsyncClient(timeout=120) as http:
        back = await http.post(away, data={"sub": subject})
    assert back.status_code == 302, back.text
    parts = urlsplit(back.headers["location"])
    assert parts.netloc == "firm.test"
    return f"{parts.path}?{parts.query}"


async def _sign_in(
    http: httpx.AsyncClient, subject: str, start: str = "/sign-in/provider?next=/queue"
) -> httpx.Response:
    away = await http.get(start)
    assert away.status_code == 303, away.text
    return await http.get(await _at_provider(away.headers["location"], subject))


async def _invite(world: ApiWorld, login: str) -> str:
    """The path of the link in the mail."""
    async with _browser(world) as http:
        world.http = http
        answer = await world.ask("admin", "POST", "/v1/sign-in/invitations", {"login": login})
    assert answer.status_code == 201, answer.text
    async with world.db.transaction() as session:
        (mail,) = await session.scalars(select(OutgoingMailRow).where(OutgoingMailRow.kind == "invitation"))
    assert mail.recipient == login
    link = re.search(r"http://firm\.test(/sign-in/provider/invitation/(\S{43}))", mail.body)
    assert link is not None
    assert link[2] not in answer.text, "who invites does not see the link"
    return link[1]


async def test_a_login_without_a_mailbox_is_not_invited_over_the_api(world: ApiWorld) -> None:
    async with _browser(world) as http:
        world.http = http
        answer = await world.ask("admin", "POST", "/v1/sign-in/invitations", {"login": "finance"})
    assert (answer.status_code, answer.json()["field"]) == (422, "login")
    assert "propos user invite" in answer.json()["remedy"]


async def test_an_invitation_links_and_from_then_on_the_identity_signs_in(world: ApiWorld) -> None:
    async with _browser(world) as http:
        stranger = await _sign_in(http, "finance@example.org")
        assert (stranger.status_code, "Nobody here has this identity" in stranger.text) == (401, True)
    address = await _invite(world, MONA)
    async with _browser(world) as http:
        linked = await _sign_in(http, "subject-7", address)
        assert linked.status_code == 303, linked.text
        who = (await http.get("/v1/sessions/current")).json()
        assert who["role"] == "finance"
        assert "propos_known" in http.cookies
    async with _browser(world) as http:
        used = await http.get(address)
        assert (used.status_code, "used before" in used.text) == (401, True)
        inside = await _sign_in(http, "subject-7")
        assert (inside.status_code, inside.headers["location"]) == (303, "/queue")
        assert (await http.get("/queue")).status_code == 200


async def test_a_signed_in_person_links_after_a_proof(world: ApiWorld) -> None:

    async with _browser(world) as http:
        await http.post("/sign-in", data={"login": "risk", "password": PASSWORD, "next": "/"})
        page = await http.get("/security")
        csrf = _CSRF.search(page.text)
        assert csrf is not None
        form = {"csrf": csrf.group(1), "key": "0123456789abcdef0123"}
        asked = await http.post("/security/provider", data=form)
        assert asked.status_code == 403 and "Email me the link" in asked.text
        page = await http.get(f"/security?token={await world.link('risk')}")
        _, fields = proof_form(page.text, "mail", "/security/provider")
        answer = await http.post("/security/provider", data=fields)
        away = re.search(r'href="(http://localhost[^"]+)"', answer.text)
        assert away is not None, answer.text
        back = await http.get(await _at_provider(away.group(1).replace("&amp;", "&"), "subject-9"))
        assert back.headers["location"] == "/security"
        assert "subject-9" in (await http.get("/security")).text
    async with _browser(world) as http:
        assert (await _sign_in(http, "subject-9")).status_code == 303


async def test_the_request_has_state_nonce_and_pkce_and_is_bound_to_the_browser(world: ApiWorld) -> None:
    address = await _invite(world, MONA)
    async with _browser(world) as http, _browser(world) as other:
        away = (await http.get(address)).headers["location"]
        asked = {name: values[0] for name, values in parse_qs(urlsplit(away).query).items()}
        assert (asked["response_type"], asked["code_challenge_method"], asked["scope"]) == ("code", "S256", "openid")
        assert all(len(asked[name]) >= 43 for name in ("state", "nonce", "code_challenge"))
        path = await _at_provider(away, "subject-7")
        for answer in (await other.get(path), await http.get(path)):
            assert (answer.status_code, "Start again" in answer.text) == (401, True), "used up by the wrong browser"


async def test_an_answer_for_another_browser_or_another_issuer_is_not_believed(issuer: str) -> None:
    provider = OidcProvider(issuer=issuer, client_id="propos", client_secret="secret", seconds=120)
    redirect = "http://firm.test/sign-in/provider/return"
    away = await provider.address(redirect_uri=redirect, state="s" * 43, nonce="n" * 43, verifier="v" * 64)
    code = parse_qs(urlsplit(await _at_provider(away, "subject-7")).query)["code"][0]
    with pytest.raises(SignInRefused):
        await provider.redeem(code=code, redirect_uri=redirect, nonce="m" * 43, verifier="v" * 64)
    with pytest.raises(SignInRefused):
        await provider.redeem(code="wrong", redirect_uri=redirect, nonce="n" * 43, verifier="v" * 64)
    other = OidcProvider(issuer=f"{issuer}/", client_id="propos", client_secret="secret", seconds=120)
    with pytest.raises(Unavailable):
        await other.address(redirect_uri=redirect, state="s", nonce="n", verifier="v" * 64)
