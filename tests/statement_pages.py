"""Reports of an invented account as the two terminals write them, in any language, number style and encoding."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

Cells = Sequence[str]


@dataclass(frozen=True)
class Language:
    """How a terminal writes: its words, and its numbers."""

    title: str = "Trade History Report"
    labels: tuple[str, ...] = ("Positions", "Orders", "Deals", "Open Positions", "Results", "Balance:", "Equity:")
    buy: str = "buy"
    sell: str = "sell"
    into: str = "in"
    out: str = "out"
    money: str = "balance"
    group: str = " "
    point: str = "."
    minus: str = "-"

    def amount(self, value: str | int | Decimal) -> str:
        text = f"{abs(Decimal(value)):,.2f}".replace(",", "\0").replace(".", self.point).replace("\0", self.group)
        return (self.minus if Decimal(value) < 0 else "") + text

    def price(self, value: str) -> str:
        return value.replace(".", self.point)

    def side(self, buys: bool) -> str:
        return self.buy if buys else self.sell


ENGLISH = Language()
GERMAN = Language(
    "Handelshistorie",
    ("Positionen", "Orders", "Deals", "Offene Positionen", "Ergebnisse", "Kontostand:", "Kapital:"),
    buy="kaufen",
    sell="verkaufen",
    into="rein",
    out="raus",
    money="saldo",
    group="\u00a0",
    point=",",
    minus="\u2212",
)
JAPANESE = Language(
    "取引履歴",
    ("ポジション", "注文", "約定", "保有", "結果", "残高\uff1a", "有効証拠金\uff1a"),
    buy="買い",
    sell="売り",
    into="新規",
    out="決済",
    money="残高",
    group="'",
)


@dataclass(frozen=True)
class Trade:
    """`shut` empty: still open. Money as it stands in the row."""

    ticket: int
    buys: bool
    opened: str
    shut: str
    entry: str
    exit: str
    profit: str
    commission: str = "0"
    swap: str = "0"
    symbol: str = "EURUSD"
    lots: str = "1.00"
    stop: str = ""


TRADES = (
    Trade(101, True, "2025.03.03 09:00:00", "2025.03.03 11:30:00", "1.05000", "1.05500", "500.00", "-7.00"),
    Trade(102, False, "2025.03.04 10:00:00", "2025.03.05 08:00:00", "1.05400", "1.05600", "-200.00", "-7.00", "-3.50"),
    Trade(103, True, "2025.03.05 12:00:00", "2025.03.05 14:00:00", "1.05600", "1.06834", "1234.00", "-7.00"),
)
HELD = (Trade(104, False, "2025.03.06 09:15:00", "", "1.06000", "1.06120", "-120.00", swap="-1.25"),)


@dataclass(frozen=True)
class Book:
    """An account: what it began with, its trades and its later money (time, amount)."""

    deposit: str = "10000"
    trades: tuple[Trade, ...] = TRADES
    held: tuple[Trade, ...] = HELD
    money: tuple[tuple[str, str], ...] = ()
    currency: str = "USD"
    summary: dict[str, str] = field(default_factory=dict)

    @property
    def closed(self) -> Decimal:
        return sum((Decimal(t.profit) + Decimal(t.commission) + Decimal(t.swap) for t in self.trades), Decimal(0))

    @property
    def balance(self) -> Decimal:
        return Decimal(self.deposit) + sum((Decimal(a) for _, a in self.money), Decimal(0)) + self.closed

    @property
    def floating(self) -> Decimal:
        return sum((Decimal(t.profit) for t in self.held), Decimal(0))

    @property
    def open_swap(self) -> Decimal:
        return sum((Decimal(t.swap) for t in self.held), Decimal(0))

    def told(self, name: str, value: Decimal) -> str:
        return self.summary.get(name, str(value))


BOOK = Book()


def _row(cells: Cells, *, tag: str = "td", spans: dict[int, int] | None = None, attributes: str = "") -> str:
    body = "".join(
        f'<{tag} colspan="{(spans or {})[n]}">{cell}</{tag}>' if n in (spans or {}) else f"<{tag}>{cell}</{tag}>"
        for n, cell in enumerate(cells)
    )
    return f"<tr {attributes}>{body}</tr>\n"


def _header(count: int) -> str:
    return _row([f"<b>#{n}</b>" for n in range(count)], attributes='align="center" bgcolor="#E5F0FC"')


def _section(title: str, count: int) -> str:
    return f'<tr><th colspan="14"><div><b>{title}</b></div></th></tr>\n' + _header(count)


def mt5(book: Book = BOOK, language: Language = ENGLISH) -> str:
    """The report; everything in it but words, number style and `summary` follows from the book."""
    say, labels, parts = language.amount, language.labels, []
    parts.append(f'<tr><td colspan="14"><b>{language.title}</b></td></tr>\n')
    parts.append(
        _row(["x:", f"<b>5550001&nbsp;({book.currency},&nbsp;Invented-Demo,&nbsp;demo,&nbsp;Hedge)</b>"], tag="th")
    )
    parts.append(_row(["x:", "<b>2025.03.06 18:00</b>"], tag="th") + _row([""] * 14))
    parts.append(_section(labels[0], 13))
    for t in book.trades:
        hidden = '<td class="hidden" colspan="8">x</td>'
        cells = [
            t.opened,
            str(t.ticket),
            t.symbol,
            language.side(t.buys) + "</td>" + hidden + "<td>" + language.price(t.lots),
        ]
        cells += [language.price(t.entry), language.price(t.stop), "", t.shut, language.price(t.exit)]
        parts.append(_row([*cells, say(t.commission), say(t.swap), say(t.profit)], spans={11: 2}))
    parts.append(_row([""]) + _section(labels[1], 11))
    for t in book.trades:
        lots = language.price(t.lots)
        cells = [t.opened, str(t.ticket), t.symbol, language.side(t.buys), f"{lots} / {lots}", language.price(t.entry)]
        parts.append(_row([*cells, "", "", t.opened, "filled", ""]))
    parts.append(_row([""]) + _section(labels[2], 14) + _mt5_deals(book, language))
    if book.held:
        parts.append(_section(labels[3], 12))
        for t in book.held:
            cells = [t.opened, str(t.ticket), t.symbol, language.side(t.buys), language.price(t.lots)]
            cells += [language.price(t.entry), "", "", language.price(t.exit), say(t.swap), say(t.profit), ""]
            parts.append(_row(cells, spans={11: 3}))
        parts.append(_row(["", say(book.open_swap), say(book.floating), ""], spans={0: 9}))
    parts.append(_row([""]) + _mt5_summary(book, language))
    return f"<!DOCTYPE html><html><head><title>x</title></head><body><table>{''.join(parts)}</table></body></html>"


def _mt5_deals(book: Book, language: Language) -> str:
    say, balance, rows = language.amount, Decimal(0), []
    told: list[tuple[str, int, Trade | None, Decimal]] = [("2025.03.03 08:00:00", 0, None, Decimal(book.deposit))]
    told += [(at, 0, None, Decimal(amount)) for at, amount in book.money]
    told += [(t.opened, 1, t, Decimal(0)) for t in (*book.trades, *book.held)]
    told += [(t.shut, 2, t, Decimal(t.profit)) for t in book.trades]
    for number, (at, kind, trade, profit) in enumerate(sorted(told, key=lambda row: row[:2]), start=1):
        hidden = '</td><td class="hidden">cost</td><td>'
        if trade is None:
            balance += profit
            cells = [at, f"{900 + number}", "", language.money, "", "", "", "" + hidden + say(0), say(0), say(0)]
            rows.append(_row([*cells, say(profit), say(balance), ""]))
            continue
        opens = kind == 1
        half = Decimal(trade.commission) if opens else Decimal(0)
        swap = Decimal(0) if opens else Decimal(trade.swap)
        balance += profit + half + swap
        cells = [at, f"{900 + number}", trade.symbol, language.side(trade.buys == opens)]
        cells += [language.into if opens else language.out, language.price(trade.lots)]
        cells += [language.price(trade.entry if opens else trade.exit), str(trade.ticket if opens else 5000 + number)]
        cells[-1] += hidden + say(half)
        rows.append(_row([*cells, say(0), say(swap), say(profit), say(balance), ""]))
    return "".join(rows) + _row(["", say(0), say(0), say(0), say(0), say(balance), ""], spans={0: 8})


def _mt5_summary(book: Book, language: Language) -> str:
    say, colon = language.amount, language.labels[5][-1]
    equity = book.balance + book.floating + book.open_swap
    nets = [Decimal(t.profit) + Decimal(t.commission) + Decimal(t.swap) for t in book.trades]
    block = (("balance", book.balance), ("credit", Decimal(0)), ("floating", book.floating))
    rows = [_row([f"a{colon}", say(book.told(n, v)), "", f"b{colon}", say(1)], spans={0: 3, 3: 3}) for n, v in block]
    rows.append(_row([language.labels[6], say(book.told("equity", equity))], spans={0: 3}))
    rows.append(_row([""]) + f"<tr><td colspan=13><b>{language.labels[4]}</b></td></tr>\n")
    gains, losses = sum(n for n in nets if n > 0), sum(n for n in nets if n < 0)
    cells = [f"n{colon}", say(book.told("closed", book.closed)), f"g{colon}", say(Decimal(gains))]
    rows.append(_row([*cells, f"l{colon}", say(Decimal(losses))], spans={0: 3, 2: 3, 4: 3}))
    rows.append(_row([f"f{colon}", say("1.5"), f"e{colon}", say("2.5")], spans={0: 3, 2: 3}) + _row([""]))
    count = book.summary.get("trades", str(len(book.trades)))
    rows.append(_row([f"t{colon}", count, f"s{colon}", "1 (50%)", f"o{colon}", "2 (50%)"], spans={0: 3, 2: 3, 4: 3}))
    return "".join(rows)


def mt4(book: Book = BOOK, language: Language = ENGLISH) -> str:
    """The statement, with a cancelled order and a working one."""
    say, price = language.amount, language.price
    parts = [
        _row(["<b>A: 5550002</b>", "<b>B: nobody</b>", f"<b>C: {book.currency}</b>", "<b>2025 March 6, 18:00</b>"])
    ]
    parts.append('<tr><td colspan="14"><b>T:</b></td></tr>\n' + _header(14))
    parts.append(_row(["100", "2025.03.03 08:00:00", language.money, "x", say(book.deposit)], spans={3: 10}))
    for at, amount in book.money:
        parts.append(_row(["99", at, language.money, "x", say(amount)], spans={3: 10}))
    for t in book.trades:
        cells = [
            str(t.ticket),
            t.opened,
            language.side(t.buys),
            price(t.lots),
            t.symbol.lower(),
            price(t.entry),
            "0",
            "0",
        ]
        parts.append(_row([*cells, t.shut, price(t.exit), say(t.commission), say(0), say(t.swap), say(t.profit)]))
    order = ["150", "2025.03.03 09:00:00", "buy limit", price("1.00"), "eurusd", price("1.01"), "0", "0"]
    parts.append(_row([*order, "2025.03.03 10:00:00", price("1.02"), "cancelled"], spans={10: 4}))
    parts.append(_row(["", say(0), say(0), say(0), say(book.closed)], spans={0: 10}))
    parts.append('<tr><td colspan="14"><b>O:</b></td></tr>\n' + _header(14))
    for t in book.held:
        cells = [
            str(t.ticket),
            t.opened,
            language.side(t.buys),
            price(t.lots),
            t.symbol.lower(),
            price(t.entry),
            "0",
            "0",
        ]
        parts.append(_row([*cells, "", price(t.exit), say(t.commission), say(0), say(t.swap), say(t.profit)]))
    parts.append('<tr><td colspan="14"><b>W:</b></td></tr>\n' + _header(10))
    parts.append(_row([*order, price("1.02"), ""], spans={8: 2, 9: 4}))
    floating = book.floating + book.open_swap
    told = (
        ("deposits", Decimal(book.deposit) + sum((Decimal(a) for _, a in book.money), Decimal(0)), "0"),
        ("closed", book.closed, str(floating)),
        ("balance", book.balance, book.told("equity", book.balance + floating)),
    )
    for name, value, other in told:
        parts.append(_row(["<b>d:</b>", say(book.told(name, value)), "<b>e:</b>", say(other), "<b>f:</b>", say(1)]))
    return f"<!DOCTYPE HTML><html><body><table>{''.join(parts)}</table></body></html>"
