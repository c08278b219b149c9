"""The linked accounts of a case as a drawing: accounts on a circle, links between them, wider when stronger."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from console.formats import counted
from console.views.case import Edge, Graph, Node
from console.views.parts import Grid
from domain.surveillance.names import pattern_name, role_name
from store.read.case_parts import LinkView
from store.read.cases import CaseAccountView

_WIDTH: Final = 640
_ROW: Final = 44
_STRONG: Final = Decimal("0.8")


def graph(accounts: Sequence[CaseAccountView], links: Sequence[LinkView]) -> Graph:
    """Two accounts stand side by side; more stand on a circle, which grows with their number."""
    places = _places(len(accounts))
    height = int(max((y for _, y in places), default=0)) + 60
    at = {account.account_id: place for account, place in zip(accounts, places, strict=True)}
    nodes = [
        Node(
            x=at[account.account_id][0],
            y=at[account.account_id][1],
            label=account.number,
            role=role_name(account.role) if account.role and account.role != "trader" else "",
            tone="bad" if account.blamed else "mute",
            href=f"/accounts/{account.number}",
        )
        for account in accounts
    ]
    edges = [
        Edge(*at[link.first], *at[link.second], 1 + 4 * float(link.strength), link.strength < _STRONG)
        for link in links
        if link.first in at and link.second in at
    ]
    linked = f"{counted(len(accounts), 'account')} and {counted(len(edges), 'link')}"
    return Graph(_WIDTH, height, nodes, edges, f"Drawing of {linked}; the table below lists the links.")


def _places(number: int) -> list[tuple[float, float]]:
    middle = _WIDTH / 2
    if number <= 1:
        return [(middle, 50.0)] * number
    if number == 2:
        return [(130.0, 50.0), (_WIDTH - 130.0, 50.0)]
    across, down = middle - 110, max(90.0, number * _ROW / 4)
    turns = (2 * math.pi * each / number - math.pi / 2 for each in range(number))
    return [(round(middle + across * math.cos(t), 1), round(down + 50 + down * math.sin(t), 1)) for t in turns]


def table(accounts: Sequence[CaseAccountView], links: Sequence[LinkView]) -> Grid:
    named = {account.account_id: account.number for account in accounts}
    rows = [
        (named[link.first], named[link.second], _kind(link.kind), f"{link.strength:.2f} of 1")
        for link in links
        if link.first in named and link.second in named
    ]
    columns = ("Account", "Linked account", "Linked by", "Strength of the link")
    return Grid("Links", columns, rows, "This account has no known link to other accounts.")


def _kind(name: str) -> str:
    return "Same trader" if name == "same owner" else pattern_name(name)
