"""A what-if as it is asked over HTTP, by a program or with a form."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from domain.errors import BadInput
from domain.exposure.shocks import HISTORIC, Shock, parse
from front.fields import Input


class WhatIfBody(Input):
    """`shock`: text such as "XAUUSD -2 %, EURUSD +0.5 %". `day`: a historic day in its place. `ladder`: the named
    symbols, or everything that is held, move together from -5 to +5 percent. The rest: see `Shock`."""

    shock: Annotated[str, Field(max_length=2_000)] = ""
    day: Annotated[str, Field(max_length=10)] | None = None
    ladder: bool = False
    crosses: Literal["implied", "named"] = "implied"
    spread: Annotated[Decimal, Field(ge=1, le=100)] = Decimal(1)
    stops: Literal["none", "gap", "walk"] = "gap"
    passes: Literal["closing", "flat"] = "closing"


def read_body(values: Mapping[str, Any]) -> WhatIfBody:
    """Reads the fields of a form or of a command. Raises BadInput that names the field."""
    try:
        return WhatIfBody.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "shock"
        raise BadInput(f"{field.capitalize()}: {first['msg']}.", field=field, remedy="Correct it.") from error


def shock_of(body: WhatIfBody) -> Shock:
    """Returns the shock that a body asks for. Raises BadInput."""
    moves: dict[str, Decimal] = {}
    if body.day is not None:
        day = next((each for each in HISTORIC if each.name == body.day), None)
        if day is None:
            known = ", ".join(each.name for each in HISTORIC)
            raise BadInput(f"{body.day} is no known day.", field="day", remedy=f"Use one of {known}.")
        moves = day.moves
    elif body.shock.strip() or not body.ladder:
        moves = parse(body.shock)
    return Shock(moves=moves, crosses=body.crosses, spread=body.spread, stops=body.stops, passes=body.passes)
