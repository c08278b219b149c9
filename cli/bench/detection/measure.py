"""`propos bench detection`: freshly made firms with planted abuse, judged as `propos surveil` judges files."""

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from cli.bench.detection.score import Alert, Scored, figures, planted_of, score
from sandbox.injection.firm import Firm
from sandbox.injection.plant import check_patterns, plant
from sandbox.injection.population import populate
from sandbox.injection.synthetic import synthetic_market
from sandbox.injection.writing import write
from surveillance.book import Book
from surveillance.files.read import Files, read_book
from surveillance.registry import default_patterns
from surveillance.run import Result, run

FITTED_ON: Final = (1, 2, 3, 4, 5, 6, 7, 8)  # seeds on which thresholds were chosen: measure on others
_FIRST_DAY: Final = datetime(2024, 4, 1, tzinfo=UTC)
_DAYS: Final = 30
_WITHOUT_ORDERS: Final = "news_straddle_without_orders"
_MATCHING: Final = (
    "an alert is right when half of its accounts belong to stories that accept its pattern; a story is found when"
    " right alerts name half of its accounts, and two of them where it has two"
)
_STEPS_EACH: Final = 3  # made, judged, judged without orders


@dataclass(frozen=True)
class Scale:
    """`firms`: each has so many ordinary accounts, and so many stories and decoys of each pattern."""

    firms: int = 6
    accounts: int = 1_200
    stories: int = 18
    decoys: int = 8

    @property
    def steps(self) -> int:
        return self.firms * _STEPS_EACH


def measure(
    seed: int,
    scale: Scale,
    workers: int,
    patterns: tuple[str, ...],
    step: Callable[[str], None],
    *,
    details: bool = False,
) -> dict[str, Any]:
    """Returns the figures by pattern. `details`: with examples of what was missed and what was false.

    Raises BadInput for an unknown pattern, ValueError when a pattern failed.
    """
    chosen = check_patterns(patterns)
    began = time.perf_counter()
    sums, without = Scored(), Scored()
    cannot, seconds, counts = dict[str, str](), Counter[str](), Counter[str]()
    for number in range(scale.firms):
        with TemporaryDirectory(prefix="propos-detection-") as folder:
            made = make_firm(Path(folder), seed, number, scale, chosen)
            counts.update(made)
            step(f"firm {number + 1}: {made['trades']} trades of {made['accounts']} accounts")
            planted = planted_of(json.loads((Path(folder) / "labels.json").read_text())["stories"])
            book, _ = read_book(files_of(Path(folder)))
            result = _judged(book, chosen, workers)
            score(sums, _alerts(result), planted, made["accounts"])
            step(f"firm {number + 1} judged")
            if "news_straddle" in chosen:
                unknown = {**book.missing, "orders": "orders are left out"}
                bare = _judged(replace(book, orders=None, missing=unknown), ("news_straddle",), workers)
                score(without, _alerts(bare), planted, made["accounts"], only="news_straddle")
            step(f"firm {number + 1} judged without orders")
        seconds.update({name: round(value, 2) for name, value in result.seconds.items()})
        cannot.update(result.cannot_judge)
    found = {name: figures(sums.of(name)) for name in chosen}
    if "news_straddle" in chosen:
        found[_WITHOUT_ORDERS] = figures(without.of("news_straddle"))
    return {
        "seed": seed,
        "fitted_on_seeds": list(FITTED_ON),
        "matching": _MATCHING,
        **dict(counts),
        "patterns": found,
        **_on_ordinary(sums),
        "cannot_judge": cannot,
        "seconds_of": {name: round(value, 1) for name, value in seconds.items()},
        "seconds": round(time.perf_counter() - began, 1),
        **({"missed": sums.missed, "false": sums.false, "false_without_orders": without.false} if details else {}),
    }


def _on_ordinary(sums: Scored) -> dict[str, Any]:
    decoys = sorted(sums.decoys_planted.items())
    return {
        "ordinary_accounts": sums.ordinary,
        "false_on_ordinary": sums.false_ordinary,
        "false_per_1000_ordinary": round(1000 * sums.false_ordinary / max(1, sums.ordinary), 3),
        "notes": sums.notes,
        "decoys_flagged": {name: f"{sums.decoys[name]} alerts of {of} decoys" for name, of in decoys},
    }


def make_firm(folder: Path, seed: int, number: int, scale: Scale, patterns: tuple[str, ...]) -> dict[str, Any]:
    """Writes the files of one firm; the same seed and number write the same."""
    rng = np.random.default_rng((seed, number))
    market = synthetic_market(rng, _FIRST_DAY + timedelta(35 * (number % 6)), _DAYS)
    firm = Firm(market, rng)
    populate(firm, scale.accounts)
    plant(firm, scale.stories, scale.decoys, patterns)
    return write(firm, folder, seed)


def files_of(folder: Path) -> Files:
    """Returns the files that `propos sandbox inject` writes into a folder."""
    return Files(
        trades=folder / "trades.csv",
        accounts=folder / "accounts.csv",
        orders=folder / "orders.csv",
        prices=folder / "prices",
        symbols=folder / "symbols.csv",
        calendar=folder / "calendar.csv",
        identity=folder / "identity.csv",
    )


def _judged(book: Book, patterns: tuple[str, ...], workers: int) -> Result:
    there = default_patterns()
    result = run(book, [there[name] for name in patterns if name in there], workers)
    if result.failed:
        raise ValueError(f"patterns failed: {dict(result.failed)}")
    return result


def _alerts(result: Result) -> list[Alert]:
    return [
        Alert(
            each.detector,
            frozenset(involved.account_id for involved in each.accounts),
            each.severity == "note",
            float(each.score),
            each.sentence,
        )
        for each in result.alerts
    ]
