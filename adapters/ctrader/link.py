"""A connection that is there when it is needed: opened on first use and again after a loss, its accounts authorised,
expired tokens refreshed, not more requests than the venue takes."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.message import Message
from pydantic import SecretStr

from adapters.ctrader.config import CTraderSettings
from adapters.ctrader.grants import Grant, Grants
from adapters.ctrader.refusals import ALREADY_AUTHORISED, TOKEN, TOO_MANY, Refusal, outcome
from adapters.ctrader.session import WHO, Answer, Lost, OnEvent, Outcome, Session
from adapters.venue.limits import CircuitBreaker, Rate, RateLimiter
from domain.errors import Unavailable
from ports.venue import Unreadable
from wire.ctrader.OpenApiMessages_pb2 import (
    ProtoOAAccountAuthReq,
    ProtoOARefreshTokenReq,
    ProtoOARefreshTokenRes,
)

# Unverified: the rates that the venue's pages name, a little below them.
_RATE: Final = Rate(45, 1.0)
_HISTORY_RATE: Final = Rate(5, 1.1)
_LONGEST_WAIT: Final = 5.0  # seconds
_AHEAD: Final = timedelta(hours=12)  # how long before its end a token is refreshed


class Link:
    """`on_event`: as in Session, for every session that this link opens."""

    def __init__(self, settings: CTraderSettings, grants: Grants, on_event: OnEvent = lambda *_: None) -> None:
        self._settings, self.grants, self._on_event = settings, grants, on_event
        self._limits = RateLimiter(WHO, [_RATE])
        self._history_limits = RateLimiter(WHO, [_HISTORY_RATE], patience=600.0)
        self._breaker = CircuitBreaker(WHO)
        self._opening = asyncio.Lock()
        self._authorising = asyncio.Lock()
        self._blocked: dict[type[Message], float] = {}  # kind of request -> until when, in the loop's time
        self._session: Session | None = None

    async def session(self, *, urgent: bool = False) -> Session:
        """Raises Unavailable."""
        async with self._opening:
            if self._session is None or self._session.closed.is_set():
                await self.aclose()
                self._breaker.check(urgent=urgent)
                try:
                    self._session = await Session.open(self._settings, self._on_event)
                except Unavailable:
                    self._breaker.failed()
                    raise
                self._breaker.succeeded()
            return self._session

    async def ask(
        self, account: int, requests: Sequence[Message], *, history: bool = False, urgent: bool = False
    ) -> list[Outcome]:
        """Asks about one account and returns the outcomes in the order of the requests. A request that is refused for
        its token is asked once more with a new one. Raises NotFound for an account without a grant, and Unavailable
        when nothing was sent."""
        session = await self.authorised(account, urgent=urgent)
        outcomes = await self._ask(session, requests, history=history, urgent=urgent)
        again = [place for place, each in enumerate(outcomes) if isinstance(each, Refusal) and each.code in TOKEN]
        if again:
            await self.renew(account)
            repeated = [requests[place] for place in again]
            for place, each in zip(
                again, await self._ask(session, repeated, history=history, urgent=urgent), strict=True
            ):
                outcomes[place] = each
        return outcomes

    async def one(self, account: int, request: Message, *, history: bool = False, urgent: bool = False) -> Answer:
        """The answer to a question. Raises Unavailable for every other outcome, and NotFound."""
        (found,) = await self.ask(account, [request], history=history, urgent=urgent)
        return answered(found)

    async def authorised(self, account: int, *, urgent: bool = False) -> Session:
        """Returns the session with this account authorised. Raises NotFound and Unavailable."""
        grant = self.grants.of(account)
        session = await self.session(urgent=urgent)
        async with self._authorising:
            if account not in session.authorised:
                await self._authorise(session, account, grant, urgent=urgent)
        return session

    async def any_account(self) -> int:
        """Returns an account that is authorised, for questions about the broker. Raises Unavailable when there is
        none."""
        refused = Unavailable("No trader has granted access.", remedy="docs/ctrader.md says how they do.")
        for account in sorted(self.grants.accounts()):
            try:
                await self.authorised(account)
                return account
            except Unavailable as exc:
                refused = exc
        raise refused

    async def renew(self, account: int) -> None:
        """Authorises the account again after the venue refused its token, with a new token if it has expired. Raises
        Unavailable."""
        session = await self.session()
        async with self._authorising:
            session.authorised.discard(account)
            await self._authorise(session, account, self.grants.of(account))

    async def anonymous(self, request: Message) -> Answer:
        """The answer to a question about no account. Raises Unavailable."""
        (found,) = await self._ask(await self.session(), [request])
        return answered(found)

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _authorise(self, session: Session, account: int, grant: Grant, *, urgent: bool = False) -> None:
        if grant.expires_at is not None and grant.expires_at - _AHEAD < datetime.now(UTC):
            with suppress(Unavailable):  # the old one may still count
                grant = await self._refreshed(session, account, grant)
        found = await self._with_token(session, account, grant, urgent=urgent)
        if isinstance(found, Refusal) and found.code in TOKEN:
            grant = await self._refreshed(session, account, grant)
            found = await self._with_token(session, account, grant, urgent=urgent)
        if not (isinstance(found, Refusal) and found.code in ALREADY_AUTHORISED):
            answered(found)
        session.authorised.add(account)

    async def _with_token(self, session: Session, account: int, grant: Grant, *, urgent: bool) -> Outcome:
        request = ProtoOAAccountAuthReq(ctidTraderAccountId=account, accessToken=grant.access_token.get_secret_value())
        (found,) = await self._ask(session, [request], urgent=urgent)
        return found

    async def _refreshed(self, session: Session, account: int, grant: Grant) -> Grant:
        """Raises Unavailable when the venue gives no new token: the trader has to grant access again."""

        async def refresh(token: SecretStr) -> Grant:
            request = ProtoOARefreshTokenReq(refreshToken=token.get_secret_value())
            (found,) = await self._ask(session, [request])
            if isinstance(found, Refusal):
                raise Unavailable(
                    f"{WHO} refuses to renew the grant of the account {account}: {found.code}.",
                    remedy="Ask the trader to grant access again; docs/ctrader.md says how.",
                )
            try:
                tokens = answered(found).read(ProtoOARefreshTokenRes)
            except Unreadable as unreadable:
                raise Unavailable(f"{WHO} answers what cannot be read: {unreadable}.") from None
            return Grant(
                accounts=grant.accounts,
                access_token=SecretStr(tokens.accessToken),
                refresh_token=SecretStr(tokens.refreshToken),
                expires_at=datetime.now(UTC) + timedelta(seconds=tokens.expiresIn),
            )

        return await self.grants.refreshed(account, grant.access_token, refresh)

    async def _ask(
        self, session: Session, requests: Sequence[Message], *, history: bool = False, urgent: bool = False
    ) -> list[Outcome]:
        self._breaker.check(urgent=urgent)
        await self._unblocked(requests)
        for _ in requests:
            if history:
                await self._history_limits.wait(urgent=urgent)
            await self._limits.wait(urgent=urgent)
        outcomes = await session.ask(requests)
        for request, each in zip(requests, outcomes, strict=True):
            if isinstance(each, Refusal) and each.code in TOO_MANY:
                self._blocked[type(request)] = asyncio.get_running_loop().time() + each.retry_after
        if any(isinstance(each, Lost) for each in outcomes):
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        return outcomes

    async def _unblocked(self, requests: Sequence[Message]) -> None:
        """Waits as long as the venue asked for before these kinds of requests. Raises Unavailable for a long wait."""
        now = asyncio.get_running_loop().time()
        delay = max(self._blocked.get(type(request), 0.0) for request in requests) - now
        if delay > _LONGEST_WAIT:
            raise Unavailable(f"{WHO} takes no such request for {delay:.0f} s.", remedy="It is tried again.")
        if delay > 0:
            await asyncio.sleep(delay)


def answered(found: Outcome) -> Answer:
    """Returns the answer to a question. Raises Unavailable for every other outcome, NotFound for an unknown account."""
    if isinstance(found, Answer):
        return found
    if isinstance(found, Refusal):
        raise outcome(found, WHO, key=None)
    if isinstance(found, Unreadable):
        raise Unavailable(f"{WHO} answers what cannot be read: {found}.")
    raise Unavailable(f"{WHO} does not answer.")
