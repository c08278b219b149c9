"""`propos user`: the staff who may sign in. The audit log records its changes under the actor `command-line`."""

import json
import re
import secrets
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from cli.options import AsJson, Data
from cli.transaction import in_transaction
from domain.errors import BadInput

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from sqlalchemy.ext.asyncio import AsyncSession

    from domain.approvals import Role

app = typer.Typer(help="Add, change, disable and list the staff and programs that may sign in.", no_args_is_help=True)

_BY: Final = "command-line"
_PASSWORD_BYTES: Final = 15  # 20 characters of 6 bits
# Person ids are stored unencrypted, also in the audit log, so they must not be names or e-mail addresses.
_PERSON: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")

_ROLES: Final = "One of support, risk, finance, admin, auditor; or venue, for a program that checks orders."

NewRole = Annotated[str, typer.Argument(help=_ROLES)]
Login = Annotated[str, typer.Argument(help="Login to sign in with.")]


@app.command()
def add(
    role: Annotated[str, typer.Option("--role", help=_ROLES)],
    login: Annotated[str, typer.Option("--login", help="Login to sign in with.")],
    name: Annotated[str, typer.Option("--name", help="Name that colleagues see.")],
    person: Annotated[
        str | None,
        typer.Option("--person", help="Id of the person, if they already have a login; without it, a new person."),
    ] = None,
    data: Data = None,
) -> None:
    """Add a member of staff, or a program of a venue, and print the password. It is shown only once."""
    from domain.keys import new_id
    from store.identity import add_user, hash_password

    wanted = _role(role)
    login, name = _text("login", login), _text("name", name)
    if person is not None and not _PERSON.fullmatch(person):
        raise BadInput(
            "--person must be an opaque id: up to 64 letters, digits, _ and -.",
            field="person",
            remedy="Take it from `propos user list`, or omit it for a new person.",
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
    typer.echo(f"Password (shown only once): {password}")


@app.command("role")
def change_role(login: Login, role: NewRole, data: Data = None) -> None:
    """Change the role of a member of staff. Their open sessions end."""
    from store import identity

    wanted = _role(role)
    changed = in_transaction(data, lambda session: identity.change_role(session, login=login, role=wanted, by=_BY))
    typer.echo(f"{login} is {'now' if changed else 'already'} {wanted}." + _sessions(changed))


@app.command()
def disable(login: Login, data: Data = None) -> None:
    """Disable a login. Its open sessions and its API keys end."""
    from store.identity import disable_user

    changed = in_transaction(data, lambda session: disable_user(session, login=login, by=_BY))
    typer.echo(f"{login} is {'now' if changed else 'already'} disabled." + _sessions(changed))


@app.command()
def enable(login: Login, data: Data = None) -> None:
    """Let a disabled login sign in again, with the role that it had."""
    from store.identity import enable_user

    changed = in_transaction(data, lambda session: enable_user(session, login=login, by=_BY))
    typer.echo(f"{login} {'may' if changed else 'may already'} sign in.")


@app.command("password")
def new_password(login: Login, data: Data = None) -> None:
    """Give a login a new password, and print it. It is shown only once. Its open sessions and its API keys
    end."""
    from store.identity import hash_password, reset_password

    password = secrets.token_urlsafe(_PASSWORD_BYTES)

    async def work(session: "AsyncSession") -> None:
        await reset_password(session, login=login, password_hash=await hash_password(password), by=_BY)

    in_transaction(data, work)
    typer.echo(f"Password of {login} (shown only once): {password}")


@app.command("invite")
def invite(login: Login, data: Data = None) -> None:
    """Print an address at which a member of staff links their login to the firm's identity provider. It works once."""
    import settings
    from front.provider import invitation

    public_url = settings.load(data_dir=data).api_url
    address = in_transaction(data, lambda session: invitation(session, public_url, login, _BY))
    typer.echo(f"Give this address to the person behind {login}. It works once, for three days:")
    typer.echo(address)


@app.command("factor-link")
def factor_link(login: Login, data: Data = None) -> None:
    """Print the link with which a person without a factor adds the first one. It is mailed to logins that are mail
    addresses; this is for the others. Make sure that you give it to the person themselves. It works once."""
    import settings
    from firm.first_factors import print_link

    public_url = settings.load(data_dir=data).api_url
    address = in_transaction(data, lambda session: print_link(session, login=login, site=public_url, by=_BY))
    typer.echo(f"Give this address to the person behind {login}. They open it where they are signed in as {login}.")
    typer.echo(f"It works once, for 30 minutes:\n{address}")


@app.command("forget-factors")
def forget_factors(login: Login, data: Data = None) -> None:
    """Remove the passkeys, the authenticator app and the recovery codes of a person who lost them. Their open sessions
    end. Make sure who asks for it: from then on the password is enough to sign in."""
    from store.identity import forget_factors

    in_transaction(data, lambda session: forget_factors(session, login=login, by=_BY))
    typer.echo(f"{login} has no factors any more. Open sessions have ended.")


@app.command("list")
def list_users(data: Data = None, as_json: AsJson = False) -> None:
    """List the staff: login, name, role, person, and whether they may sign in."""
    from store.identity import staff

    found = in_transaction(data, staff)
    if as_json:
        rows = [
            {"login": user.login, "name": user.name, "role": user.role, "person": user.person_id, "active": user.active}
            for user in found
        ]
        typer.echo(json.dumps({"users": rows}))
        return
    from rich.markup import escape
    from rich.table import Table

    from cli.tables import show_table

    table = Table("Login", "Name", "Role", "Person", "May sign in")
    for user in found:
        table.add_row(
            escape(user.login), escape(user.name), user.role, user.person_id, "yes" if user.active else "no, disabled"
        )
    show_table(table)


def _role(role: str) -> "Role":
    from domain.approvals import ROLES

    if role not in ROLES or role == "trader":
        names = ", ".join(name for name in ROLES if name != "trader")
        raise BadInput(f"There is no staff role {role!r}.", field="role", remedy=f"Choose one of {names}.")
    return cast("Role", role)


def _text(field: str, value: str) -> str:
    text = value.strip()
    if not 1 <= len(text) <= 200 or not text.isprintable():
        raise BadInput(f"--{field} must be one line of 1 to 200 printable characters.", field=field)
    return text


def _sessions(changed: bool) -> str:
    return " Open sessions have ended." if changed else ""
