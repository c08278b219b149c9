"""Lists of the past, window by window. A window with more rows than the venue sends at once is asked in two parts, so
that it does not matter which rows the venue left out (the order is unverified)."""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from google.protobuf.message import Message

from adapters.ctrader.link import Link
from adapters.ctrader.session import WHO, Answer, Lost
from domain.errors import Unavailable
from wire.ctrader.OpenApiMessages_pb2 import (
    ProtoOACashFlowHistoryListReq,
    ProtoOACashFlowHistoryListRes,
    ProtoOADealListReq,
    ProtoOADealListRes,
    ProtoOAOrderDetailsReq,
    ProtoOAOrderListReq,
    ProtoOAOrderListRes,
)

List = Literal["orders", "deals", "cash"]
_WEEK: Final = 604_800_000  # milliseconds: the widest window of cash flows
_LATEST: Final = 2_147_483_646_000  # the last instant that a window may have
_ROWS: Final = 1000
_BY_ID: Final = 20  # orders that are asked for one by one; each takes as long as a whole list
_REQUESTS: Final[dict[List, Callable[[int, int, int], Message]]] = {
    "orders": lambda account, first, last: ProtoOAOrderListReq(
        ctidTraderAccountId=account, fromTimestamp=first, toTimestamp=last
    ),
    "deals": lambda account, first, last: ProtoOADealListReq(
        ctidTraderAccountId=account, fromTimestamp=first, toTimestamp=last, maxRows=_ROWS
    ),
    "cash": lambda account, first, last: ProtoOACashFlowHistoryListReq(
        ctidTraderAccountId=account, fromTimestamp=first, toTimestamp=last
    ),
}


@dataclass(frozen=True)
class Page:
    """All rows of one list from `first` to `last`, both in milliseconds of Unix time and both included."""

    list: List
    first: int
    last: int
    answer: Answer


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


async def pages(link: Link, account: int, name: List, first: int, last: int) -> AsyncIterator[Page]:
    """Yields the pages of a list from `first` to `last`, oldest first. Raises Unavailable and NotFound."""
    widest = _WEEK if name == "cash" else _LATEST
    waiting = [(first, last)]
    while waiting:
        start, end = waiting.pop()
        if end - start > widest:
            waiting += [(start + widest + 1, end), (start, start + widest)]
            continue
        answer = await link.one(account, _REQUESTS[name](account, start, end), history=True)
        if not _has_more(answer.message):
            yield Page(name, start, end, answer)
        elif start == end:
            raise Unavailable(f"{WHO} has more {name} of the account {account} in one millisecond than it sends.")
        else:
            middle = min(max(_middle(answer.message), start), end - 1)
            waiting += [(middle + 1, end), (start, middle)]


async def unlisted_orders(link: Link, account: int, pages: Iterable[Page]) -> list[Page]:
    """Returns the orders of the deals in the pages that are in none of them, each asked for by its id: the newest, and
    not those that the venue does not know. Raises Unavailable and NotFound."""
    listed: set[int] = set()
    wanted: dict[int, int] = {}  # order -> when it was filled
    for page in pages:
        message = page.answer.message
        if isinstance(message, ProtoOAOrderListRes):
            listed |= {order.orderId for order in message.order}
        elif isinstance(message, ProtoOADealListRes):
            wanted |= {deal.orderId: deal.executionTimestamp for deal in message.deal}
    newest = sorted(wanted.keys() - listed, key=lambda order_id: wanted[order_id])[-_BY_ID:]
    found: list[Page] = []
    for order_id in newest:
        request = ProtoOAOrderDetailsReq(ctidTraderAccountId=account, orderId=order_id)
        (outcome,) = await link.ask(account, [request], history=True)
        if isinstance(outcome, Lost):
            raise Unavailable(f"{WHO} does not answer.")
        if isinstance(outcome, Answer):
            found.append(Page("orders", wanted[order_id], wanted[order_id], outcome))
    return found


def _middle(message: Message) -> int:
    """Returns the time of the row in the middle of an incomplete list: about half of its rows are on each side."""
    times: list[int] = []
    if isinstance(message, ProtoOADealListRes):
        times = [deal.executionTimestamp for deal in message.deal]
    elif isinstance(message, ProtoOAOrderListRes):
        times = [order.utcLastUpdateTimestamp for order in message.order]
    return sorted(times)[len(times) // 2] if times else 0


def _has_more(message: Message) -> bool:
    """Raises Unavailable for an answer that is no list."""
    if isinstance(message, ProtoOADealListRes | ProtoOAOrderListRes):
        return message.hasMore
    if isinstance(message, ProtoOACashFlowHistoryListRes):
        return False
    raise Unavailable(f"{WHO} answers {message.DESCRIPTOR.name} to the question for a list.")
