"""`propos mail-in`: the doors by which mail comes in."""

import asyncio
from functools import partial

from cli.adapters import build_mail, build_mail_doors
from cli.compose import build_database
from domain.mail.reading import read
from firm import inbound
from ports.mail_door import FetchingDoor, MailDoor
from settings import Settings
from store.db import Database


async def take(db: Database, our_address: str, door: MailDoor, raw: bytes, recipients: tuple[str, ...]) -> None:
    """Reads a mail and puts it on the record. Raises BadInput for a mail that cannot be read."""
    mail = await asyncio.to_thread(read, raw, authserv=door.authserv, recipients=recipients)
    async with db.transaction() as session:
        await inbound.receive(session, mail, door=door.name, our_address=our_address)


async def run_mail_in(settings: Settings, stop: asyncio.Event) -> None:
    """Runs every door that fetches or listens, until `stop`. Without one there is nothing to run: it waits."""
    desk, db = build_mail(settings), build_database(settings)
    doors = [door for door in build_mail_doors(settings).values() if isinstance(door, FetchingDoor)]
    try:
        async with asyncio.TaskGroup() as running:
            for door in doors:
                taking = partial(take, db, desk.address, door)
                running.create_task(door.run(taking, our_address=desk.address, stop=stop))
            running.create_task(_until(stop))
    finally:
        await desk.post.aclose()
        await db.close()


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()
