"""`propos sandbox inject`: writes files of trades with planted abuse, labelled, beside decoys."""

import csv
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from adapters.statements.read import read_statement
from domain.errors import BadInput
from domain.histories.statements import Statement
from sandbox.injection.base import BaseTrade, market_of, plant_on
from sandbox.injection.firm import Account, Firm
from sandbox.injection.market import INSTRUMENTS, Market, Release, Track
from sandbox.injection.plant import check_patterns, plant
from sandbox.injection.population import populate
from sandbox.injection.synthetic import synthetic_market
from sandbox.injection.writing import ACCOUNTS, TRADES, Copied, write
from sandbox.instants import DAY, SECOND, to_us
from surveillance.build import events_table
from surveillance.files import facts
from surveillance.files.columns import read_columns
from surveillance.files.prices import read_prices
from surveillance.files.problems import Problems

_FIRST_DAY: Final = datetime(2024, 4, 1, tzinfo=UTC)
_DAYS: Final = 30
_FILES: Final = ("trades", "accounts", "orders", "symbols", "identity", "calendar")


def inject(
    out: Path,
    *,
    accounts: int,
    stories: int,
    decoys: int,
    seed: int,
    patterns: tuple[str, ...] = (),
    into: Path | None = None,
    statement: Path | None = None,
    prices: Path | None = None,
    calendar: Path | None = None,
    zone: str = "UTC",
) -> dict[str, Any]:
    """Returns the counts of what was written to the folder `out`. `into`: a folder of files into whose trades stories
    are planted; `statement`: a broker's statement instead. `prices`: a folder of recorded quotes, on
    which ordinary people and stories trade; `calendar`: the releases of that time.

    Raises BadInput, StatementInvalid, PriceFileInvalid.
    """
    chosen = check_patterns(patterns)
    _check(out, into, statement)
    rng = np.random.default_rng(seed)
    if into is None and statement is None:
        market = synthetic_market(rng, _FIRST_DAY, _DAYS) if prices is None else _recorded(prices, calendar)
        firm = Firm(market, rng)
        populate(firm, accounts)
        plant(firm, stories, decoys, chosen)
        counts = write(firm, out, seed, prices=firm.market.names if prices is None else ())
        _copy_prices(prices, out, firm.market)
        return counts
    copied = _files(into) if into is not None else _statement(statement, zone)
    trades, folder = _base_trades(copied), _prices_of(into, prices)
    quotes, ticks = _quotes(folder, trades)
    firm = Firm(market_of(rng, trades, quotes, _releases(copied), ticks), rng, _free_prefix(copied))
    plant_on(firm, trades, stories, chosen)
    populate(firm, accounts)
    plant(firm, stories, decoys, chosen)
    counts = write(firm, out, seed, copied, prices=tuple(set(firm.market.names) - set(quotes)))
    _copy_prices(folder, out, firm.market)
    return counts


def _copy_prices(folder: Path | None, out: Path, market: Market) -> None:
    """Copies the recorded quotes on which was traded: what is judged is what was recorded."""
    for path in () if folder is None else sorted(folder.glob("*_quote.zip")):
        name = path.stem.split("__")
        if len(name) > 3 and name[3].upper() in market.names:
            (out / "prices").mkdir(exist_ok=True)
            shutil.copyfile(path, out / "prices" / path.name)


def _check(out: Path, into: Path | None, statement: Path | None) -> None:
    if into is not None and statement is not None:
        raise BadInput("--into and --statement exclude each other.", field="into", remedy="Give one of them.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is not an empty folder.", field="out", remedy="Name a new folder.")


def _free_prefix(copied: Copied) -> str:
    """Returns the beginning of ids that no row has."""
    ids = {
        row.get(name) or "" for _, rows in copied.files.values() for row in rows for name in ("trade_id", "account_id")
    }
    taken = {id.partition("-")[0] for id in ids}
    return next(f"N{n}-" for n in range(len(taken) + 1) if f"N{n}" not in taken)


def _prices_of(into: Path | None, prices: Path | None) -> Path | None:
    if prices is None and into is not None and (into / "prices").is_dir():
        return into / "prices"
    return prices


def _files(folder: Path) -> Copied:
    copied = Copied()
    for name in _FILES:
        path = folder / f"{name}.csv"
        if path.exists():
            with path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.DictReader(file)
                rows = list(reader)
                copied.files[name] = (tuple(reader.fieldnames or ()), rows)
        elif name in ("trades", "accounts"):
            raise BadInput(
                f"{path} does not exist.", field="into", remedy="Name a folder with trades.csv and accounts.csv."
            )
    return copied


def _statement(path: Path | None, zone: str) -> Copied:
    """Returns the rows of files that a statement gives: one account, and its closed trades."""
    if path is None:
        return Copied()
    read = read_statement(path, zone)
    places = 10.0**-2
    balance = sum(row.amount_minor for row in read.balance_rows if row.amount_minor > 0 and not row.result) * places
    size = round(balance) or 100_000
    closed = [
        each for each in read.closed if each.closed_at and each.opening_price and each.closing_price and each.lots
    ]
    if not closed:
        raise BadInput(
            f"{path.name} has no closed trade with prices and lots.", field="statement", remedy="Use another one."
        )
    first = to_us(min(each.opened_at for each in closed))
    account = Account(read.account, f"owner of {read.account}", read.account, "funded", "two-step", size, first)
    row = [
        account.id, account.owner, account.challenge, account.phase, account.product, f"{size}.00", read.currency,
        f"{size // 20}.00", f"{size // 10}.00", "", "", "UTC", _iso(min(each.opened_at for each in closed)), "", "open",
    ]  # fmt: skip
    copied = Copied()
    copied.files["accounts"] = (ACCOUNTS, [dict(zip(ACCOUNTS, row, strict=True))])
    copied.files["trades"] = (TRADES, [dict(zip(TRADES, each, strict=True)) for each in _trade_rows(read, account)])
    return copied


def _trade_rows(read: Statement, account: Account) -> list[list[str]]:
    reasons = {"close": "", "stop_loss": "stop", "take_profit": "target"}
    rows = []
    for n, each in enumerate(read.closed):
        if each.closed_at is None or not each.opening_price or not each.closing_price or not each.lots:
            continue
        rows.append(
            [
                f"B{n + 1}", each.position_id, account.id, account.owner, each.symbol, each.side, str(each.lots),
                _iso(each.opened_at), str(each.opening_price), _iso(each.closed_at), str(each.closing_price),
                f"{each.net_minor / 100:.2f}", str(each.stop_price or ""), str(each.take_price or ""),
                reasons[each.ending], "", "",
            ]
        )  # fmt: skip
    return rows


def _base_trades(copied: Copied) -> list[BaseTrade]:
    """Returns the closed trades of the rows. Nothing is planted on a row that lacks a number or a time: it is copied as
    it is."""
    found = []
    for row in copied.files["trades"][1]:
        try:
            found.append(
                BaseTrade(
                    row["account_id"], row.get("owner_id", ""), row["symbol"],
                    1 if row["side"].lower() == "buy" else -1,
                    float(row["lots"]), _us(row["open_time"]), float(row["open_price"]), _us(row["close_time"]),
                    float(row["close_price"]), float(row["profit"] or 0),
                )
            )  # fmt: skip
        except (KeyError, ValueError):
            continue
    return [each for each in found if each.closed > each.opened]


def _releases(copied: Copied) -> tuple[Release, ...]:
    found = []
    for row in copied.files.get("calendar", ((), []))[1]:
        try:
            found.append(Release(_us(row["time"]), row["currency"], row["impact"], row.get("title", "")))
        except (KeyError, ValueError):
            continue
    return tuple(sorted(found, key=lambda each: each.at))


def _quotes(folder: Path | None, trades: list[BaseTrade]) -> tuple[dict[str, Track], tuple[str, ...]]:
    """Returns the recorded quotes of the symbols that are traded and known, and which of them are ticks."""
    if folder is None or not trades:
        return {}, ()
    traded = {INSTRUMENTS[t.symbol].synonym_of or t.symbol for t in trades if t.symbol in INSTRUMENTS}
    return _tracks(folder, traded)


def _tracks(folder: Path, wanted: set[str]) -> tuple[dict[str, Track], tuple[str, ...]]:
    found = read_prices(folder, lambda name: name if name in wanted else None, Problems(), lambda _: None)
    tracks = {}
    for symbol, quotes in found.items():
        parts = [quotes] if quotes.coarser is None else [quotes, quotes.coarser]
        # the last quotes of a bar are known at its end
        at = np.concatenate([each.at + (0 if each.resolution == "tick" else 59 * SECOND) for each in parts])
        order = np.argsort(at, kind="stable")
        bid, ask = (np.concatenate([getattr(each, side) for each in parts])[order] for side in ("bid", "ask"))
        tracks[symbol] = Track(at[order], bid, ask)
    return tracks, tuple(sorted(name for name, quotes in found.items() if quotes.resolution == "tick"))


def _recorded(folder: Path, calendar: Path | None) -> Market:
    """Returns the market of recorded quotes. Raises PriceFileInvalid, SurveillanceFileInvalid."""
    tracks, ticks = _tracks(folder, set(INSTRUMENTS))
    if not tracks:
        raise BadInput(
            f"{folder} has no quotes of the symbols that stories know.",
            field="prices",
            remedy=f"Give quotes of {', '.join(INSTRUMENTS)}.",
        )
    start = min(int(track.at[0]) for track in tracks.values())
    end = max(int(track.at[-1]) for track in tracks.values())
    found = () if calendar is None else tuple(each for each in _published(calendar) if start < each.at < end)
    return Market(tracks, INSTRUMENTS, found, start // DAY * DAY, end, ticks)


def _published(calendar: Path) -> list[Release]:
    form = facts.PUBLISHED_CALENDAR if facts.is_published(calendar) else facts.CALENDAR
    read = read_columns(calendar, form, Problems())
    told = events_table(facts.releases(read, published=facts.is_published(calendar)))
    impacts = ("", "low", "medium", "high")
    columns = (told.at.tolist(), told.currency.tolist(), told.impact.tolist(), told.title.tolist())
    return [Release(at, currency, impacts[impact], title) for at, currency, impact, title in zip(*columns, strict=True)]


def _us(text: str) -> int:
    at = datetime.fromisoformat(text)
    return to_us(at if at.tzinfo else at.replace(tzinfo=UTC))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
