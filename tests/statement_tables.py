"""Reports of both terminals made of explicit rows, for the shapes that a book of trades cannot say."""

import io
from collections.abc import Sequence

from openpyxl import Workbook

Rows = Sequence[str]  # cells separated by "|"

_ACCOUNT = "5550001 (USD, Invented-Demo, demo, {kind})"
POSITION_HEADINGS = "Time|Position|Symbol|Type|Volume|Price|S / L|T / P|Time|Price|Commission|Swap|Profit"
DEAL_HEADINGS = "Time|Deal|Symbol|Type|Direction|Volume|Price|Order|Commission|Fee|Swap|Profit|Balance|Comment"


def mt5_tables(deals: Rows, positions: Rows = (), *, kind: str = "Hedge", money_among_positions: str = "") -> str:
    """The HTML report of MT5 with these positions and deals. `money_among_positions`: a wide row among them."""
    parts = [f"<tr><th>Account:</th><th><b>{_ACCOUNT.format(kind=kind)}</b></th></tr>"]
    if positions:
        parts += [_title("Positions"), _heading(POSITION_HEADINGS), *map(_row, positions)]
    if money_among_positions:
        at, ticket, word, comment, amount = money_among_positions.split("|")
        hidden = '<td class="hidden"></td>' * 8
        cells = f"<td>{at}</td><td>{ticket}</td><td></td><td>{word}</td><td colspan=8>{comment}</td>{hidden}"
        parts.append(f"<tr>{cells}<td colspan=2>{amount}</td></tr>")
    parts += [_row(""), _title("Deals"), _heading(DEAL_HEADINGS), *map(_row, deals)]
    return f"<html><body><table>{''.join(parts)}</table></body></html>"


def mt5_workbook(deals: Rows, positions: Rows) -> bytes:
    """The same report as a workbook: numbers are numbers."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Account:", "", "", _ACCOUNT.format(kind="Hedge")])
    for title, headings, rows in (("Positions", POSITION_HEADINGS, positions), ("Deals", DEAL_HEADINGS, deals)):
        sheet.append([title])
        sheet.append(headings.split("|"))
        for row in rows:
            sheet.append([_value(text) for text in row.split("|")])
        sheet.append(["", "", "", "", "", "", "", "", 0, 0, 0, 1, 2])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def mt4_tables(rows: Rows, *, deposits: str, closed: str, balance: str, details: bool = False) -> str:
    """The statement of MT4 with these rows and this summary. `details`: the block below a detailed report."""
    parts = ["<tr><td><b>Account: 5550001</b></td><td><b>Currency: USD</b></td></tr>"]
    parts += [_wide(row) if row.count("|") == 4 else _row(row) for row in rows]
    summary = [
        f"Deposit/Withdrawal:|{deposits}|Credit Facility:|0.00",
        f"Closed Trade P/L:|{closed}|Floating P/L:|0.00|Margin:|0.00",
        f"Balance:|{balance}|Equity:|{balance}|Free Margin:|{balance}",
    ]
    parts += [_row("Summary:"), *map(_row, summary)]
    if details:
        parts += [_row("Details:"), _row("Gross Profit:|1.00|Gross Loss:|0.00|Total Net Profit:|1.00")]
        parts += [_row("Profit Factor:|1.00|Expected Payoff:|1.00")]
        parts += [_row("Maximum|consecutive wins ($):|1 (1.00)|consecutive losses ($):|1 (-1.00)")]
    return f"<html><body><table>{''.join(parts)}</table></body></html>"


def _title(text: str) -> str:
    return f'<tr><th colspan="14"><b>{text}</b></th></tr>'


def _heading(headings: str) -> str:
    return f'<tr bgcolor="#E5F0FC">{"".join(f"<td><b>{text}</b></td>" for text in headings.split("|"))}</tr>'


def _row(cells: str) -> str:
    return f"<tr>{''.join(f'<td>{text}</td>' for text in cells.split('|'))}</tr>"


def _wide(cells: str) -> str:
    ticket, at, word, comment, amount = cells.split("|")
    return f"<tr><td>{ticket}</td><td>{at}</td><td>{word}</td><td colspan=10>{comment}</td><td>{amount}</td></tr>"


def _value(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
