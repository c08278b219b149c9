"""Stops the trading at a platform, or lets it go on, once two persons have said so."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from activities.deps import VenueDeps
from activities.stops import Outcome, carry_out
from cli.adapters import build_platforms, describe_platforms
from cli.compose import build_database
from cli.progress import progress_bar
from cli.transaction import as_person
from domain.stops import Action
from firm import stops
from front.stops import one_call
from settings import Settings, load
from store.stops import Scope

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.approvals import Actor


@dataclass(frozen=True)
class Answer:
    """`outcome` None: it waits for a second person."""

    stop_id: str
    outcome: Outcome | None


@dataclass(frozen=True)
class Wanted:
    """What is to be stopped: at one platform, or at all (`*`)."""

    name: str
    symbol: str | None
    product: str | None
    action: Action
    lifts: bool

    @property
    def scope(self) -> Scope:
        return Scope(self.name, self.symbol, self.product)


def halt(data: Path | None, wanted: Wanted, *, reason: str, login: str) -> Answer:
    """Asks for it, or agrees to what another person asked for and carries it out. Raises NotSignedIn, NotAllowed,
    BadInput for what the platform cannot do, Conflict, Unavailable."""
    settings = load(data_dir=data)
    known = {each.name: each.capabilities for each in describe_platforms(settings)}
    whole = one_call(known, platform=wanted.name, symbol=wanted.symbol, product=wanted.product, action=wanted.action)

    async def ask(session: "AsyncSession", actor: "Actor") -> tuple[str, str]:
        row = await stops.ask(
            session,
            platform=wanted.name,
            symbol=wanted.symbol,
            product=wanted.product,
            action=wanted.action,
            lifts=wanted.lifts,
            whole=whole,
            actor=actor,
            reason=reason,
        )
        return row.id, row.state

    stop_id, state = as_person(data, login, ask)
    return Answer(stop_id, asyncio.run(_carry_out(settings, stop_id)) if state == "approved" else None)


async def _carry_out(settings: Settings, stop_id: str) -> Outcome:
    deps = VenueDeps(build_database(settings, pool_size=4), build_platforms(settings))
    try:
        with progress_bar() as report:
            return await carry_out(deps, stop_id, lambda done, of: report(f"{done} of {of} accounts", done / of))
    finally:
        await deps.platforms.aclose()
        await deps.db.close()


def say(wanted: Wanted, answer: Answer) -> str:
    what = wanted.scope.words
    does = {
        "close_only": "the end of the stop" if wanted.lifts else "the stop",
        "cancel_orders": "cancelling the pending orders",
        "flatten": "closing the positions",
    }[wanted.action]
    if answer.outcome is None:
        return (
            f"{answer.stop_id}: {does} waits for a second person. {what}."
            " Within an hour, another person gives the same command."
        )
    failed = answer.outcome.failed
    if failed:
        lines = [f"  {account}: {why}" for account, why in sorted(failed.items())]
        head = f"{answer.stop_id}: {len(failed)} left, of {answer.outcome.accounts} accounts. Run it again."
        return "\n".join([head, *lines[:_SHOWN]])
    done = {
        "close_only": "goes on" if wanted.lifts else "is stopped; positions can be closed",
        "cancel_orders": "has no pending orders left",
        "flatten": "has no positions left",
    }[wanted.action]
    return f"{answer.stop_id}: {what} {done}."


_SHOWN = 20
