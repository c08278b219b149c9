"""`propos user` on a real PostgreSQL: a production installation's first sign-in, and what ends one."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, select

from domain.errors import NotSignedIn
from store import crypto, identity, links, provider_identities
from store.models import Authenticator, Session, User
from tests.integration.command import KEYS, NAME, Firm


@pytest.fixture
async def firm(database_url: str, tmp_path: Path) -> AsyncIterator[Firm]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    made = Firm(database_url, tmp_path)
    yield made
    await made.db.close()


async def test_the_first_member_of_a_firm_signs_in_with_the_password_that_was_printed_once(firm: Firm) -> None:
    password = firm.add()
    assert len(password) >= 20
    signed_in = await firm.sign_in("Farid", password)
    assert (signed_in.actor.role, signed_in.actor.trader_id) == ("finance", None)
    listed = firm.user("list")
    assert re.search(rf"farid\W+{NAME}\W+finance\W+{signed_in.actor.person_id}\W+yes", listed)
    assert password not in listed
    assert await firm.trail() == [("command-line", "user.created", {"role": "finance"})]


async def test_each_user_is_a_person_of_their_own_unless_it_is_said(firm: Firm) -> None:
    farid = (await firm.sign_in("farid", firm.add())).actor.person_id
    grace = (await firm.sign_in("grace", firm.add("grace"))).actor.person_id
    again = (await firm.sign_in("farid-admin", firm.add("farid-admin", "admin", "--person", farid))).actor.person_id
    assert (again == farid, grace == farid) == (True, False)


async def test_a_change_of_role_is_audited_and_ends_open_sessions(firm: Firm) -> None:
    password = firm.add()
    token = (await firm.sign_in("farid", password)).token
    assert "already finance" in firm.user("role", "farid", "finance")
    assert await firm.holds(token), "nothing changed"
    assert "now auditor" in firm.user("role", "FARID", "auditor")
    assert not await firm.holds(token)
    assert (await firm.sign_in("farid", password)).actor.role == "auditor"
    assert (await firm.trail())[1:] == [("command-line", "user.role_changed", {"from": "finance", "to": "auditor"})]


async def test_lost_factors_are_forgotten_and_open_sessions_end(firm: Firm) -> None:
    password = firm.add()
    token = (await firm.sign_in("farid", password)).token
    async with firm.db.transaction() as session:
        user_id = (await session.scalars(select(User.id))).one()
        session.add(Authenticator(user_id=user_id, secret="A" * 32, confirmed_at=datetime.now(UTC)))
    assert (await firm.sign_in("farid", password)).second_factor_due
    assert "no factors any more" in firm.user("forget-factors", "farid")
    assert not await firm.holds(token)
    assert not (await firm.sign_in("farid", password)).second_factor_due
    assert (await firm.trail())[-1] == ("command-line", "user.factors_forgotten", {})


async def test_a_login_without_a_mailbox_gets_the_link_for_its_first_factor_here(firm: Firm) -> None:
    firm.add()
    token = re.search(r"http\S+/security\?token=(\S{43})", firm.user("factor-link", "farid"))
    assert token is not None
    async with firm.db.transaction() as session:
        user_id = (await session.scalars(select(User.id))).one()
        await links.use(session, "first_factor", token.group(1), of=user_id)
        session.add(Authenticator(user_id=user_id, secret="A" * 32, confirmed_at=datetime.now(UTC)))
    assert (await firm.trail())[-1] == ("command-line", "factor.link_printed", {})
    assert "There is a factor already" in firm.user("factor-link", "farid", code=1)
    assert "no active user" in firm.user("factor-link", "nobody", code=1)


async def test_an_invitation_is_an_address_of_this_firm(firm: Firm) -> None:
    firm.add()
    said = firm.user("invite", "farid")
    token = re.search(r"http\S+/sign-in/provider/invitation/(\S{43})", said)
    assert token is not None
    async with firm.db.transaction() as session:
        assert await provider_identities.is_invited(session, identity.token_digest(token.group(1)))


async def test_a_disabled_user_is_out_and_stays_out(firm: Firm) -> None:
    password, other = firm.add(), firm.add("grace")
    token, hers = (await firm.sign_in("farid", password)).token, (await firm.sign_in("grace", other)).token
    assert "now disabled" in firm.user("disable", "farid")
    assert "already disabled" in firm.user("disable", "farid")
    assert (await firm.holds(token), await firm.holds(hers)) == (False, True)
    async with firm.db.transaction() as session:
        revoked = select(func.count()).select_from(Session).where(Session.revoked_at.is_not(None))
        assert await session.scalar(revoked) == 1
    with pytest.raises(NotSignedIn):
        await firm.sign_in("farid", password)
    assert [action for _, action, _ in await firm.trail()] == ["user.created", "user.created", "user.disabled"]
    assert "disabled" in firm.user("list")


async def test_a_disabled_user_comes_back_and_gets_another_password(firm: Firm) -> None:
    first = firm.add()
    firm.user("disable", "farid")
    assert "may sign in" in firm.user("enable", "farid")
    token = (await firm.sign_in("farid", first)).token
    (second,) = re.findall(r"\(shown only once\): (\S+)", firm.user("password", "farid"))
    assert not await firm.holds(token)
    assert (await firm.sign_in("farid", second)).actor.role == "finance"
    assert [action for _, action, _ in await firm.trail()][2:] == ["user.enabled", "user.password_reset"]


async def test_wrong_input_is_named_and_changes_nothing(firm: Firm) -> None:
    firm.add()
    for arguments, said in (
        (("add", "--role", "finance", "--login", " Farid ", "--name", NAME), "login is taken"),
        (("add", "--role", "trader", "--login", "x", "--name", NAME), "no staff role 'trader'"),
        (("add", "--role", "admin", "--login", " ", "--name", NAME), "--login must be one line"),
        (("add", "--role", "admin", "--login", "x", "--name", "a\nb"), "--name must be one line"),
        (("add", "--role", "admin", "--login", "x", "--name", NAME, "--person", "f@x.org"), "opaque id"),
        (("role", "farid", "king"), "no staff role 'king'"),
        (("role", "nobody", "admin"), "no user with this login"),
        (("disable", "nobody"), "no user with this login"),
    ):
        assert said in firm.user(*arguments, code=1)
    async with firm.db.transaction() as session:
        await identity.sign_up_trader(session, name="Mara", email="mara@example.org", password_hash="x", country="SE")
    assert "no member of staff" in firm.user("role", "mara@example.org", "admin", code=1)
    assert "mara" not in firm.user("list")
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 2
