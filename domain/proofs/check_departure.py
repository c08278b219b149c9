"""Checks the sheet of a departure, and that the sheets of the next place continue from it."""

from collections.abc import Iterator, Mapping

from domain.products.phase_terms import PhaseTerms
from domain.proofs import levels
from domain.proofs.check_money import check_basis, state_of
from domain.proofs.departure import departure_verdict
from domain.proofs.difference import Difference, compare, compare_part
from domain.proofs.sheets import AnySheet, BasisPart, BreachSheet, DepartureSheet, LevelPart, MoneySheet
from domain.rules.floors import Costs, FloorSpec, Mark, breached


def check_departure(sheet: DepartureSheet, terms: PhaseTerms) -> Iterator[Difference]:
    if sheet.positions or sheet.equity_minor != sheet.balance.balance_minor:
        yield Difference("positions", str(len(sheet.positions)), "none: an account leaves without open positions")
    if (sheet.platform, sheet.account.login) == (sheet.to_platform, sheet.to_login):
        yield Difference("to_login", str(sheet.to_login), "another place")
    yield from compare("levels", [level.key for level in sheet.levels], [spec.key for spec in terms.specs])
    for level, spec in zip(sheet.levels, terms.specs, strict=False):
        yield from _level(level, spec, sheet)
    if any(day > sheet.clock.trading_day for day in sheet.trading_days):
        yield Difference("trading_days", str(sheet.trading_days[-1]), f"none after {sheet.clock.trading_day}")
    yield from compare("trading_days", sheet.trading_days, tuple(sorted(set(sheet.trading_days))))
    yield from compare("verdict", sheet.verdict, departure_verdict(sheet))


def _level(level: LevelPart, spec: FloorSpec, sheet: DepartureSheet) -> Iterator[Difference]:
    field, floor = f"levels.{level.key}", level.floor
    yield from check_basis(f"{field}.basis", floor.basis, spec, sheet.event.seq)
    expected = levels.floor_part(spec, state_of(floor.basis, floor.locked_by_payout))
    yield from compare_part(field, floor, expected, but=("basis",))
    if floor.locked_by_payout and spec.settles not in ("locks", "zero"):
        yield Difference(f"{field}.locked_by_payout", "True", "no payout fixes this floor")
    costs = Costs(sheet.costs.commission_minor, sheet.costs.swap_minor, sheet.costs.fee_minor)
    mark = Mark(sheet.balance.balance_minor, sheet.equity_minor, sheet.event.seq, sheet.event.at, costs)
    worth = spec.counted(mark).equity_minor
    if spec.per == "account" and spec.judged_at == "every_event" and breached(spec, floor.floor_minor, worth):
        yield Difference(f"{field}.floor_minor", str(floor.floor_minor), f"a level that a worth of {worth} keeps")


def check_carried(sheet: AnySheet) -> Iterator[Difference]:
    """Only an account that came from another platform has levels and balances that were set at none of its numbers."""
    came = sheet.account.continues
    for field, basis in _bases(sheet):
        if basis.set_at is not None and not basis.set_seq and (came is None or basis.set_at > came.at):
            yield Difference(f"{field}.set_seq", "0", "the number of the event that set it")
    if isinstance(sheet, MoneySheet) and came is not None and sheet.event.at < came.at:
        yield Difference("event.at", str(sheet.event.at), f"not before the account came, {came.at}")


def check_joined(
    sheet: AnySheet, departures: Mapping[str, DepartureSheet], hashes: Mapping[str, str]
) -> Iterator[Difference]:
    """Compares a sheet with the departure from which it continues. `departures`: of the account, by proof; `hashes`:
    theirs."""
    came = sheet.account.continues
    if came is None:
        return
    left = departures.get(came.proof_id)
    if left is None:
        yield Difference("account.continues.proof_id", came.proof_id, "a recorded departure of the account")
        return
    yield from compare("account.continues.hash", came.hash, hashes[came.proof_id])
    at, where = (came.at, came.balance_minor), (came.platform, came.login)
    yield from compare("account.continues", at, (left.event.at, left.balance.balance_minor))
    yield from compare("account.continues", where, (left.platform, left.account.login))
    if not isinstance(sheet, DepartureSheet):
        yield from compare("account.login", sheet.account.login, left.to_login)
    if isinstance(sheet, MoneySheet) and sheet.balance.opening_at == came.at:
        yield from compare("balance.opening_minor", sheet.balance.opening_minor, left.balance.balance_minor)
    known = {level.key: level.floor.basis for level in left.levels}
    for field, basis in _bases(sheet):
        before = known.get(field)
        if before is None or basis.set_seq or basis.set_at is None:
            continue
        own, theirs = ((b.set_at, b.balance_minor, b.equity_minor) for b in (basis, before))
        yield from compare(f"levels.{field}", own, theirs)


def _bases(sheet: AnySheet) -> Iterator[tuple[str, BasisPart]]:
    """Yields the levels of a sheet by their key."""
    if isinstance(sheet, DepartureSheet):
        yield from ((level.key, level.floor.basis) for level in sheet.levels)
    elif isinstance(sheet, BreachSheet):
        upper = "" if sheet.rule.floor.direction == "floor" else ".up"
        yield f"{sheet.rule.id}{upper}", sheet.rule.floor.basis
