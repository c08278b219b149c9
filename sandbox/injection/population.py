"""The ordinary people of a firm: traders of many styles who pass, fail and buy again; clouds round a signal or a shared
expert adviser; offices, carriers, households, rented servers and pooled beneficiaries."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from sandbox.injection.firm import NEVER, Firm
from sandbox.injection.market import Fills, Flags, Floats, Ints
from sandbox.injection.plans import STYLES, Plan, Style, entry_times, favourites, ideas, plan_of
from sandbox.instants import DAY, HOUR, SECOND

_PRODUCTS: Final = ("two-step", "two-step", "one-step", "swing")
_FOLLOWS: Final = 0.04  # of the traders follow a public signal
_EXPERTS: Final = 0.05  # of the traders use an expert adviser that others use, too
_MOST_RISK: Final = 0.012  # of the size of the account to the stop of one trade
_SHOWS_STOPS: Final = 0.7  # of the traders place stops and targets with their orders
_COPIES_OWN: Final = 0.015  # of the traders copy their first account to their others


@dataclass(frozen=True)
class Sizing:
    """How a trader chooses lots. `risk`: of the account's size to the stop. `kind`: fixed lots, the same risk to each
    stop, risk of the present balance, or lots that vary from trade to trade."""

    kind: str
    risk: float
    spread: float

    def lots(self, rng: np.random.Generator, plan: Plan, per_lot: Floats, size: int) -> Floats:
        """Returns the lots of each trade. `per_lot`: USD to the stop for one lot."""
        money = self.risk * size
        if self.kind == "fixed":
            typical = np.ones(len(per_lot))
            for symbol in np.unique(plan.symbol):
                own = plan.symbol == symbol
                typical[own] = np.median(per_lot[own])
            lots = money / typical
        else:
            lots = money / per_lot
        if self.kind == "varied":
            lots = lots * np.exp(rng.normal(0, self.spread, len(lots)))
        most = _MOST_RISK * size / per_lot
        return np.maximum(np.round(np.minimum(lots, most) * plan.weight, 2), 0.01)


@dataclass(frozen=True)
class Trader:
    owner: str
    sizing: Sizing
    product: str
    expert: str = ""
    reason: str = "client"
    rebuys: float = 0.25  # the chance to buy again after a failure
    shows_stops: bool = True  # else they are in his head


def populate(firm: Firm, accounts: int) -> None:
    """Adds ordinary people until there are about `accounts` accounts more than before."""
    before = len(firm.accounts)
    rng, market = firm.rng, firm.market
    shares = np.array([style.share for style in STYLES])
    owners: list[str] = []
    while len(firm.accounts) - before < accounts:
        chance = rng.random()
        if chance < _FOLLOWS / 15:
            owners += _cloud(firm)
        elif chance < (_FOLLOWS + _EXPERTS) / 15:
            owners += _expert_users(firm)
        elif chance < (_FOLLOWS + _EXPERTS) / 15 + _COPIES_OWN:
            owners.append(_copies_own(firm))
        else:
            style = STYLES[int(rng.choice(len(STYLES), p=shares / shares.sum()))]
            trader = new_trader(firm, style)
            live(firm, trader, plan_of(rng, market, style, _first_day(firm), market.end))
            owners.append(trader.owner)
    _share_facts(firm, owners)


def new_trader(firm: Firm, style: Style, **told: str) -> Trader:
    rng = firm.rng
    kind = str(rng.choice(["fixed", "risk", "balance", "varied"], p=[0.4, 0.3, 0.15, 0.15]))
    sizing = Sizing(kind, float(rng.uniform(*style.risk)), float(rng.uniform(0.1, 0.5)))
    rebuys = 0.95 if rng.random() < 0.06 else 0.25
    reason = str(rng.choice(["client", "mobile", "web", ""], p=[0.5, 0.25, 0.15, 0.1]))
    product, expert = str(rng.choice(_PRODUCTS)), told.get("expert", "")
    return Trader(
        firm.owner(), sizing, product, expert, told.get("reason", reason), rebuys, bool(rng.random() < _SHOWS_STOPS)
    )


def _first_day(firm: Firm) -> int:
    """Most are there from the beginning; a sale in the second week brings one in six."""
    chance = firm.rng.random()
    if chance < 0.55:
        return firm.market.start
    if chance < 0.72:
        return firm.market.start + 8 * DAY + int(firm.rng.integers(0, 4 * DAY))
    return firm.market.start + int(firm.rng.integers(0, (firm.market.end - firm.market.start) // 2))


def live(firm: Firm, trader: Trader, plan: Plan, phase: str = "") -> None:
    """Has the trader trade the plan through the phases of challenges, until he gives up or the market ends."""
    rng, market = firm.rng, firm.market
    if not len(plan.at):
        return
    fills, per_lot = _made(firm, plan)
    size = int(rng.choice((10_000, 25_000, 50_000, 100_000, 200_000)))
    phase = phase or str(rng.choice(["phase 1", "phase 2", "funded"], p=[0.6, 0.15, 0.25]))
    challenge, begin = "", max(int(plan.at[0]) - int(rng.integers(HOUR, DAY)), market.start)
    smaller = float(rng.uniform(0.5, 1.0))
    while True:
        rows = np.flatnonzero(plan.at >= begin)
        if not len(rows):
            return
        lots = trader.sizing.lots(rng, plan.rows(rows), per_lot[rows], size) * (smaller if phase == "funded" else 1.0)
        told = {"challenge": challenge} if challenge else {}
        number = firm.account(trader.owner, phase, size=size, product=trader.product, opened=begin, **told)
        account = firm.accounts[number]
        target = account.target
        if trader.sizing.kind == "balance":
            lots = np.maximum(lots * _balance_before(plan.rows(rows), _rows(fills, rows), lots, size), 0.01)
        end, outcome = _end(fills, rows, lots, plan, size, target)
        keep = plan.at[rows] < end
        _keep(firm, number, trader, plan.rows(rows[keep]), _rows(fills, rows[keep]), lots[keep], end)
        account.ended, account.outcome = (end, outcome) if outcome else (NEVER, "open")
        if not outcome or (outcome == "breached" and rng.random() > trader.rebuys):
            return
        if outcome == "passed":
            phase, challenge = {"phase 1": "phase 2"}.get(phase, "funded"), account.challenge
        else:
            phase, challenge = "phase 1", ""
        begin = end + int(rng.integers(2 * HOUR, 4 * DAY))


def _made(firm: Firm, plan: Plan) -> tuple[Fills, Floats]:
    """Returns what becomes of each trade of the plan, and USD to its stop for one lot."""
    count = len(plan.at)
    prices, whole = np.zeros((3, count)), np.zeros((2, count), dtype=np.int64)
    per_lot = np.ones(count)
    for each in np.unique(plan.symbol).tolist():
        name, own = firm.market.names[each], plan.symbol == each
        one = firm.market.fills(name, plan.side[own], plan.at[own], plan.until[own], plan.stop[own], plan.target[own])
        prices[:, own] = (one.open_price, one.close_price, one.profit)
        whole[:, own] = (one.closed, one.why)
        costs = 2 * firm.market.instruments[name].commission
        per_lot[own] = plan.stop[own] * firm.market.usd(name, one.open_price) + costs
    return Fills(prices[0], whole[0], prices[1], prices[2], whole[1]), per_lot


def _rows(fills: Fills, rows: Ints) -> Fills:
    return Fills(
        fills.open_price[rows], fills.closed[rows], fills.close_price[rows], fills.profit[rows], fills.why[rows]
    )


def _balance_before(plan: Plan, fills: Fills, lots: Floats, size: int) -> Floats:
    order = np.argsort(fills.closed, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum((fills.profit * lots)[order])])
    return np.asarray(1 + sums[np.searchsorted(fills.closed[order], plan.at)] / size)


def _end(fills: Fills, rows: Ints, lots: Floats, plan: Plan, size: int, target: int | None) -> tuple[int, str]:
    """Returns (when the account ends, its outcome), or (NEVER, "")."""
    order = np.argsort(fills.closed[rows], kind="stable")
    at = fills.closed[rows][order]
    sums = np.cumsum((fills.profit[rows] * lots)[order])
    days = (
        np.array([len(np.unique(plan.at[rows][plan.at[rows] <= when] // DAY)) for when in at.tolist()])
        if target
        else at
    )
    day = at // DAY
    before = sums - (fills.profit[rows] * lots)[order]
    first = np.searchsorted(day, day)  # the first close of the same day
    lost_today = sums - before[first]
    broken = (sums <= -size / 10) | (lost_today <= -size / 20)
    passed = (sums >= target) & (days >= 4) if target else np.zeros(len(at), dtype=bool)
    ends = np.flatnonzero(broken | passed)
    if not len(ends):
        return NEVER, ""
    return int(at[ends[0]]) + SECOND, "passed" if passed[ends[0]] else "breached"


def _keep(firm: Firm, number: int, trader: Trader, plan: Plan, fills: Fills, lots: Floats, end: int) -> None:
    """Keeps the trades and their orders. What is open when the account ends is closed then."""
    late = fills.closed > end
    if late.any():
        fills = _closed_at(firm, plan, fills, late, end)
    for each in np.unique(plan.symbol).tolist():
        name, own = firm.market.names[each], np.flatnonzero(plan.symbol == each)
        part = _rows(fills, own)
        firm.keep(
            number,
            name,
            plan.side[own],
            lots[own],
            plan.at[own],
            part,
            plan.stop[own],
            plan.target[own],
            reason=trader.reason,
            show_stops=trader.shows_stops,
            expert=trader.expert,
        )
        kinds = np.array(["market", "limit", "stop"], dtype=object)[plan.pending[own]]
        firm.order(number, name, plan.side[own], lots[own], plan.at[own], part.open_price, placed=plan.placed[own])
        firm.order_blocks[-1]["type"] = kinds
        firm.order_blocks[-1]["price"] = np.where(kinds == "market", np.nan, part.open_price)


def _closed_at(firm: Firm, plan: Plan, fills: Fills, late: Flags, end: int) -> Fills:
    for row in np.flatnonzero(late).tolist():
        one = plan.rows(np.array([row]))
        name = firm.market.names[int(one.symbol[0])]
        cut = firm.market.fills(name, one.side, one.at, np.array([end]), open_price=fills.open_price[[row]])
        fills.closed[row], fills.close_price[row] = cut.closed[0], cut.close_price[0]
        fills.profit[row], fills.why[row] = cut.profit[0], 0
    return fills


def signals(firm: Firm, per_day: float, hold: float) -> Plan:
    """Returns the calls of a public channel, or of an expert adviser."""
    rng, market = firm.rng, firm.market
    at = entry_times(rng, market, market.start, market.end, per_day)
    symbol = rng.choice(favourites(rng, market, int(rng.integers(1, 3))), len(at))
    return ideas(rng, market, symbol, at, hold, float(rng.uniform(0.8, 1.4)), float(rng.uniform(1, 2)), 0)


def follow(firm: Firm, calls: Plan, lag: Ints, taken: float) -> Plan:
    """Returns the calls that one follower took, each after his own time, with his own end for half of the people."""
    rng = firm.rng
    keep = rng.random(len(calls.at)) < taken
    own = calls.rows(keep)
    lasts = own.until - own.at
    if rng.random() < 0.5:
        lasts = (lasts * np.exp(rng.normal(0, 0.6, len(lasts)))).astype(np.int64)
    stop = own.stop * rng.uniform(0.7, 1.4)
    target = own.target * rng.uniform(0.7, 1.4)
    at = own.at + lag[keep]
    plan = Plan(own.symbol, own.side, at, at + lasts, stop, target, own.weight, at - 100_000, own.pending)
    return plan.rows(np.argsort(plan.at, kind="stable"))


def _cloud(firm: Firm) -> list[str]:
    """Followers of one channel: each takes a part of its calls, after seconds of his own, and closes by himself."""
    rng = firm.rng
    calls = signals(firm, rng.uniform(0.8, 3), float(rng.uniform(1_800, 14_400)))
    owners = []
    day = STYLES[1]
    for _ in range(int(rng.integers(8, 24))):
        trader = new_trader(firm, day)
        usual = rng.uniform(6, 40)
        lag = (rng.lognormal(np.log(usual), 0.6, len(calls.at)) * SECOND).astype(np.int64)
        live(firm, trader, follow(firm, calls, lag, rng.uniform(0.4, 0.85)))
        owners.append(trader.owner)
    return owners


def _expert_users(firm: Firm) -> list[str]:
    """Users of one expert adviser, each with his own parameters."""
    rng = firm.rng
    calls = signals(firm, rng.uniform(1, 4), float(rng.uniform(900, 7_200)))
    expert = str(rng.integers(10_000, 99_999))
    owners = []
    for _ in range(int(rng.integers(6, 18))):
        trader = new_trader(firm, STYLES[1], expert=expert, reason="expert")
        lag = (rng.uniform(0.05, 2.5, len(calls.at)) * SECOND).astype(np.int64)
        live(firm, trader, follow(firm, calls, lag, rng.uniform(0.5, 0.9)))
        owners.append(trader.owner)
    return owners


def _copies_own(firm: Firm) -> str:
    """An owner who trades two or three accounts alike, as most firms allow."""
    rng = firm.rng
    style = STYLES[1]
    trader = new_trader(firm, style)
    plan = plan_of(rng, firm.market, style, firm.market.start, firm.market.end)
    live(firm, trader, plan)
    for _ in range(int(rng.integers(1, 3))):
        at = plan.at + rng.integers(50_000, 900_000, len(plan.at))
        live(
            firm,
            trader,
            Plan(plan.symbol, plan.side, at, plan.until, plan.stop, plan.target, plan.weight, at, plan.pending),
        )
    return trader.owner


def _share_facts(firm: Firm, owners: list[str]) -> None:
    """Gives people facts that many share, and some that two share in a household."""
    rng = firm.rng
    people = [str(owner) for owner in rng.permutation(owners)]
    groups: list[tuple[list[str], dict[str, str]]] = []
    for carrier in range(3):  # thousands behind one address of a mobile carrier
        groups.append((people[carrier::7], {"ip": f"100.64.{carrier}.1"}))
    for host in range(4):
        many = max(6, len(people) // 60)  # from the end: households are in the beginning
        guests = people[-(host + 1) * many : len(people) - host * many]
        groups.append((guests, {"ip": f"45.12.{host}.7", "device": f"server-image-{host}"}))
    pooled = [people[pool + 1 :: 9] for pool in range(2)]
    groups += [(own, {"beneficiary": f"pooled-{pool}"}) for pool, own in enumerate(pooled)]
    place = 0
    for office in range(max(2, len(people) // 300)):
        more = int(rng.integers(6, 25))
        groups.append((people[place : place + more], {"ip": f"81.5.{office}.20"}))
        place += more
    for first, second in zip(people[place : place + len(people) // 12 : 2], people[place + 1 :: 2], strict=False):
        groups.append(([first, second], {"ip": f"home-{first}", "address": f"home-{first}"}))
    for members, facts in groups:
        for owner in members:
            for kind, value in facts.items():
                firm.identity(owner, kind, value)
    own_bank = set(people) - set(pooled[0])
    for owner in people:
        firm.identity(owner, "document", f"document-{owner}")
        if owner in own_bank:
            firm.identity(owner, "beneficiary", f"bank-{owner}")
