"""Every forgery of one figure of a proof sheet."""

import copy
import re
from collections.abc import Iterator
from typing import Any

from domain.proofs import money as proof

# Fields that the checker takes as given: the account, and inputs from the venue, the clock and the record. Only the
# hash guards them. The state from which a history begins is compared with its point on record.
GIVEN = re.compile(
    r"""proof_id | account\.(account_id|challenge_id|login) | event\.(seq|symbol) | offence
    | balance\.(opening_seq|opening_at) | balance\.movements\.\d+\.(seq|at|kind|reference)
    | costs\.\w+ | source\.(at|minute|file|open_minor|high_minor|close_minor|sha256|seq)
    | positions\.\d+\.(position_id|opened_at) | positions\.\d+\.(conversion_)?quote\.(seq|at|bid|ask)
    | positions\.\d+\.contract_size
    | (rule\.floor|rooms\.\d+)\.basis\.(set_seq|set_at|balance_minor|equity_minor)
    | target\.trading_days\.\d+ | now\.\w+ | confirmation\..*
    | history\.(began|point)\..*
    | history\.joined_midway | history\.events\.\d+\.\w+ | history\.calendars\.\d+\.opens\.\d+\.\d+
    | facts\.(last_fee_minor|paid_gross_minor|paid_trader_minor|payouts_paid|pending_orders|profit_minor)
    """,
    re.VERBOSE,
)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The paths of every number, text, truth value and null of a JSON document."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def changed(value: Any) -> Any:
    if value is None:
        return 1
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    digits = [index for index, letter in enumerate(value) if letter.isdigit()]
    if not digits:
        return value + "x"
    last = digits[-1]
    return value[:last] + str((int(value[last]) + 1) % 10) + value[last + 1 :]


def forgeries(sheet: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, the sheet with that one figure changed) for every leaf."""
    for path in leaves(sheet):
        forged = copy.deepcopy(sheet)
        place: Any = forged
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = changed(place[path[-1]])
        yield ".".join(map(str, path)), forged


def resealed(sheet: dict[str, Any]) -> dict[str, Any]:
    return {**sheet, "hash": proof.digest(sheet)}
