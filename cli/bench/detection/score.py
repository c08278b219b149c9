"""Compares alerts with what was planted.

An alert is right when at least half of the accounts that it names belong to stories for which its pattern is
accepted; else it is false. A story is found when right alerts together name at least half of its accounts, and two of
them where it has two or more. Alerts of severity `note` hold nothing: they are counted apart, and neither find a
story nor are false.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Final

_Z: Final = 1.959964  # 95 %
GRADES: Final = ("easy", "medium", "hard")


@dataclass(frozen=True)
class Alert:
    pattern: str
    accounts: frozenset[str]
    note: bool
    score: float = 1.0
    reason: str = ""


@dataclass(frozen=True)
class Planted:
    """A story, or a decoy when `accepted` is empty."""

    id: str
    pattern: str
    accepted: frozenset[str]
    accounts: frozenset[str]
    grade: str
    kind: str
    decoy_of: str


@dataclass
class Tally:
    """What was planted and what was said, of one pattern. `by_grade`: grade -> (planted, found)."""

    planted: int = 0
    found: int = 0
    found_by_name: int = 0
    right: int = 0
    false: int = 0
    false_on_decoys: int = 0
    by_grade: dict[str, list[int]] = field(default_factory=lambda: {grade: [0, 0] for grade in GRADES})


@dataclass
class Scored:
    """`missed`, `false`: examples, for people. `ordinary`: accounts of nobody's story; `false_ordinary`: false alerts
    about them."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    ordinary: int = 0
    false_ordinary: int = 0
    notes: int = 0
    decoys: Counter[str] = field(default_factory=Counter)
    decoys_planted: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)

    def of(self, pattern: str) -> Tally:
        return self.tallies.setdefault(pattern, Tally())


def planted_of(labels: Iterable[Mapping[str, Any]]) -> list[Planted]:
    """Returns the stories and decoys of a file of labels."""
    return [
        Planted(
            each["id"],
            each["pattern"],
            frozenset(each["accepted"]),
            frozenset(each["accounts"]),
            each["grade"],
            each["kind"],
            each["decoy_of"],
        )
        for each in labels
    ]


def score(into: Scored, alerts: Sequence[Alert], planted: Sequence[Planted], accounts: int, *, only: str = "") -> None:
    """Adds one firm to the sums. `accounts`: all of the firm. `only`: the one pattern that is counted."""
    by_account: dict[str, list[Planted]] = {}
    for each in planted:
        for name in each.accounts:
            by_account.setdefault(name, []).append(each)
    into.ordinary += accounts - len(by_account)
    named: dict[tuple[str, str], set[str]] = {}
    for alert in alerts:
        if only and alert.pattern != only:
            continue
        if alert.note:
            into.notes += 1
            continue
        stories = [each for each in _touched(alert, by_account) if alert.pattern in each.accepted]
        explained = set[str]().union(*(alert.accounts & each.accounts for each in stories))
        right = 2 * len(explained) >= len(alert.accounts)
        for each in stories if right else ():
            named.setdefault((each.id, alert.pattern), set()).update(alert.accounts & each.accounts)
        if right:
            into.of(alert.pattern).right += 1
        else:
            _false(into, alert, _touched(alert, by_account))
    for each in planted:
        _found(into, each, named, only)


def _touched(alert: Alert, by_account: Mapping[str, list[Planted]]) -> list[Planted]:
    return list({each.id: each for name in sorted(alert.accounts) for each in by_account.get(name, ())}.values())


def _false(into: Scored, alert: Alert, touched: Sequence[Planted]) -> None:
    tally = into.of(alert.pattern)
    tally.false += 1
    about = ", ".join(f"{each.pattern or 'decoy of ' + each.decoy_of} ({each.kind})" for each in touched) or "ordinary"
    into.false.append(f"{alert.pattern} {alert.score:.2f} on {about}: {alert.reason}")
    if not touched:
        into.false_ordinary += 1
    if any(not each.accepted for each in touched):
        tally.false_on_decoys += 1
        for each in touched:
            into.decoys[f"{each.decoy_of}: {each.kind}"] += not each.accepted


def _found(into: Scored, each: Planted, named: Mapping[tuple[str, str], set[str]], only: str) -> None:
    if not each.accepted:
        into.decoys_planted[f"{each.decoy_of}: {each.kind}"] += 1
        return
    if only and each.pattern != only:
        return
    tally = into.of(each.pattern)
    least = max(min(2, len(each.accounts)), (len(each.accounts) + 1) // 2)
    all_names = set[str]().union(*(named.get((each.id, pattern), set()) for pattern in each.accepted))
    tally.planted += 1
    tally.by_grade[each.grade][0] += 1
    if len(all_names) >= least:
        tally.found += 1
        tally.by_grade[each.grade][1] += 1
    else:
        into.missed.append(f"{each.pattern} {each.grade} {each.id} ({each.kind}, {len(each.accounts)} accounts)")
    tally.found_by_name += len(named.get((each.id, each.pattern), set())) >= least


def wilson(count: int, of: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share; (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share, spread = count / of, _Z * _Z / of
    centre = (share + spread / 2) / (1 + spread)
    half = _Z * sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return round(max(0.0, centre - half), 4), round(min(1.0, centre + half), 4)


def figures(tally: Tally) -> dict[str, Any]:
    """Returns the figures of one pattern; a share of nothing is None."""
    said = tally.right + tally.false
    return {
        "planted": tally.planted,
        "found": tally.found,
        "found_by_name": tally.found_by_name,
        "false": tally.false,
        "false_on_decoys": tally.false_on_decoys,
        "recall": _share(tally.found, tally.planted),
        "recall_interval": wilson(tally.found, tally.planted),
        "precision": _share(tally.right, said),
        "precision_interval": wilson(tally.right, said),
        "recall_by_grade": {grade: _share(found, of) for grade, (of, found) in tally.by_grade.items()},
    }


def _share(count: int, of: int) -> float | None:
    return round(count / of, 4) if of else None
