"""The firm of `propos up --demo`: a week of history with open work for people, then live prices.

The first start simulates a trading day of a week ago and the days after it. A later start on the same folder continues
with the firm as it is.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

import yaml
from sqlalchemy import func, select

from cli.compose import build_database, temporal
from cli.demo.opening import Staff, open_firm
from cli.demo.personas import personas
from cli.demo.rehearsal import BUYING, DAY, WEEKS, Rehearsal, shares
from cli.demo.run import scripted_staff
from cli.progress import Progress, Stages
from cli.stack.firm import Stack
from cli.stack.options import Quotes
from cli.stack.venues import SANDBOX
from firm.payouts.policies import SHIPPED
from sandbox.synthetic import write_day
from store.db import Database
from store.models import Challenge, Trader

PEOPLE: Final = 40
_SYMBOLS: Final = ("EURUSD", "XAUUSD")
_AGE: Final = timedelta(days=8)
_LEFT_OPEN: Final = timedelta(days=2)  # at the end, in which nothing about money is decided
_AUTOMATIC_UP_TO, _ONE_CHECKER_UP_TO = "250", "1500"
_BEGUN: Final = "demo-begun"  # file of the data folder while the history is played
_OPEN_WORK: Final = frozenset({"case", "dispute"})
_ALL_MONEY: Final = frozenset({"payout", "chargeback"})

Login = tuple[str, str, str]  # role, login, password


def history_quotes(data_dir: Path, seed: int) -> Quotes:
    """Returns the synthetic day on which the demo firm begins; it is written once per data folder."""
    folder = data_dir / "market"
    if not folder.is_dir():
        write_day(folder, _SYMBOLS, (datetime.now(UTC) - _AGE).date(), seed)
    day = next(folder.glob("*.zip")).name.split("__")[-1][:8]
    return Quotes(directory=folder, symbols=_SYMBOLS, date=f"{day[:4]}-{day[4:6]}-{day[6:]}")


def small_bands(data_dir: Path) -> Path | None:
    """Returns the payout policy of the demo firm, a file in its data folder: the shipped one with smaller bands, so
    that some of the few payouts need two people. It is written with a new folder; None for a firm without it."""
    path = data_dir / "payouts.yaml"
    if not path.exists() and not (data_dir / "postgres").exists():
        policy = yaml.safe_load(SHIPPED.read_text())
        for bands in policy["currencies"].values():
            bands.update(automatic_up_to=_AUTOMATIC_UP_TO, one_checker_up_to=_ONE_CHECKER_UP_TO)
        path.write_text(yaml.safe_dump(policy, sort_keys=False))
    return path if path.exists() else None


class DemoFirm:
    """The demo firm on a running stack: opened with its products and staff, then filled with a week of history."""

    def __init__(self, stack: Stack, staff: Staff, seed_number: int) -> None:
        self.staff = staff
        self._stack = stack
        self._seed = seed_number

    @classmethod
    async def opened(cls, stack: Stack, seed_number: int) -> Self:
        """Publishes the products and creates the staff, unless they are there. Takes a moment; safe to repeat."""
        settings = stack.settings
        db = build_database(settings)
        try:
            venues = [venue.name for venue in stack.venues]
            return cls(stack, await open_firm(db, settings.data_dir, settings.products_path, venues), seed_number)
        finally:
            await db.close()

    def logins(self, trader: str) -> list[Login]:
        """Returns who may sign in: the staff, and a trader."""
        staff = [(member.role, member.login, self.staff.password) for member in self.staff.members]
        return [*staff, ("trader", trader, self.staff.password)]

    async def is_begun(self) -> bool:
        """Returns whether people have bought here. Then the history is not played again."""
        db = build_database(self._stack.settings)
        try:
            async with db.transaction() as session:
                return bool(await session.scalar(select(func.count()).select_from(Trader)))
        finally:
            await db.close()

    def is_cut_short(self) -> bool:
        """Returns whether its history was begun and not played to its end."""
        return (self._stack.settings.data_dir / _BEGUN).exists()

    async def filled(self, report: Progress) -> str:
        """Plays the history, unless it was played, and lets prices go on live. Returns the e-mail address of a trader
        worth signing in as, who has the same password as the staff."""
        stack, settings = self._stack, self._stack.settings
        db = build_database(settings)
        try:
            venues = (SANDBOX, *(venue.name for venue in stack.venues))
            people = personas(PEOPLE * len(venues), self._seed, venues)
            stages = Stages(report, shares(len(people), BUYING, DAY, WEEKS))
            rehearsal = Rehearsal(stack, db, await temporal(settings), stages)
            try:
                if not await self.is_begun():
                    begun = settings.data_dir / _BEGUN
                    begun.touch()
                    async with scripted_staff(stack, self.staff) as operator:
                        operator.skipped_kinds |= _OPEN_WORK
                        now = datetime.now(UTC)
                        await rehearsal.play_the_day(people, operator, self.staff.password)
                        await rehearsal.play_on(operator, until=now - _LEFT_OPEN)
                        operator.skipped_kinds |= _ALL_MONEY
                        await rehearsal.play_on(operator, until=now)
                    begun.unlink()
                await rehearsal.sandbox.go_live()
            finally:
                await rehearsal.close()
            return await _example_trader(db, [person.email for person in people])
        finally:
            await db.close()


async def _example_trader(db: Database, addresses: list[str]) -> str:
    """Returns the e-mail address of a trader worth signing in as: a funded one if there is any."""
    async with db.transaction() as session:
        found = await session.scalar(
            select(Trader)
            .join(Challenge, Challenge.trader_id == Trader.id)
            .order_by((Challenge.state == "funded").desc(), Trader.id)
            .limit(1)
        )
    return found.email if found else addresses[0]
