"""Closes positions and cancels orders through the dealer's desk: a request is queued, and its result is polled on the
same connection. If that connection is lost, the open positions tell what happened."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from adapters.mt5 import names, shapes
from adapters.mt5.outcomes import WHO, refusal, retcode_of, unreadable
from adapters.mt5.session import Answer, Session
from domain.errors import InProgress, NotFound, OutcomeUnknown, PropOSError, Unavailable

_PAUSE: Final = 0.05  # seconds between two polls, growing
_LONGEST_PAUSE: Final = 1.0
_UNFINISHED: Final = (names.MT_RET_REQUEST_INWAY, names.MT_RET_REQUEST_ACCEPTED, names.MT_RET_REQUEST_PROCESS)
_DONE: Final = (
    *(names.MT_RET_OK, names.MT_RET_REQUEST_DONE, names.MT_RET_REQUEST_DONE_PARTIAL, names.MT_RET_REQUEST_PLACED),
    # it was closed, or is no longer there, before our request came to its turn
    *(names.MT_RET_REQUEST_POSITION_CLOSED, names.MT_RET_REQUEST_INVALID_ORDER),
)
_QUEUED_AT_ONCE: Final = 100  # unverified: the vendor's pages say that the server queues 128 requests
_ROUNDS: Final = 3  # a partial fill leaves something for the next round


class Desk:
    """Sends dealer requests over one session. `manager`: in whose name. `seconds`: how long a result is waited for."""

    def __init__(self, session: Session, manager: int, seconds: float) -> None:
        self._session, self._manager, self._seconds = session, manager, seconds

    async def positions(self, login: int) -> list[shapes.Position]:
        found = await self.pages("/api/position/get_page", {"login": login})
        return _read(shapes.Position, found)

    async def orders(self, login: int) -> list[shapes.Order]:
        return _read(shapes.Order, await self.pages("/api/order/get_page", {"login": login}))

    async def pages(self, path: str, query: Mapping[str, str | int]) -> list[object]:
        """Returns every row of a list that comes in pages."""
        found: list[object] = []
        while True:
            asked = {**query, "offset": len(found), "total": names.PAGE}
            try:
                page = list(shapes.rows(await self._session.ask(path, asked)))
            except ValueError:
                raise unreadable(changing=False) from None
            found += page
            if len(page) < names.PAGE:
                return found

    async def cancel_orders(self, login: int) -> None:
        """Cancels every pending order, and returns when none is left. Raises as `flatten` does."""
        for _ in range(_ROUNDS):
            left = await self.orders(login)
            if not left:
                return
            action = names.TA_DEALER_ORD_REMOVE
            await self._carry_out([{"Action": action, "Login": login, "Order": order.Order} for order in left])
        if await self.orders(login):
            raise InProgress(f"{WHO} has not cancelled every order of {login}.", remedy="Repeat it with its key.")

    async def flatten(self, login: int, comment: str, only: frozenset[str] | None = None) -> None:
        """Closes the positions with these ids (None: all), and returns when they are closed.

        Raises Unavailable when the market is closed, InProgress while the dealer has not come to it, OutcomeUnknown
        when an answer was lost. Every position is tried before an error is raised."""
        for _ in range(_ROUNDS):
            left = await self._open(login, only)
            if not left:
                return
            await self._carry_out([self._closing(position, comment) for position in left])
        if await self._open(login, only):
            raise InProgress(f"{WHO} has not closed every position of {login}.", remedy="Repeat it with its key.")

    async def _open(self, login: int, only: frozenset[str] | None) -> list[shapes.Position]:
        return [each for each in await self.positions(login) if only is None or str(each.Position) in only]

    def _closing(self, position: shapes.Position, comment: str) -> dict[str, Any]:
        sells = position.Action == names.POSITION_BUY
        return {
            "Action": names.TA_DEALER_POS_EXECUTE,
            "Login": position.Login,
            "Symbol": position.Symbol,
            "Position": position.Position,
            "Volume": position.Volume,
            "Type": names.OP_SELL if sells else names.OP_BUY,
            "TypeFill": names.ORDER_FILL_FOK,
            "PriceOrder": str(position.PriceCurrent),
            "Digits": position.Digits,
            "Comment": comment,
        }

    async def _carry_out(self, requests: Sequence[Mapping[str, Any]]) -> None:
        """Sends all requests and waits for their results. Raises the gravest error after all were tried."""
        errors: list[PropOSError] = []
        for start in range(0, len(requests), _QUEUED_AT_ONCE):
            errors += await self._send(requests[start : start + _QUEUED_AT_ONCE])
        if errors:
            raise max(errors, key=_gravity)

    async def _send(self, requests: Sequence[Mapping[str, Any]]) -> list[PropOSError]:
        """Returns what went wrong."""
        errors: list[PropOSError] = []
        waiting: set[int] = set()
        connection = -1
        for request in requests:
            body = {name: str(value) for name, value in {"SourceLogin": self._manager, **request}.items()}
            try:
                sent = await self._session.ask("/api/dealer/send_request", body=body, changing=True)
                id = _id_of(sent)
            except PropOSError as error:
                errors.append(error)
                continue
            if self._session.signed_in != connection:
                connection, waiting = self._session.signed_in, set()  # results of another connection are gone
            waiting.add(id)
        return errors + await self._results(waiting, connection)

    async def _results(self, waiting: set[int], connection: int) -> list[PropOSError]:
        """Returns the refusals. A result that cannot be read any more is no error: the open positions tell."""
        errors: list[PropOSError] = []
        deadline, pause = time.monotonic() + self._seconds, _PAUSE
        while waiting:
            asked = ",".join(map(str, sorted(waiting)))
            try:
                answer = await self._session.ask("/api/dealer/get_request_result", {"id": asked})
            except (NotFound, Unavailable):
                return errors
            if self._session.signed_in != connection:
                return errors
            for id in sorted(waiting):
                retcode = _retcode(answer, id)
                if retcode is None or retcode in _UNFINISHED:
                    continue
                waiting.discard(id)
                if retcode not in _DONE:
                    errors.append(refusal(retcode, changing=False))
            if waiting and time.monotonic() > deadline:
                return [*errors, InProgress(f"{WHO}'s dealer is not finished.", remedy="Repeat it with its key.")]
            if waiting:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        return errors


def _read(shape: type[shapes.S], found: Iterable[object]) -> list[shapes.S]:
    try:
        return [shape.model_validate(row) for row in found]
    except ValueError:
        raise unreadable(changing=False) from None


def _id_of(answer: Answer) -> int:
    """Returns the id of a queued request. Raises OutcomeUnknown."""
    sent = answer.get("answer")
    found = next((sent[name] for name in ("ID", "id", "Id") if name in sent), None) if isinstance(sent, dict) else None
    if isinstance(found, int | str) and str(found).isdigit():
        return int(found)
    raise unreadable(changing=True)


def _retcode(answer: Answer, id: int) -> int | None:
    """Returns the code of a result; None while there is none. The results stand in the answer or directly under it."""
    inner = answer.get("answer")
    found = answer.get(str(id), inner.get(str(id)) if isinstance(inner, dict) else None)
    if not isinstance(found, list):
        return None
    for name, field in (("answer", "ResultRetcode"), ("result", "Retcode")):
        for part in found:
            told = part.get(name) if isinstance(part, dict) else None
            if isinstance(told, dict) and field in told:
                code = told[field]
                return retcode_of(str(code))
    return None


def _gravity(error: PropOSError) -> int:
    return 2 if isinstance(error, OutcomeUnknown) else 0 if isinstance(error, InProgress) else 1
