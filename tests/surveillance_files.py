"""Files for tests of surveillance: written row by row, read as `propos surveil` reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from surveillance.book import Book
from surveillance.files.read import Files, read_book

TRADES = (
    "trade_id,position_id,account_id,owner_id,symbol,side,lots,open_time,open_price,close_time,close_price,profit,"
    "stop_loss,take_profit,reason,expert_id,comment"
)
ACCOUNTS = (
    "account_id,owner_id,challenge_id,phase,product,size,currency,daily_loss,max_loss,target,min_days,timezone,"
    "opened_at,ended_at,outcome"
)
ACCOUNT = "a,anna,c1,1,two-step,100000,USD,5000,10000,8000,4,Europe/Prague,2024-05-01T00:00:00Z,,open"


def trade(id: str, at: str = "10:00:00.000", **told: str) -> str:
    """A row of TRADES on 2024-05-02, closed ten minutes later unless `told` says otherwise."""
    hour, minute, *rest = at.split(":")
    row = dict.fromkeys(TRADES.split(","), "")
    row |= {"trade_id": id, "position_id": f"p{id}", "account_id": "a", "owner_id": "anna", "symbol": "EURUSD"}
    row |= {"side": "buy", "lots": "1.0", "open_time": f"2024-05-02T{at}Z", "open_price": "1.1"}
    row |= {"close_time": f"2024-05-02T{hour}:{int(minute) + 10:02}:{':'.join(rest)}Z", "close_price": "1.2"}
    return ",".join((row | {"profit": "12.34"} | told).values())


def write(path: Path, header: str, rows: Sequence[str]) -> Path:
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def read(
    folder: Path, trades: Sequence[str], accounts: Sequence[str] = (ACCOUNT,), **others: Path
) -> tuple[Book, dict[str, Any]]:
    """Returns the book of these rows, and what was found wrong by kind."""
    files = Files(
        write(folder / "trades.csv", TRADES, trades), write(folder / "accounts.csv", ACCOUNTS, accounts), **others
    )
    book, problems = read_book(files)
    found: dict[str, Any] = problems.as_json()["problems"]
    return book, found
