"""A person of the staff."""

from domain.approvals import Actor, Role
from store import identity
from store.db import Database


async def person(db: Database, name: str, role: Role) -> Actor:
    async with db.transaction() as session:
        return await identity.add_user(
            session, login=f"{name}@firm.example", name=name, password_hash="x", role=role, person_id=f"person-{name}"
        )
