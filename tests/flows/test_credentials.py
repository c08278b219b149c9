"""What a trader signs in to the platform with: made as the account opens, shown once, reset, seen by nobody else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text, update

from domain.approvals import Role
from domain.errors import BadInput, Conflict, NotAllowed, NotFound, OutcomeUnknown, PropOSError, RefusedForGood
from firm import credentials
from ports.credentials import Holder, SignIn
from store import credentials as stored
from store.models import OutboxMessage
from tests.challenge_world import Firm, Venue, a_firm


@dataclass
class LoginVenue(Venue):
    """Traders have a login for each account, or one for all of them. `fails`: after which calls an answer is lost."""

    one_user: bool = False
    passwords: dict[str, str] = field(default_factory=dict)  # by user name
    sent: list[tuple[str, str, str]] = field(default_factory=list)  # call, key, password
    loses: int = 0
    refuses: PropOSError | None = None

    async def create_credentials(self, login: int, *, key: str, password: SecretStr, holder: Holder) -> SignIn:
        if self.one_user and holder.username is not None:
            return SignIn(holder.username, new=False)
        return self._set("create", holder.email if self.one_user else str(login), key, password)

    async def reset_credentials(self, login: int, *, key: str, password: SecretStr) -> SignIn:
        return self._set("reset", str(login), key, password)

    def _set(self, call: str, username: str, key: str, password: SecretStr) -> SignIn:
        if self.refuses is not None:
            raise self.refuses
        self.passwords[username] = password.get_secret_value()
        self.sent.append((call, key, password.get_secret_value()))
        if self.loses:
            self.loses -= 1
            raise OutcomeUnknown("no answer")
        return SignIn(username)


@pytest.fixture
async def venue() -> LoginVenue:
    return LoginVenue()


@pytest.fixture
async def firm(database_url: str, temporal_address: str, venue: LoginVenue) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address, venue) as opened:
        yield opened


async def _state(firm: Firm, account_id: str) -> str:
    async with firm.db.transaction() as session:
        found = await stored.standing(session, account_id)
    return "none" if found is None else found.state


async def _ready(firm: Firm, account_id: str) -> None:
    async def ready() -> bool:
        async with firm.db.transaction() as session:
            await session.execute(update(OutboxMessage).values(next_at=func.clock_timestamp()))
        return await _state(firm, account_id) == "ready"

    await firm.until(ready)


async def test_it_is_shown_once_and_a_reset_replaces_it(firm: Firm, venue: LoginVenue, database_url: str) -> None:
    venue.loses = 1
    tina, eve = await firm.add_trader("tina"), await firm.add_trader("eve")
    sam = await firm.add_user("sam", "support")
    challenge_id = await firm.bought(tina)
    account = await firm.account(challenge_id)
    await _ready(firm, account.id)
    assert len({password for _, _, password in venue.sent}) == 1, "a repeat sends the same password"
    async with firm.db.transaction() as session:
        with pytest.raises(NotFound):
            await credentials.show(session, account.id, actor=eve)
    first = await _show(firm, account.id, tina)
    assert first == venue.passwords[str(account.login)]
    assert await _show(firm, account.id, tina) is None
    assert await _state(firm, account.id) == "shown"

    with pytest.raises(BadInput):
        await _reset(firm, account.id, sam, "")
    with pytest.raises(NotFound):
        await _reset(firm, account.id, eve, "")
    await _reset(firm, account.id, sam, "Tina lost it.")
    with pytest.raises(Conflict, match="still making"):
        await _reset(firm, account.id, tina, "")
    await _ready(firm, account.id)
    await _reset(firm, account.id, tina, "")  # before the last one was shown
    await _ready(firm, account.id)
    third = await _show(firm, account.id, tina)
    assert third == venue.passwords[str(account.login)]
    assert [call for call, _, _ in venue.sent] == ["create", "create", "reset", "reset"]

    everything = await _everything(firm, challenge_id)
    assert str(account.login) in everything
    for _, _, password in venue.sent:
        assert password not in everything
    async with firm.db.transaction() as session:
        kept = await session.scalar(text("SELECT count(*) FROM credentials WHERE password IS NOT NULL"))
        logged = await session.execute(
            text("SELECT action, actor FROM audit_log WHERE action LIKE 'credentials.%' ORDER BY seq")
        )
        assert kept == 0
        assert [tuple(row) for row in logged] == [
            ("credentials.shown", tina.user_id),
            ("credentials.reset", sam.user_id),
            ("credentials.reset", tina.user_id),
            ("credentials.shown", tina.user_id),
        ]
    with pytest.raises(Exception, match="does not come back"):
        async with firm.db.transaction() as session:
            await session.execute(text("UPDATE credentials SET shown_at = NULL, password = '\\x00'"))


async def _show(firm: Firm, account_id: str, actor: object) -> str | None:
    async with firm.db.transaction() as session:
        shown = await credentials.show(session, account_id, actor=actor)  # type: ignore[arg-type]
    return None if shown.password is None else shown.password.get_secret_value()


async def _reset(firm: Firm, account_id: str, actor: object, reason: str) -> None:
    async with firm.db.transaction() as session:
        await credentials.reset(session, account_id, resettable=True, actor=actor, reason=reason)  # type: ignore[arg-type]


async def _everything(firm: Firm, challenge_id: str) -> str:
    """The history of the challenge, and every table that holds text, as the database has it."""
    history = (await firm.handle(challenge_id).fetch_history()).to_json()
    async with firm.db.transaction() as session:
        tables = await session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        rows = [str((await session.execute(text(f'SELECT t.* FROM "{name}" t'))).all()) for name in tables.all()]
    return "\n".join([history, *rows])


async def test_staff_are_shown_no_password(firm: Firm) -> None:
    account = await firm.account(await firm.bought(await firm.add_trader("tina")))
    await _ready(firm, account.id)
    roles: tuple[Role, ...] = ("support", "admin")
    for role in roles:
        with pytest.raises(NotAllowed):
            await _show(firm, account.id, await firm.add_user(role, role))


async def test_a_refusal_is_parked_for_a_person_and_locks_do_not_wait(firm: Firm, venue: LoginVenue) -> None:
    venue.refuses = RefusedForGood("key", "The email is known.")
    tina = await firm.add_trader("tina")
    challenge_id = await firm.bought(tina)
    account = await firm.account(challenge_id)

    async def parked() -> bool:
        async with firm.db.transaction() as session:
            await session.execute(update(OutboxMessage).values(next_at=func.clock_timestamp()))
            found = await session.scalar(select(OutboxMessage.error).where(OutboxMessage.parked_at.is_not(None)))
        return found == "The email is known."

    await firm.until(parked)
    assert await _state(firm, account.id) == "making"
    assert venue.seats[account.login or 0].enabled, "the account is open all the same"
    async with firm.db.transaction() as session:
        message = await session.scalar(select(OutboxMessage).where(OutboxMessage.topic == "venue.credentials"))
    assert message is not None and message.target != str(account.login)


async def test_a_venue_with_one_user_for_all_accounts_is_told_whom_it_knows(firm: Firm, venue: LoginVenue) -> None:
    venue.one_user = True
    tina = await firm.add_trader("tina")
    first = await firm.account(await firm.bought(tina))
    await _ready(firm, first.id)
    second = await firm.account(await firm.bought(tina))

    async def known() -> bool:
        return await _state(firm, second.id) == "as_before"

    await firm.until(known)
    assert len(venue.sent) == 1
    assert await _show(firm, second.id, tina) is None
    assert await _show(firm, first.id, tina) == venue.passwords["tina@example.com"]
