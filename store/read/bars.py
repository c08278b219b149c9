"""Equity bars of both lengths as one table: minutes, and the hours that old minutes were made into."""

from typing import Final

from sqlalchemy import Integer, literal, select, union_all

from store.models import EquityBar, HourBar

_MINUTES: Final = select(
    EquityBar.account_id,
    EquityBar.minute,
    literal(1, Integer).label("minutes"),
    EquityBar.open_minor,
    EquityBar.high_minor,
    EquityBar.low_minor,
    EquityBar.close_minor,
    EquityBar.balance_minor,
)
_HOURS: Final = select(
    HourBar.account_id,
    HourBar.hour,
    literal(60, Integer).label("minutes"),
    HourBar.open_minor,
    HourBar.high_minor,
    HourBar.low_minor,
    HourBar.close_minor,
    HourBar.balance_minor,
)
# Columns: account_id, minute (the start), minutes (the length: 1 or 60), and the figures. No minute is in two bars.
ALL: Final = union_all(_MINUTES, _HOURS).subquery("bars")
