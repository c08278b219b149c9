"""`propos keys`: the keys of encrypted columns, blind indexes and workflow payloads. docs/runbooks/rotate-keys.md.

Keys change in steps, because a process cannot read what is under a key that it does not have: every process gets the
new key, then every process encrypts with it, then the rows move to it, then the old key goes.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.options import AsJson, Data
from cli.transaction import with_database
from domain.errors import BadInput, KeyInUse

if TYPE_CHECKING:  # only annotations need them; importing them would slow down `--help`
    from cli.progress import Progress
    from settings import Settings
    from store.db import Database
    from store.key_rotation import Use

app = typer.Typer(help="List, add, change and retire the encryption keys.", no_args_is_help=True)

_RESTART: Final = "Restart every process of the firm now."
_PAUSE_SECONDS: Final = 0.5  # for rows that somebody has locked
_NAMED: Final = 5  # workflows that a refusal names
Ring = dict[str, str]  # key id -> base64, the key that encrypts first
KeyId = Annotated[str, typer.Argument(help="Id of the key, such as k2.")]


@app.command("list")
def list_keys(data: Data = None, as_json: AsJson = False) -> None:
    """List the keys, and how many values and running workflows need each."""
    from settings import load

    settings = load(data_dir=data)
    ring = _ring(settings)
    uses = with_database(data, _usage)
    workflows = Counter(key for keys in asyncio.run(_workflow_keys(settings)).values() for key in keys)
    values = {key_id: {use.column: use.rows for use in uses if use.key_id == key_id} for key_id in ring}
    others = [use for use in uses if use.key_id not in ring]
    if as_json:
        keys = [
            {"id": key_id, "encrypts": number == 0, "values": values[key_id], "running_workflows": workflows[key_id]}
            for number, key_id in enumerate(ring)
        ]
        left = [{"column": use.column, "key": use.key_id, "rows": use.rows} for use in others]
        typer.echo(json.dumps({"keys": keys, "others": left}))
        return
    from rich.table import Table

    from cli.tables import show_table

    table = Table("Key", "Use", "Values", "Running workflows")
    for number, key_id in enumerate(ring):
        total = sum(values[key_id].values())
        table.add_row(key_id, "decrypts" if number else "encrypts, decrypts", f"{total:,}", str(workflows[key_id]))
    show_table(table)
    for use in others:
        typer.echo(f"{use.rows:,} rows of {use.column} are under {use.key_id or 'a key that they do not name'}.")


@app.command()
def add(data: Data = None) -> None:
    """Add a new key, which only decrypts at first."""
    from cli.secret_file import new_key
    from settings import load

    settings = load(data_dir=data)
    ring = _ring(settings)
    key_id = next(name for number in range(1, len(ring) + 2) if (name := f"k{number}") not in ring)
    _save(settings, ring | {key_id: new_key()})
    typer.echo(f"Added the key {key_id}, which decrypts. {_RESTART}")


@app.command()
def use(key_id: KeyId, data: Data = None) -> None:
    """Encrypt with this key from now on. Every process must have it already."""
    from settings import load

    settings = load(data_dir=data)
    ring = _ring(settings)
    _check_known(ring, key_id)
    behind = [held for held in with_database(data, _rings) if key_id not in held]
    if behind:
        words = [f"a process has only {', '.join(held)}" for held in behind]
        raise KeyInUse(key_id, words, remedy="Restart every process, so that each can decrypt with it; then try again.")
    _save(settings, {key_id: ring[key_id]} | ring)
    typer.echo(f"The key {key_id} encrypts. {_RESTART}")


@app.command()
def rotate(data: Data = None, as_json: AsJson = False) -> None:
    """Move every encrypted value and blind index to the key that encrypts. The firm may run; a run that was stopped
    continues where it ended."""
    from cli.progress import progress_bar
    from settings import load

    ring = _ring(load(data_dir=data))
    key_id = next(iter(ring))
    behind = [held for held in with_database(data, _rings) if held[0] != key_id]
    if behind:
        words = [f"a process still encrypts with {held[0]}" for held in behind]
        raise KeyInUse(key_id, words, remedy="Restart every process with the key first; then try again.")
    with progress_bar() as report:
        changed, unreadable = with_database(data, lambda db: _move_all(db, report))
    if as_json:
        typer.echo(json.dumps({"key": key_id, "rows_changed": changed, "unreadable": unreadable}))
    else:
        typer.echo(f"Moved {changed:,} rows to the key {key_id}.")
        for value in unreadable:
            typer.echo(f"Cannot be read, left as it is: {value}", err=True)
    if unreadable:
        raise typer.Exit(1)


@app.command()
def retire(key_id: KeyId, data: Data = None) -> None:
    """Remove a key that nothing needs any more."""
    from settings import load
    from store.key_rotation import needs

    settings = load(data_dir=data)
    ring = _ring(settings)
    _check_known(ring, key_id)
    needed = ["it is the key that encrypts"] if key_id == next(iter(ring)) else []
    needed += ["a process still encrypts with it" for held in with_database(data, _rings) if held[0] == key_id]
    if settings.digest_key is None:
        needed.append("PROPOS_DIGEST_KEY is not set, so the digests of approvals are made from the last key")
    needed += needs(with_database(data, _usage), key_id)
    found = sorted(name for name, keys in asyncio.run(_workflow_keys(settings)).items() if key_id in keys)
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        needed.append(f"the running workflows {', '.join(found[:_NAMED])}{more}")
    if needed:
        raise KeyInUse(key_id, needed, remedy="Follow docs/runbooks/rotate-keys.md from the step that is missing.")
    _save(settings, {name: key for name, key in ring.items() if name != key_id})
    typer.echo(f"Removed the key {key_id}. Keep it with the backups that were made under it. {_RESTART}")


def _ring(settings: "Settings") -> Ring:
    import base64

    return {key_id: base64.b64encode(key).decode() for key_id, key in settings.payload_key_ring()}


def _check_known(ring: Ring, key_id: str) -> None:
    if key_id not in ring:
        raise BadInput(f"There is no key {key_id!r}.", field="key_id", remedy=f"Choose one of {', '.join(ring)}.")


def _save(settings: "Settings", ring: Ring) -> None:
    """Writes the ring to the secrets of the data folder; prints it where the environment sets it."""
    from cli.secret_file import change_secrets

    values = {"payload_keys": ",".join(f"{key_id}:{key}" for key_id, key in ring.items())}
    values["digest_key"] = _digest_key(settings)
    if not change_secrets(settings.data_dir, values):
        typer.echo(f"Set PROPOS_PAYLOAD_KEYS={values['payload_keys']}")
        typer.echo(f"Set PROPOS_DIGEST_KEY={values['digest_key']}")


def _digest_key(settings: "Settings") -> str:
    """Returns the key of digests as it is, also when it was made from the last key until now."""
    import base64

    from store.crypto import digest_key_of

    key = settings.digest_key_bytes() or digest_key_of(settings.payload_key_ring()[-1][1])
    return base64.b64encode(key).decode()


async def _usage(db: "Database") -> "Sequence[Use]":
    from store.key_rotation import usage

    async with db.transaction() as session:
        return await usage(session)


async def _rings(db: "Database") -> list[tuple[str, ...]]:
    from store.key_rotation import rings_in_use

    async with db.transaction() as session:
        return await rings_in_use(session)


async def _move_all(db: "Database", report: "Progress") -> tuple[int, list[str]]:
    """Returns how many rows were moved, and the values that cannot be read. Goes over each table until no row is left
    that could be moved: rows that are locked wait for the next pass."""
    from store.key_rotation import count_behind, step, tables

    changed, unreadable = 0, dict[str, None]()
    for table in tables():
        async with db.transaction() as session:
            total = await count_behind(session, table)
        after, moved, bad = None, 0, dict[str, None]()
        while total:
            async with db.transaction() as session:
                done = await step(session, table, after)
            moved, after = moved + done.changed, done.last
            bad |= dict.fromkeys(done.unreadable)
            report(table.name, min(1.0, moved / total))
            if after is None:  # the end of a pass
                async with db.transaction() as session:
                    if await count_behind(session, table) <= len({name.rpartition(" of ")[2] for name in bad}):
                        break
                await asyncio.sleep(_PAUSE_SECONDS)
        changed, unreadable = changed + moved, unreadable | bad
    return changed, list(unreadable)


async def _workflow_keys(settings: "Settings") -> dict[str, frozenset[str]]:
    """Returns the payload keys that each running workflow needs, by its id."""
    from cli.compose import temporal
    from cli.progress import progress_bar
    from relay.running import payload_keys, running

    client = await temporal(settings)
    found: dict[str, frozenset[str]] = {}
    with progress_bar() as report:
        total = (await client.count_workflows("ExecutionStatus = 'Running'")).count or 1
        async for handle in running(client):
            found[handle.id] = await payload_keys(handle)
            report("running workflows", min(1.0, len(found) / total))
    return found
