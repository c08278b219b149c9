"""Runs the work of a command on the database that its settings name."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.approvals import Actor
    from store.db import Database

T = TypeVar("T")


def with_database(data: Path | None, work: "Callable[[Database], Awaitable[T]]") -> T:
    """Runs `work` on DATABASE_URL, or on the database that `propos up` runs on the data folder."""
    from cli.compose import build_database
    from settings import load

    settings = load(data_dir=data)

    async def run() -> T:
        db = build_database(settings, pool_size=1)
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(run())


def in_transaction(data: Path | None, work: "Callable[[AsyncSession], Awaitable[T]]") -> T:
    """Runs `work` in one transaction on that database."""

    async def transact(db: "Database") -> T:
        async with db.transaction() as session:
            return await work(session)

    return with_database(data, transact)


def as_person(data: Path | None, login: str, work: "Callable[[AsyncSession, Actor], Awaitable[T]]") -> T:
    """Runs `work` in one transaction as the person who signs in with `login` and a password, typed or as the first line
    of standard input. Raises NotSignedIn, or NotAllowed for a person with a second factor."""
    from domain.errors import NotAllowed
    from store import identity

    password = getpass.getpass(f"Password of {login}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")

    async def transact(db: "Database") -> T:
        signed_in = await identity.sign_in(db, login=login, password=password)
        async with db.transaction() as session:
            await identity.sign_out(session, signed_in.token)
        if signed_in.second_factor_due:
            raise NotAllowed(f"{login} has a second factor, which cannot be shown here.", remedy="Use the console.")
        async with db.transaction() as session:
            return await work(session, signed_in.actor)

    return with_database(data, transact)
