"""`propos products`: versions on sale, proposals and the people behind them, and accounts that move between versions.

Whoever decides signs in: `--as LOGIN`, with the password asked for (or the first line of standard input)."""

import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cli.reports.product_words import describe
from domain.errors import BadInput

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.approvals import Actor
    from domain.products.diff import FieldChange
    from store.db import Database

app = typer.Typer(
    help="Product versions: what is on sale, what is proposed, and accounts that move.", no_args_is_help=True
)

app.command()(describe)

_T = TypeVar("_T")

Data = Annotated[Path | None, typer.Option("--data", help="Data folder [PROPOS_DATA, default .propos].")]
As = Annotated[str, typer.Option("--as", help="Your login; your password is asked for.")]
Why = Annotated[str, typer.Option("--reason", help="Why; kept with it and read by auditors.")]
Proposal = Annotated[str, typer.Argument(help="The proposal, such as ppr_01k…")]
Subject = Annotated[str, typer.Argument(help="A proposal (ppr_…) or an account move (mov_…).")]


@app.command("list")
def list_versions(data: Data = None) -> None:
    """List every version on sale, every proposal and every move of accounts."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from store.read import versions
    from store.read.pages import Window

    async def work(session: "AsyncSession") -> "tuple[Table, Table, Table]":
        sold = Table("product", "version", "name", "active accounts", "by", title="On sale", title_justify="left")
        for row in await versions.versions(session):
            by = row.proposal_id or "bootstrap"
            mark = f"[bold]{row.version}[/]" if row.newest else str(row.version)
            sold.add_row(row.product, mark, escape(row.name), str(row.accounts), by)
        asked = Table("proposal", "version", "state", "by", "why", title="Proposals", title_justify="left")
        for p in (await versions.proposals(session, Window(limit=50))).items:
            asked.add_row(p.id, f"{p.product}@{p.version}", p.state, escape(p.proposed_by_name), escape(p.reason))
        moves = Table("move", "from", "to", "state", "waiting", "moved", "refused", title="Moves", title_justify="left")
        for m in (await versions.moves(session, Window(limit=50))).items:
            ends = (f"{m.product}@{m.from_version}", f"{m.product}@{m.to_version}")
            moves.add_row(m.id, *ends, m.state, str(m.waiting), str(m.moved), str(m.refused))
        return sold, asked, moves

    for table in _read(data, work):
        if table.row_count:
            Console().print(table)


@app.command()
def show(
    subject: Annotated[str, typer.Argument(help="A version (two-step@1), a proposal (ppr_…) or a move (mov_…).")],
    data: Data = None,
) -> None:
    """Show a version's terms, or what a proposal or move would change."""
    import yaml
    from rich.console import Console
    from rich.markup import escape

    from store import products
    from store.read import versions

    async def work(session: "AsyncSession") -> list[object]:
        if subject.startswith("ppr_"):
            p = await versions.proposal(session, subject)
            head = f"{p.product}@{p.version}: {p.state}, proposed by {p.proposed_by_name}: {p.reason}"
            return [escape(head), _changes(p.changes, p.base_version is None)]
        if subject.startswith("mov_"):
            m = await versions.move(session, subject)
            ends = f"{m.product}@{m.from_version} to {m.product}@{m.to_version}"
            counts = f"{m.waiting} waiting, {m.moved} moved, {m.refused} refused"
            refused = [f"{a.number}: {a.why}" for a in m.accounts if a.why]
            head = f"{ends}: {m.state}, {counts}; proposed by {m.proposed_by_name}: {m.reason}"
            return [escape("\n".join([head, *refused])), _changes(m.changes, False)]
        product, version = reference(subject)
        terms = await products.load(session, product, version)
        body = terms.model_dump(mode="json", exclude_none=True)
        return [escape(yaml.safe_dump(body, sort_keys=False, allow_unicode=True))]

    for part in _read(data, work):
        Console(soft_wrap=True).print(part)


@app.command()
def propose(
    file: Annotated[Path, typer.Argument(help="The definition (YAML or JSON).")],
    login: As,
    reason: Why,
    data: Data = None,
) -> None:
    """Propose a version of a product; a second person approves it before it can be sold."""
    from adapters.calendars import known_venues
    from firm.products import proposals
    from firm.products.shelf import read_file

    product = read_file(file, known_venues)

    async def work(session: "AsyncSession", actor: "Actor") -> str:
        row = await proposals.propose(session, product, source=file.name, actor=actor, reason=reason)
        return f"Proposed {product.ref} as {row.id}. Somebody else approves it: propos products approve {row.id}"

    typer.echo(_signed(data, login, work))


@app.command()
def approve(subject: Subject, login: As, reason: Why, data: Data = None) -> None:
    """Approve a proposal or a move that somebody else made."""
    typer.echo(_signed(data, login, lambda session, actor: _decide(session, actor, subject, "approve", reason)))


@app.command()
def reject(subject: Subject, login: As, reason: Why, data: Data = None) -> None:
    """Reject a proposal or a move that somebody else made."""
    typer.echo(_signed(data, login, lambda session, actor: _decide(session, actor, subject, "reject", reason)))


@app.command()
def withdraw(subject: Subject, login: As, reason: Why, data: Data = None) -> None:
    """Take your own proposal or move back."""
    from firm.products import proposals
    from firm.products import version_moves as moves

    async def work(session: "AsyncSession", actor: "Actor") -> str:
        taker = moves.withdraw if subject.startswith("mov_") else proposals.withdraw
        row = await taker(session, subject, actor=actor, reason=reason)
        return f"{subject} is {row.state}."

    typer.echo(_signed(data, login, work))


@app.command()
def publish(proposal: Proposal, login: As, data: Data = None) -> None:
    """Put an approved version on sale. From then on it never changes."""
    from firm.products import proposals

    async def work(session: "AsyncSession", actor: "Actor") -> str:
        product = await proposals.publish(session, proposal, actor=actor)
        return f"{product.ref} is on sale: {product.name}."

    typer.echo(_signed(data, login, work))


@app.command()
def move(
    source: Annotated[str, typer.Option("--from", help="The version they are under, such as two-step@1.")],
    target: Annotated[str, typer.Option("--to", help="The version they go on under, such as two-step@2.")],
    login: As,
    reason: Why,
    accounts: Annotated[str | None, typer.Option("--accounts", help="Account numbers: A-10001,A-10002.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every active account of the version that can move.")] = False,
    data: Data = None,
) -> None:
    """Propose that accounts go on under another version, from their next daily reset."""
    from firm.products import version_moves as moves

    (product, old), (other, new) = reference(source), reference(target)
    if product != other:
        raise BadInput(
            f"{source} and {target} are two products.", field="to", remedy="Move accounts within one product."
        )
    if every == (accounts is not None):
        raise BadInput("Say which accounts.", field="accounts", remedy="Use --accounts A-10001,A-10002 or --all.")
    numbers = None if accounts is None else [_number(part) for part in accounts.split(",")]

    async def work(session: "AsyncSession", actor: "Actor") -> str:
        row = await moves.propose(
            session, product=product, from_version=old, to_version=new, numbers=numbers, actor=actor, reason=reason
        )
        return f"Proposed as {row.id}. Somebody else approves it: propos products approve {row.id}"

    typer.echo(_signed(data, login, work))


def reference(text: str) -> tuple[str, int]:
    """(product, version) of `two-step@2`; raises BadInput."""
    product, _, version = text.partition("@")
    if not product or not version.isdecimal():
        raise BadInput(f"{text!r} names no version.", field="version", remedy="Write it like two-step@1.")
    return product, int(version)


def _number(text: str) -> int:
    digits = text.strip().upper().removeprefix("A-")
    if not digits.isdecimal() or len(digits) > 15:
        raise BadInput(f"{text.strip()!r} is no account number.", field="accounts", remedy="Write it like A-10001.")
    return int(digits)


async def _decide(session: "AsyncSession", actor: "Actor", subject: str, verdict: str, reason: str) -> str:
    from uuid import uuid4

    from firm.products import proposals
    from firm.products import version_moves as moves

    decider = moves.decide if subject.startswith("mov_") else proposals.decide
    chosen: proposals.Verdict = "approve" if verdict == "approve" else "reject"
    row = await decider(session, subject, verdict=chosen, actor=actor, reason=reason, key=f"cli/{uuid4().hex}")
    after = f" Put it on sale with: propos products publish {subject}" if row.state == "approved" else ""
    if subject.startswith("mov_") and row.state == "approved":
        after = " Each account changes at its next daily reset."
    return f"{subject} is {row.state}.{after}"


def _changes(changes: "tuple[FieldChange, ...]", first: bool) -> object:
    from rich.markup import escape
    from rich.table import Table

    title = "The first version of this product" if first else "What changes"
    table = Table("field", "was", "becomes", title=title, title_justify="left")
    for change in changes:
        table.add_row(escape(change.words), escape(change.was or "–"), escape(change.becomes or "–"))
    return table


def _read(data: Path | None, work: "Callable[[AsyncSession], Awaitable[_T]]") -> _T:
    async def transact(db: "Database") -> _T:
        async with db.transaction() as session:
            return await work(session)

    return _with_database(data, transact)


def _signed(data: Path | None, login: str, work: "Callable[[AsyncSession, Actor], Awaitable[_T]]") -> _T:
    """Do `work` as the person behind `login`, who proves it; raises NotSignedIn."""
    from store import identity

    password = getpass.getpass(f"Password of {login}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")

    async def transact(db: "Database") -> _T:
        signed_in = await identity.sign_in(db, identity.Throttle(), login=login, password=password)
        async with db.transaction() as session:
            await identity.sign_out(session, signed_in.token)
        async with db.transaction() as session:
            return await work(session, signed_in.actor)

    return _with_database(data, transact)


def _with_database(data: Path | None, work: "Callable[[Database], Awaitable[_T]]") -> _T:
    from cli.compose import build_database
    from settings import load

    settings = load(data_dir=data)

    async def run() -> _T:
        db = build_database(settings, pool_size=1)
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(run())
