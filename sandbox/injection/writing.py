"""Writes a made-up firm as files: trades, accounts, orders, symbols, identity, calendar, prices, and the labels."""

import csv
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from sandbox.injection.firm import NEVER, Account, Firm, columns
from sandbox.injection.market import Ints, Market, Track
from sandbox.instants import DAY, MINUTE, from_us

TRADES: Final = (
    *(
        "trade_id",
        "position_id",
        "account_id",
        "owner_id",
        "symbol",
        "side",
        "lots",
        "open_time",
        "open_price",
        "close_time",
    ),
    *("close_price", "profit", "stop_loss", "take_profit", "reason", "expert_id", "comment"),
)
ACCOUNTS: Final = (
    *(
        "account_id",
        "owner_id",
        "challenge_id",
        "phase",
        "product",
        "size",
        "currency",
        "daily_loss",
        "max_loss",
        "target",
    ),
    *("min_days", "timezone", "opened_at", "ended_at", "outcome"),
)
ORDERS: Final = (
    *(
        "order_id",
        "account_id",
        "symbol",
        "side",
        "type",
        "lots",
        "price",
        "placed_at",
        "done_at",
        "state",
        "position_id",
    ),
)
SYMBOLS: Final = ("symbol", "class", "base", "quote", "contract_size", "digits", "synonym_of")
IDENTITY: Final = ("account_id", "owner_id", "kind", "value", "time")
CALENDAR: Final = ("time", "currency", "impact", "title")
_CLASSES: Final = {"forex": "forex", "crypto": "crypto"}


@dataclass
class Copied:
    """Rows of files into which stories were planted, as they were: name of the file -> (columns, rows)."""

    files: dict[str, tuple[tuple[str, ...], list[dict[str, str]]]] = field(default_factory=dict)

    def rows(self, name: str, heads: Sequence[str]) -> list[list[str]]:
        _, rows = self.files.get(name, ((), []))
        return [[row.get(head, "") or "" for head in heads] for row in rows]


def write(
    firm: Firm, out: Path, seed: int, copied: Copied | None = None, *, prices: Sequence[str] | None = None
) -> dict[str, Any]:
    """Writes the firm into the folder and returns the counts. `prices`: the symbols whose quotes are
    written; None: all."""
    out.mkdir(parents=True, exist_ok=True)
    copied = copied or Copied()
    trades = columns(firm.blocks)
    order = np.argsort(trades["opened"], kind="stable")
    ids = firm.rng.permutation(len(order)) + 1
    trade_rows = list(_trades(firm, {name: each[order] for name, each in trades.items()}, ids))
    _write(out / "trades.csv", TRADES, [*copied.rows("trades", TRADES), *trade_rows])
    people = [_account(firm.accounts[n]) for n in firm.rng.permutation(len(firm.accounts)).tolist()]
    _write(out / "accounts.csv", ACCOUNTS, [*copied.rows("accounts", ACCOUNTS), *people])
    _write(out / "orders.csv", ORDERS, [*copied.rows("orders", ORDERS), *_orders(firm)])
    _write(out / "symbols.csv", SYMBOLS, [*copied.rows("symbols", SYMBOLS), *_symbols(firm.market, copied)])
    facts = _facts(firm)
    told = [facts[n] for n in firm.rng.permutation(len(facts)).tolist()]
    _write(out / "identity.csv", IDENTITY, [*copied.rows("identity", IDENTITY), *told])
    if "calendar" in copied.files:
        _write(out / "calendar.csv", CALENDAR, copied.rows("calendar", CALENDAR))
    else:
        _write(
            out / "calendar.csv", CALENDAR, ((_iso(r.at), r.currency, r.impact, r.title) for r in firm.market.releases)
        )
    write_prices(firm.market, out / "prices", firm.market.names if prices is None else prices)
    labels = _labels(firm, trades["story"][order], trades["account"][order], ids)
    (out / "labels.json").write_text(json.dumps({"seed": seed, "stories": labels}, indent=1) + "\n")
    return {
        "accounts": len(people),
        "trades": len(trade_rows),
        "orders": sum(len(block["done"]) for block in firm.order_blocks),
        "stories": sum(1 for each in labels if not each["decoy_of"]),
        "decoys": sum(1 for each in labels if each["decoy_of"]),
    }


def _facts(firm: Firm) -> list[list[str]]:
    """Returns the identity facts: addresses and devices once for each account of the owner, the others once."""
    accounts: dict[str, list[str]] = {}
    for each in firm.accounts:
        accounts.setdefault(each.owner, []).append(each.id)
    rows = []
    for owner, kind, value, at in firm.identities:
        own = accounts.get(owner, [])
        for account in own if kind in ("ip", "device") else own[:1]:
            rows.append([account, owner, kind, value, _iso(at)])
    return rows


def _labels(firm: Firm, story: Ints, account: Ints, ids: Ints) -> list[dict[str, Any]]:
    """A story of which nothing could be traded, because its market had no fitting hours, is left out."""
    order = np.argsort(story, kind="stable")
    found, starts = np.unique(story[order], return_index=True)
    rows = dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True))
    traded = {firm.accounts[n].id for n in np.unique(account).tolist()}
    labels = []
    for each in firm.stories:
        own = rows.get(each.id)
        if own is None and each.patterns and each.patterns[0] != "shared_identity":
            continue
        accounts = [name for name in each.roles if name in traded]
        labels.append(
            {
                "id": f"S{each.id}",
                "pattern": each.patterns[0] if each.patterns else "",
                "accepted": list(each.patterns),
                "decoy_of": each.decoy_of,
                "grade": each.grade if each.patterns else "",
                "kind": each.kind,
                "accounts": accounts,
                "roles": {name: role for name, role in each.roles.items() if name in traded},
                "trades": [] if own is None else [f"{firm.prefix}T{n}" for n in ids[own].tolist()],
            }
        )
    return labels


def _trades(firm: Firm, rows: dict[str, Any], ids: Ints) -> Iterator[list[str]]:
    opened, closed = _isos(rows["opened"]), _isos(rows["closed"])
    digits = {name: each.digits for name, each in firm.market.instruments.items()}
    accounts = [(each.id, each.owner) for each in firm.accounts]
    columns_ = (
        *(rows["account"].tolist(), rows["symbol"].tolist(), rows["side"].tolist(), rows["lots"].tolist(), opened),
        *(
            rows["open_price"].tolist(),
            closed,
            rows["close_price"].tolist(),
            rows["profit"].tolist(),
            rows["stop"].tolist(),
        ),
        *(rows["target"].tolist(), rows["reason"].tolist(), rows["expert"].tolist(), rows["comment"].tolist()),
    )
    for id, position, row in zip(ids.tolist(), rows["position"].tolist(), zip(*columns_, strict=True), strict=True):
        account, symbol, side, lots, begun, price, ended, last, profit, stop, target, reason, expert, comment = row
        places = digits[symbol]
        name, owner = accounts[account]
        yield [
            f"{firm.prefix}T{id}", f"{firm.prefix}P{position}",
            name, owner, symbol, "buy" if side > 0 else "sell", f"{lots:.2f}", begun,
            f"{price:.{places}f}", ended, f"{last:.{places}f}" if ended else "", f"{profit:.2f}" if ended else "",
            _number(stop, places), _number(target, places), reason, expert, comment,
        ]  # fmt: skip


def _orders(firm: Firm) -> Iterator[list[str]]:
    rows = columns(firm.order_blocks)
    if not rows:
        return
    order = np.argsort(rows["placed"], kind="stable")
    placed, done = _isos(rows["placed"][order]), _isos(rows["done"][order])
    taken = (
        rows[name][order].tolist()
        for name in ("account", "symbol", "side", "type", "lots", "price", "state", "position")
    )
    for n, (row, begun, ended) in enumerate(zip(zip(*taken, strict=True), placed, done, strict=True)):
        account, symbol, side, kind, lots, price, state, position = row
        belongs = f"{firm.prefix}P{position}" if position >= 0 else ""
        yield [
            f"{firm.prefix}R{n + 1}", firm.accounts[account].id,
            symbol, "buy" if side > 0 else "sell", kind, f"{lots:.2f}",
            _number(price, firm.market.instruments[symbol].digits), begun, ended, state,
            belongs,
        ]  # fmt: skip


def _account(each: Account) -> list[str]:
    amounts = [f"{value}.00" if value is not None else "" for value in (each.daily_loss, each.max_loss, each.target)]
    days = "" if each.min_days is None else str(each.min_days)
    ended = "" if each.ended == NEVER else _iso(each.ended)
    return [
        each.id, each.owner, each.challenge, each.phase, each.product, f"{each.size}.00", each.currency, *amounts, days,
        each.zone, _iso(each.opened), ended, each.outcome,
    ]  # fmt: skip


def _symbols(market: Market, copied: Copied) -> Iterator[list[str]]:
    known = {row.get("symbol", "") for row in copied.files.get("symbols", ((), []))[1]}
    for name, each in market.instruments.items():
        if (name in market.tracks or each.synonym_of in market.tracks) and name not in known:
            yield [name, each.asset, each.base, each.quote, f"{each.contract:g}", str(each.digits), each.synonym_of]


def write_prices(market: Market, folder: Path, symbols: Sequence[str]) -> None:
    """One zip for each symbol, resolution and day: ticks as ms, bid, ask; minutes as ms and the bars of bid and ask."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in symbols:
        track = market.tracks[name]
        each = market.instruments[name]
        kind = _CLASSES.get(each.asset, "cfd")
        days = np.searchsorted(track.at, np.arange(market.start, market.end + DAY, DAY))
        for n in range(len(days) - 1):
            if days[n] == days[n + 1]:
                continue
            begin = market.start + n * DAY
            own = slice(int(days[n]), int(days[n + 1]))
            part = Track(track.at[own], track.bid[own], track.ask[own])
            for how, lines in (("tick", _tick_lines), ("minute", _minute_lines)):
                if how == "tick" and name not in market.ticks:
                    continue
                stem = f"{from_us(begin):%Y%m%d}"
                path = folder / f"{kind}__simulated__{how}__{name.lower()}__{stem}_quote.zip"
                with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                    inside = f"{stem}_{name.lower()}_{how}_quote.csv"
                    archive.writestr(inside, "\n".join(lines(part, begin, each.digits)) + "\n")


def _tick_lines(track: Track, begin: int, digits: int) -> Iterable[str]:
    ms = ((track.at - begin) / 1000).tolist()
    rows = zip(ms, track.bid.tolist(), track.ask.tolist(), strict=True)
    return [f"{at:.3f},{bid:.{digits}f},{ask:.{digits}f}" for at, bid, ask in rows]


def _minute_lines(track: Track, begin: int, digits: int) -> Iterable[str]:
    minute = (track.at - begin) // MINUTE
    starts = np.flatnonzero(np.diff(minute, prepend=-1))
    ends = np.append(starts[1:], len(minute)) - 1
    bars = []
    for side in (track.bid, track.ask):
        high, low = np.maximum.reduceat(side, starts), np.minimum.reduceat(side, starts)
        bars += [side[starts], high, low, side[ends]]
    rows = zip((minute[starts] * 60_000).tolist(), *(bar.tolist() for bar in bars), strict=True)
    sized = ((at, *(f"{value:.{digits}f}" for value in values)) for at, *values in rows)
    return [f"{at},{bo},{bh},{bl},{bc},0,{ao},{ah},{al},{ac},0" for at, bo, bh, bl, bc, ao, ah, al, ac in sized]


def _iso(at: int) -> str:
    return from_us(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _isos(at: Ints) -> list[str]:
    """Returns the times as text; "" for what has not happened."""
    done = at != NEVER
    text = np.datetime_as_string(np.where(done, at, 0).astype("datetime64[us]"), unit="ms").tolist()
    return [f"{each}Z" if told else "" for each, told in zip(text, done.tolist(), strict=True)]


def _number(value: float, digits: int) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def _write(path: Path, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(heads)
        writer.writerows(rows)
