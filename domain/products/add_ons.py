"""Add-ons of a product: each is sold for a price and changes terms. The terms with the changes are a product of their
own, with a content hash of its own, to which the account is pinned.

`changes` maps the place of a field to its new value. A place is written as steps with points: `payout.split_pct`,
`funded.rules.news`, `phases.0.rules.max_loss.allowance.value`. A step in a list is the id of a rule or a number; null
removes that element of a list.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from decimal import Decimal
from itertools import combinations
from typing import Annotated, Any, Final

from pydantic import Field, JsonValue

from domain.errors import BadInput, OrderRefused
from domain.fees import Price, price_minor
from domain.file_errors import ProductInvalid
from domain.rules.terms import Terms, Where
from domain.selling.price import PriceLine

CHANGEABLE: Final = frozenset({"phases", "funded", "payout", "leverage"})
LONGEST_NAME: Final = 31  # of a product with add-ons: "-x" and 8 digits follow in the name of a variant
_LONGEST_TITLE: Final = 80

AddOnId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
Place = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}(\.[a-z0-9_]{1,40}){0,9}$")]


class AddOn(Terms):
    """`price`: in major units, or a percentage of the fee."""

    id: AddOnId
    name: Annotated[str, Field(min_length=1, max_length=60)]
    price: Price
    changes: Annotated[Mapping[Place, JsonValue], Field(min_length=1, max_length=20)]

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        if isinstance(self.price, Decimal):
            yield ("price",), self.price

    def line(self, fee_minor: int, currency: str) -> PriceLine:
        """Returns the price of the add-on. `fee_minor`: of the product."""
        amount = price_minor(self.price, fee_minor, currency)
        return PriceLine(kind="add_on", code=self.id, label=self.name, amount_minor=amount)


def chosen(sold: Sequence[AddOn], ids: Sequence[str]) -> tuple[AddOn, ...]:
    """Returns the add-ons with these ids, in the order of the product. Raises BadInput for one that is not sold or is
    named twice, OrderRefused for two that change the same."""
    known = {add_on.id for add_on in sold}
    for wanted in ids:
        if wanted not in known:
            listed = ", ".join(add_on.id for add_on in sold) or "none"
            raise BadInput(
                f"There is no add-on {wanted!r}.", field="add_ons", remedy=f"Add-ons of this product: {listed}."
            )
    if len(set(ids)) < len(ids):
        raise BadInput("An add-on is named twice.", field="add_ons", remedy="Name each add-on once.")
    found = tuple(add_on for add_on in sold if add_on.id in ids)
    for first, second in combinations(found, 2):
        if any(_overlap(one, other) for one in first.changes for other in second.changes):
            raise OrderRefused(
                f'"{first.name}" and "{second.name}" change the same terms.',
                field="add_ons",
                remedy="Choose one of them.",
            )
    return found


def with_changes(terms: dict[str, Any], add_ons: Sequence[AddOn]) -> dict[str, Any]:
    """Returns the terms as data with the changes of these add-ons, under a name of their own. `terms`: with every
    field. Raises ProductInvalid for a place that is not there."""
    body = deepcopy(terms)
    for add_on in add_ons:
        for place, value in add_on.changes.items():
            _change(body, place, value)
    title = f"{body['name']} with {', '.join(add_on.name for add_on in add_ons)}"
    few = f"{body['name'][:60]} with {len(add_ons)} add-ons"
    return body | {
        "product": variant_name(body["product"], [add_on.id for add_on in add_ons]),
        "name": title if len(title) <= _LONGEST_TITLE else few,
        "add_ons": [],
    }


def variant_name(product: str, ids: Iterable[str]) -> str:
    """Returns the name on the shelf of a product with these add-ons."""
    return f"{product}-x{hashlib.sha256(','.join(ids).encode()).hexdigest()[:8]}"


def _overlap(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _change(body: dict[str, Any], place: str, value: JsonValue) -> None:
    """Changes one field of the terms as data. Raises ProductInvalid for a place that is not there."""
    *before, last = place.split(".")
    if (before or [last])[0] not in CHANGEABLE:
        raise ProductInvalid(
            f"{place} cannot be changed by an add-on.",
            field=place,
            remedy=f"It may change {', '.join(sorted(CHANGEABLE))}.",
        )
    part: Any = body
    for step in before:
        part = part[_key(part, step, place)]
    key = _key(part, last, place)
    if isinstance(part, list) and value is None:
        del part[key]
    else:
        part[key] = value


def _key(part: Any, step: str, place: str) -> Any:
    """Returns the key or the number of `step` in this part of the terms."""
    if isinstance(part, dict) and step in part:
        return step
    if isinstance(part, list):
        for number, item in enumerate(part):
            if str(number) == step or (isinstance(item, dict) and item.get("id") == step):
                return number
    raise ProductInvalid(f"{place}: there is no {step!r}.", field=place, remedy="Write the place as in the definition.")
