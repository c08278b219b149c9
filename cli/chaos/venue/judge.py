"""What went wrong on the day, from the fake's own book, the stream and the record. No code of gateway or monitor."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from cli.chaos.venue.kinds import Book

FIGURES: Final = ("lost", "twice", "false_breaches", "missed_breaches", "unlocked_after_breach")
HEALING: Final = ("lost", "missed_breaches", "unlocked_after_breach")  # what may still come when it is waited for


@dataclass
class Told:
    """What the stream said. `deals`: how often each id came. `lots`: of each deal. `money`: the sum of each operation,
    by login and key: a venue may book a large one in parts. `gaps`: of the reader, in words."""

    deals: Counter[str] = field(default_factory=Counter)
    lots: dict[str, Decimal] = field(default_factory=dict)
    money: Counter[tuple[int, str]] = field(default_factory=Counter)  # minor units
    gaps: list[str] = field(default_factory=list)


def judge(
    books: Mapping[int, Book],
    told: Told,
    breached: set[int],
    deposits: Mapping[int, tuple[str, int]],
    floor: Decimal,
    fill_of: Callable[[str], str],
    *,
    rights_matter: bool = True,
) -> dict[str, list[str]]:
    """Returns what is wrong, in words, for each figure. `breached`: logins with a breach on the record. `deposits`: key
    and minor units of each account's first deposit. `rights_matter`: a breached account may not trade; else it only may
    not hold anything, because a person has not disabled it yet at a venue where programs cannot."""
    found: dict[str, list[str]] = {name: [] for name in FIGURES}
    found["lost"] += told.gaps
    _judge_fills(found, books, told, fill_of)
    _judge_deposits(found, told, deposits)
    for login, book in books.items():
        fell = book.lowest is not None and book.lowest < floor
        about = f"account {login}, lowest equity {book.lowest}, floor {floor}"
        if login in breached and not fell:
            found["false_breaches"].append(about)
        if fell and login not in breached:
            found["missed_breaches"].append(about)
        may_trade = book.enabled and rights_matter
        if (fell or login in breached) and (may_trade or book.open):
            state = f"holds {len(book.open)} positions" if book.open else "may trade"
            found["unlocked_after_breach"].append(f"account {login} {state}")
    return found


def _judge_fills(
    found: dict[str, list[str]], books: Mapping[int, Book], told: Told, fill_of: Callable[[str], str]
) -> None:
    lots: defaultdict[str, Decimal] = defaultdict(Decimal)
    for deal_id, count in told.deals.items():
        lots[fill_of(deal_id)] += told.lots[deal_id]
        if count > 1:
            found["twice"].append(f"deal {deal_id} came {count} times")
    known = {name: size for book in books.values() for name, size in book.fills.items()}
    for name, size in known.items():
        if lots[name] < size:
            found["lost"].append(f"fill {name}: {lots[name]} of {size} lots")
        elif lots[name] > size:
            found["twice"].append(f"fill {name}: {lots[name]} instead of {size} lots")
    found["twice"] += [f"fill {name}, which the venue does not have" for name in lots if name not in known]


def _judge_deposits(found: dict[str, list[str]], told: Told, deposits: Mapping[int, tuple[str, int]]) -> None:
    for login, (key, amount) in deposits.items():
        came = told.money[login, key]
        if came != amount:
            words = f"of the deposit of account {login} came {came} instead of {amount} minor units"
            found["lost" if came < amount else "twice"].append(words)
