"""Has venues make what traders sign in with. The password goes from the record to the venue, and nowhere else."""

from domain.errors import Conflict
from ports.credentials import GivesCredentials, Holder, ResetsCredentials, SignIn
from ports.platform import Platforms
from store import credentials
from store.credentials import Waiting
from store.db import Database


async def make(db: Database, platforms: Platforms, credential_id: str) -> None:
    """Does nothing for credentials that are made. Raises every outcome of ports/money.py."""
    async with db.transaction() as session:
        wanted = await credentials.waiting(session, credential_id)
    if wanted is None:
        return
    made = await _at_venue(platforms, wanted)
    async with db.transaction() as session:
        await credentials.arrived(session, wanted.id, username=made.username, new=made.new)


async def _at_venue(platforms: Platforms, wanted: Waiting) -> SignIn:
    platform = platforms.of(wanted.platform)
    if wanted.kind == "reset" and isinstance(platform, ResetsCredentials):
        return await platform.reset_credentials(wanted.login, key=wanted.id, password=wanted.password)
    if wanted.kind == "create" and isinstance(platform, GivesCredentials):
        holder = Holder(wanted.email, wanted.name, wanted.known)
        return await platform.create_credentials(wanted.login, key=wanted.id, password=wanted.password, holder=holder)
    raise Conflict(f"The platform {wanted.platform!r} cannot {wanted.kind} credentials.")
