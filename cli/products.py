"""`propos products`: propose, approve and publish versions, and move accounts between versions.

A person who decides signs in with `--as LOGIN` and a password, typed or as the first line of standard input.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import AsJson, Data
from cli.reports.product_words import describe
from cli.transaction import as_person, in_transaction
from domain.errors import BadInput

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from rich.table import Table
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.approvals import Actor
    from domain.products.diff import FieldChange
    from store.read.versions import ProposalRow, VersionMoveRow, VersionRow

app = typer.Typer(
    help="Propose, approve and publish product versions; move accounts between them. For a first product of your own, "
    "copy one of `propos products examples`.",
    no_args_is_help=True,
)

app.command()(describe)

As = Annotated[str, typer.Option("--as", help="Your login; you are asked for the password.")]
Reason = Annotated[str, typer.Option("--reason", help="Reason, for the audit log.")]
Proposal = Annotated[str, typer.Argument(help="A proposal, such as ppr_01k…")]
Subject = Annotated[str, typer.Argument(help="A proposal (ppr_…) or a move (mov_…).")]


@app.command("list")
def list_versions(data: Data = None, as_json: AsJson = False) -> None:
    """List the versions on sale, the proposals and the moves of accounts."""
    from store.read import versions
    from store.read.pages import Window

    async def work(
        session: "AsyncSession",
    ) -> "tuple[Sequence[VersionRow], Sequence[ProposalRow], Sequence[VersionMoveRow]]":
        newest = Window(limit=50)
        proposed, moves = await versions.proposals(session, newest), await versions.moves(session, newest)
        return await versions.versions(session), proposed.items, moves.items

    sold, proposed, moves = in_transaction(data, work)
    if as_json:
        parts = {"versions": sold, "proposals": proposed, "moves": moves}
        typer.echo(json.dumps({name: [row.model_dump(mode="json") for row in rows] for name, rows in parts.items()}))
        return
    from cli.tables import show_table

    for table in (_sold(sold), _proposed(proposed), _moved(moves)):
        if table.row_count:
            show_table(table)


def _sold(rows: "Sequence[VersionRow]") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table("Product", "Version", "Name", "Active accounts", "Source", title="On sale", title_justify="left")
    for row in rows:
        version = f"[bold]{row.version}[/]" if row.newest else str(row.version)
        table.add_row(row.product, version, escape(row.name), str(row.accounts), row.proposal_id or "bootstrap")
    return table


def _proposed(rows: "Sequence[ProposalRow]") -> "Table":
    from rich.markup import escape
    from rich.table import Table

    table = Table("Proposal", "Version", "State", "Proposed by", "Reason", title="Proposals", title_justify="left")
    for row in rows:
        version = f"{row.product}@{row.version}"
        table.add_row(row.id, version, row.state, escape(row.proposed_by_name), escape(row.reason))
    return table


def _moved(rows: "Sequence[VersionMoveRow]") -> "Table":
    from rich.table import Table

    table = Table("Move", "From", "To", "State", "Waiting", "Moved", "Refused", title="Moves", title_justify="left")
    for row in rows:
        ends = (f"{row.product}@{row.from_version}", f"{row.product}@{row.to_version}")
        table.add_row(row.id, *ends, row.state, str(row.waiting), str(row.moved), str(row.refused))
    return table


@app.command()
def examples(as_json: AsJson = False) -> None:
    """List the example products, modelled on published rulebooks. None is sold until you copy and propose it."""
    from firm.products.shelf import EXAMPLES, load_products

    files = {f"{product.product}.v{product.version}.yaml": product for product in load_products(EXAMPLES)}
    if as_json:
        rows = [{"file": str(EXAMPLES / file), "family": p.family, "name": p.name} for file, p in files.items()]
        typer.echo(json.dumps({"examples": rows}))
        return
    width = max(len(file) for file in files)
    for file, product in files.items():
        typer.echo(f"{file:<{width}}  {product.family:<18}  {product.name}")
    typer.echo(f"\nThey are in {EXAMPLES}. Copy one, change it, and read it with: propos products describe FILE")


@app.command()
def show(
    subject: Annotated[str, typer.Argument(help="A version (two-step@1), a proposal (ppr_…) or a move (mov_…).")],
    data: Data = None,
) -> None:
    """Show the terms of a version, or the changes of a proposal or move."""
    from rich.console import Console
    from rich.markup import escape

    from firm.products.draft_texts import text_of
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
        return [escape(text_of(await products.load(session, product, version)))]

    for part in in_transaction(data, work):
        Console(soft_wrap=True).print(part)


@app.command()
def propose(
    file: Annotated[Path, typer.Argument(help="Product definition (YAML or JSON).")],
    login: As,
    reason: Reason,
    data: Data = None,
) -> None:
    """Propose a version of a product; a second person must approve it before it can be sold."""
    from adapters.calendars import known_venues
    from firm.products import proposals
    from firm.products.shelf import read_file

    product = read_file(file, known_venues)

    async def work(session: "AsyncSession", actor: "Actor") -> str:
        row = await proposals.propose(session, product, source=file.name, actor=actor, reason=reason)
        return f"Proposed {product.ref} as {row.id}. Next, another person runs: propos products approve {row.id}"

    typer.echo(as_person(data, login, work))


@app.command()
def approve(subject: Subject, login: As, reason: Reason, data: Data = None) -> None:
    """Approve a proposal or a move of another person."""
    typer.echo(as_person(data, login, lambda session, actor: _decide(session, actor, subject, "approve", reason)))


@app.command()
def reject(subject: Subject, login: As, reason: Reason, data: Data = None) -> None:
    """Reject a proposal or a move of another person."""
    typer.echo(as_person(data, login, lambda session, actor: _decide(session, actor, subject, "reject", reason)))


@app.command()
def withdraw(subject: Subject, login: As, reason: Reason, data: Data = None) -> None:
    """Withdraw your own proposal or move."""
    from firm.products import proposals
    from firm.products import version_moves as moves

    async def work(session: "AsyncSession", actor: "Actor") -> str:
        withdraw_one = moves.withdraw if subject.startswith("mov_") else proposals.withdraw
        row = await withdraw_one(session, subject, actor=actor, reason=reason)
        return f"{subject} is {row.state}."

    typer.echo(as_person(data, login, work))


@app.command()
def publish(proposal: Proposal, login: As, data: Data = None) -> None:
    """Put an approved version on sale. It cannot be changed afterwards."""
    from firm.products import proposals

    async def work(session: "AsyncSession", actor: "Actor") -> str:
        product = await proposals.publish(session, proposal, actor=actor)
        return f"{product.ref} is on sale: {product.name}."

    typer.echo(as_person(data, login, work))


@app.command()
def move(
    source: Annotated[str, typer.Option("--from", help="Current version, such as two-step@1.")],
    target: Annotated[str, typer.Option("--to", help="New version, such as two-step@2.")],
    login: As,
    reason: Reason,
    accounts: Annotated[
        str | None, typer.Option("--accounts", help="Account numbers, such as A-10001,A-10002.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All active accounts of the version that can move.")] = False,
    data: Data = None,
) -> None:
    """Propose to move accounts to another version at their next daily reset."""
    from firm.products import version_moves as moves

    (product, old), (other, new) = reference(source), reference(target)
    if product != other:
        raise BadInput(
            f"{source} and {target} are different products.", field="to", remedy="Move accounts within one product."
        )
    if every == (accounts is not None):
        raise BadInput("No accounts are named.", field="accounts", remedy="Use --accounts A-10001,A-10002 or --all.")
    numbers = None if accounts is None else [_number(part) for part in accounts.split(",")]

    async def work(session: "AsyncSession", actor: "Actor") -> str:
        row = await moves.propose(
            session, product=product, from_version=old, to_version=new, numbers=numbers, actor=actor, reason=reason
        )
        return f"Proposed the move as {row.id}. Next, another person runs: propos products approve {row.id}"

    typer.echo(as_person(data, login, work))


def reference(text: str) -> tuple[str, int]:
    """Returns (product, version) of a text such as `two-step@2`. Raises BadInput."""
    product, _, version = text.partition("@")
    if not product or not version.isdecimal():
        raise BadInput(f"{text!r} does not name a version.", field="version", remedy="Write it like two-step@1.")
    return product, int(version)


def _number(text: str) -> int:
    digits = text.strip().upper().removeprefix("A-")
    if not digits.isdecimal() or len(digits) > 15:
        raise BadInput(f"{text.strip()!r} is not an account number.", field="accounts", remedy="Write it like A-10001.")
    return int(digits)


async def _decide(session: "AsyncSession", actor: "Actor", subject: str, verdict: str, reason: str) -> str:
    from uuid import uuid4

    from firm.products import proposals
    from firm.products import version_moves as moves

    decide = moves.decide if subject.startswith("mov_") else proposals.decide
    chosen: proposals.Verdict = "approve" if verdict == "approve" else "reject"
    row = await decide(session, subject, verdict=chosen, actor=actor, reason=reason, key=f"cli/{uuid4().hex}")
    next_step = f" Put it on sale with: propos products publish {subject}" if row.state == "approved" else ""
    if subject.startswith("mov_") and row.state == "approved":
        next_step = " Each account moves at its next daily reset."
    return f"{subject} is {row.state}.{next_step}"


def _changes(changes: "tuple[FieldChange, ...]", first: bool) -> object:
    from rich.markup import escape
    from rich.table import Table

    title = "The first version of this product" if first else "Changes"
    table = Table("Field", "Before", "After", title=title, title_justify="left")
    for change in changes:
        table.add_row(escape(change.words), escape(change.was or "–"), escape(change.becomes or "–"))
    return table
