"""Holds a fact of a venue to the types that ports/venue.py gives its fields, and turns a fill into a deal."""

from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from ports.venue import Fact, Fill, Snapshot, Unreadable


@cache
def _model(kind: Any) -> tuple[tuple[str, ...], type[BaseModel]]:
    """The names of the fields of a kind of fact, and a strict model of them: no text is a number, no number a text."""
    hints = get_type_hints(kind)
    names = tuple(each.name for each in fields(kind))
    config = ConfigDict(strict=True, arbitrary_types_allowed=True)
    given: dict[str, Any] = {name: (hints[name], ...) for name in names}
    return names, create_model(kind.__name__, __config__=config, **given)


def checked(fact: Fact) -> Fact:
    """Returns the fact. Raises Unreadable if a value has another type than its field, a number is not finite, or a time
    is not aware. A decoder that builds facts from values it has not looked at passes them through here."""
    kind: Any = type(fact)
    names, model = _model(kind)
    values = {name: getattr(fact, name) for name in names}
    try:
        model.model_validate(values)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False, include_context=False)[0]
        raise Unreadable(f"{type(fact).__name__}.{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
    times = [values.get("at")]
    if isinstance(fact, Snapshot):
        times += [each.opened_at for each in fact.account.positions]
    if any(isinstance(at, datetime) and at.utcoffset() is None for at in times):
        raise Unreadable(f"{type(fact).__name__}.at: the time has no zone")
    return fact


def of_deal(fill: Fill, profit_minor: int) -> dict[str, Any]:
    """Returns the values of a deal that the fill itself gives."""
    return {
        "deal_id": fill.fill_id,
        "login": fill.login,
        "position_id": fill.position_id,
        "symbol": fill.symbol,
        "side": fill.side,
        "lots": fill.lots,
        "price": fill.price,
        "entry": fill.entry,
        "profit_minor": profit_minor,
        "commission_minor": fill.commission_minor,
        "swap_minor": fill.swap_minor,
        "fee_minor": fill.fee_minor,
        "reason": fill.reason,
        "stop_loss": fill.stop_loss,
        "take_profit": fill.take_profit,
        "expert_id": fill.expert_id,
        "comment": fill.comment,
        "bid": fill.bid,
        "ask": fill.ask,
    }
