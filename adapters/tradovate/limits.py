"""Loss limits that the venue holds: its post-trade limits (auto-liquidation) of an account."""

from decimal import Decimal
from typing import Any, Final

from adapters.tradovate.cash import minor_or_unavailable
from adapters.tradovate.client import Api
from adapters.tradovate.wire import UPDATE_LIMITS, number
from adapters.tradovate.wire import Limits as Row
from domain.errors import BadInput
from domain.products.second_wall import NO_FLOORS, Trail, VenueFloors

_MODES: Final[dict[Trail, str]] = {"end_of_day": "EOD", "live": "RealTime"}


class Limits:
    def __init__(self, api: Api, currency: str) -> None:
        self._api, self._currency = api, currency

    async def set(self, login: int, key: str, floors: VenueFloors) -> None:
        """Sends the limits unless the venue holds them already."""
        body = self._body(floors)
        if not body or _holds(await self._row(login), floors, await self.read(login)):
            return
        await self._api.change(UPDATE_LIMITS, {"accountId": login, **body, "doNotUnlock": True}, key)

    async def read(self, login: int) -> VenueFloors:
        row = await self._row(login)
        return NO_FLOORS if row is None else self.of(row)

    def of(self, row: Row) -> VenueFloors:
        return VenueFloors(
            daily_loss_minor=self._minor(row.dailyLossAutoLiq),
            trailing_loss_minor=self._minor(row.trailingMaxDrawdown),
            trailing_stop_minor=self._minor(row.trailingMaxDrawdownLimit),
            trail="end_of_day" if row.trailingMaxDrawdownMode == _MODES["end_of_day"] else "live",
        )

    async def _row(self, login: int) -> Row | None:
        rows = await self._api.rows(Row, "userAccountAutoLiq/deps", masterid=login)
        return rows[0] if rows else None

    def _minor(self, amount: Decimal | None) -> int | None:
        return None if amount is None else minor_or_unavailable(amount, self._currency)

    def _body(self, floors: VenueFloors) -> dict[str, Any]:
        """`trailingMaxDrawdownLimit` as the equity at which the floor stops rising is unverified."""
        if floors.trailing_stop_minor is not None and floors.trailing_loss_minor is None:
            raise BadInput("A floor that stops rising needs a trailing loss.", field="trailing_loss_minor")
        amounts = {
            "dailyLossAutoLiq": floors.daily_loss_minor,
            "trailingMaxDrawdown": floors.trailing_loss_minor,
            "trailingMaxDrawdownLimit": floors.trailing_stop_minor,
        }
        body: dict[str, Any] = {}
        for name, amount in amounts.items():
            if amount is not None:
                if amount <= 0:
                    raise BadInput("A loss limit is above zero.", field=name)
                body[name] = number(amount, self._currency)
        if floors.trailing_loss_minor is not None:
            body["trailingMaxDrawdownMode"] = _MODES[floors.trail]
        return body


def _holds(row: Row | None, wanted: VenueFloors, held: VenueFloors) -> bool:
    pairs = (
        (wanted.daily_loss_minor, held.daily_loss_minor),
        (wanted.trailing_loss_minor, held.trailing_loss_minor),
        (wanted.trailing_stop_minor, held.trailing_stop_minor),
    )
    same = all(ours is None or ours == theirs for ours, theirs in pairs)
    trails = wanted.trailing_loss_minor is None or wanted.trail == held.trail
    return row is not None and row.doNotUnlock and same and trails
