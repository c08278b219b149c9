"""`propos user`: who of the firm may sign in. What it does is on the audit log, made by `command-line`."""

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from cli.transaction import in_transaction
from domain.errors import BadInput

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.approvals import Role

app = typer.Typer(help="Who of the firm may sign in: add, change, disable and list.", no_args_is_help=True)

_BY: Final = "command-line"
_PASSWORD_BYTES: Final = 15  # 20 characters of 6 bits
# Person ids stand unencrypted in the record and on the audit log: no names, no e-mail addresses.
_PERSON: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

Data = Annotated[Path | None, typer.Option("--data", help="Data folder [PROPOS_DATA, default .propos].")]
Login = Annotated[str, typer.Argument(help="What they sign in with.")]


@app.command()
def add(
    role: Annotated[str, typer.Option("--role", help="support, risk, finance, admin or auditor.")],
    login: Annotated[str, typer.Option("--login", help="What they sign in with.")],
    name: Annotated[str, typer.Option("--name", help="Their name, as colleagues see it.")],
    person: Annotated[
        str | None, typer.Option("--person", help="The person behind it, if they have a login already [a new one].")
    ] = None,
    data: Data = None,
) -> None:
    """Add a member of staff and print their password, this once."""
    from domain.keys import new_id
    from store.identity import add_user, hash_password

    wanted = _role(role)
    login, name = _text("login", login), _text("name", name)
    if person is not None and not _PERSON.fullmatch(person):
        raise BadInput(
            "--person must be an opaque id: up to 64 letters, digits, _ and -.",
            field="person",
            remedy="Take it from `propos user list`, or leave it out for somebody new.",
        )
    password = secrets.token_urlsafe(_PASSWORD_BYTES)

    async def work(session: "AsyncSession") -> str:
        actor = await add_user(
            session,
            login=login,
            name=name,
            password_hash=await hash_password(password),
            role=wanted,
            person_id=person or new_id("usr"),
            by=_BY,
        )
        return actor.person_id

    person_id = in_transaction(data, work)
    typer.echo(f"Added {login} as {wanted}, person {person_id}.")
    typer.echo(f"Password, shown only now: {password}")


@app.command("role")
def change_role(login: Login, role: str, data: Data = None) -> None:
    """Give a member of staff another role. Their open sessions end."""
    from store import identity

    wanted = _role(role)
    changed = in_transaction(data, lambda session: identity.change_role(session, login=login, role=wanted, by=_BY))
    typer.echo(f"{login} is {'now' if changed else 'already'} {wanted}." + _sessions(changed))


@app.command()
def disable(login: Login, data: Data = None) -> None:
    """Keep a login from signing in. Its open sessions end."""
    from store.identity import disable_user

    changed = in_transaction(data, lambda session: disable_user(session, login=login, by=_BY))
    typer.echo(f"{login} is {'now' if changed else 'already'} disabled." + _sessions(changed))


@app.command("list")
def list_users(data: Data = None) -> None:
    """List the staff: login, name, role, person, and whether they may sign in."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from store.identity import staff

    table = Table("login", "name", "role", "person", "may sign in")
    for user in in_transaction(data, staff):
        table.add_row(
            escape(user.login), escape(user.name), user.role, user.person_id, "yes" if user.active else "disabled"
        )
    Console().print(table)


def _role(role: str) -> "Role":
    from domain.approvals import ROLES, STAFF

    if role not in STAFF:
        names = ", ".join(name for name in ROLES if name in STAFF)
        raise BadInput(f"There is no staff role {role!r}.", field="role", remedy=f"Choose one of {names}.")
    return cast("Role", role)


def _text(field: str, value: str) -> str:
    text = value.strip()
    if not 1 <= len(text) <= 200 or not text.isprintable():
        raise BadInput(f"--{field} must be one line of 1 to 200 printable characters.", field=field)
    return text


def _sessions(changed: bool) -> str:
    return " Open sessions have ended." if changed else ""
