"""Runs the conversations round by round and prints what must be zero."""

import asyncio
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any, Final

from adapters.mail.door_smtp import SmtpDoor, SmtpDoorSettings
from adapters.mail.smtp import SmtpSender, SmtpSettings
from cli.chaos.folders import fresh_folder
from cli.chaos.mail.firm import Firm, installed
from cli.chaos.mail.judge import FIGURES, judge
from cli.chaos.mail.world import AUTHSERV, US, Counted, Person, World
from cli.chaos.venue.firm import database
from cli.stack import logs
from ports.mail import MailDesk
from store.db import Database

_ROUNDS: Final = 6
_KINDS: Final = ("trader",) * 12 + ("stranger",) * 4 + ("away", "echo", "away", "dead")


def mail(*, messages: int, seed: int, data: Path | None, as_json: bool) -> bool:
    """Returns whether nothing went wrong and every fault happened."""
    logs.configure("chaos", "critical")
    figures = run(fresh_folder(data), messages, seed)
    if as_json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        for name, value in figures.items():
            sys.stdout.write(f"{name}: {value}\n")
    return not any(figures[name] for name in FIGURES) and all(figures["faults"].values())


def run(folder: Path, messages: int, seed: int) -> dict[str, Any]:
    """Plays on a database of its own in the folder, and returns the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    with database(folder) as url:
        return asyncio.run(_run(url, messages, seed))


async def _run(url: str, messages: int, seed: int) -> dict[str, Any]:
    installed()
    random, counted = Random(seed), Counted()
    people = [Person(number, _KINDS[number % len(_KINDS)]) for number in range(max(20, messages // _ROUNDS))]
    world = World(people, random, counted)
    outside = await asyncio.get_running_loop().create_server(world.server, "127.0.0.1", 0)
    sender = SmtpSettings(
        host="127.0.0.1", port=outside.sockets[0].getsockname()[1], security="none", hostname="firm.example"
    )
    door = SmtpDoor("chaos", SmtpDoorSettings(port=0, authserv=AUTHSERV))
    db = Database(url, pool_size=10)
    firm = Firm(db, MailDesk(SmtpSender("chaos", sender), f"Support <{US}>", US), door, random, counted)
    stop = asyncio.Event()
    listening = asyncio.create_task(door.run(firm.take, our_address=US, stop=stop))
    try:
        await firm.found(people)
        while not door.port:  # noqa: ASYNC110 -- the door says no more
            await asyncio.sleep(0.01)
        world.door_port = door.port
        started = time.monotonic()
        brought = await _converse(world, firm, people, messages)
        seconds = time.monotonic() - started
        async with db.transaction() as session:
            found = await judge(session, world)
    finally:
        stop.set()
        outside.close()
        with suppress(asyncio.CancelledError):
            await listening
        await db.close()
    faults = {name: getattr(counted, name) for name in Counted.__dataclass_fields__}
    return {
        "messages": brought,
        "seed": seed,
        **found,
        "faults": faults,
        "answers": firm.answers,
        "held_and_released": firm.released,
        "received": world.received,
        "seconds": round(seconds, 1),
        "messages_per_second": round((brought + world.received) / seconds, 1),
    }


async def _converse(world: World, firm: Firm, people: list[Person], messages: int) -> int:
    """Brings the mails of each round in any order, then answers what is open. Returns the number of mails brought."""
    brought = 0
    while brought < messages:
        batch, world.later = world.later, []
        for person in people:
            if person.kind == "dead" and person.sent:
                continue  # a person whose mailbox is gone has written once
            batch.append(world.write(person))
            if person.got and world.random.random() < 0.1:
                world.counted.out_of_order += 1
                batch.append(world.write(person))
            if world.random.random() < 0.05:
                world.counted.copies += 1
                batch.append(batch[-1])
            if person.kind == "trader" and person.got and world.random.random() < 0.2:
                batch.append(world.forge(person))
        world.random.shuffle(batch)
        await asyncio.gather(*(world.bring(raw) for raw in batch))
        brought += len(batch)
        await firm.release_held()
        await firm.answer_all()
        await firm.send_all()
    last, world.later = world.later, []
    await asyncio.gather(*(world.bring(raw) for raw in last))
    await firm.release_held()
    await firm.send_all()
    return brought + len(last)
