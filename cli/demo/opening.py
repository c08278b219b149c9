"""Sets up a demo firm: publishes its products and creates its staff. Safe to repeat."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import select

from adapters.calendars import known_venues
from domain.approvals import Role
from firm.products.shelf import load_products
from store import crypto, products
from store.db import Database
from store.identity import add_user, hash_password
from store.models import User


@dataclass(frozen=True)
class Member:
    login: str
    name: str
    role: Role


STAFF: Final = (
    Member("ana", "Ana Kovač", "admin"),
    Member("farid", "Farid Nasser", "finance"),
    Member("grace", "Grace Obi", "finance"),
    Member("rosa", "Rosa Vidal", "risk"),
    Member("sam", "Sam Keller", "support"),
    Member("omar", "Omar Aziz", "auditor"),
)


@dataclass(frozen=True)
class Staff:
    members: tuple[Member, ...]
    password: str


async def publish_products(db: Database, folder: Path) -> None:
    """Publishes every product definition of `folder`. Raises ProductInvalid before anything is published."""
    definitions = load_products(folder, known_venues)
    async with db.transaction() as session:
        for product in definitions:
            await products.publish(session, product)


async def open_firm(db: Database, data_dir: Path, products_dir: Path) -> Staff:
    """Publishes the products and creates the staff. All share one password, generated once per data folder."""
    await publish_products(db, products_dir)
    password = _password(data_dir / "demo-login.json")
    async with db.transaction() as session:
        for member in STAFF:
            index = crypto.keys().index(member.login)
            if await session.scalar(select(User.id).where(User.login_index == index)) is None:
                await add_user(
                    session,
                    login=member.login,
                    name=member.name,
                    password_hash=await hash_password(password),
                    role=member.role,
                    person_id=f"staff-{member.login}",
                )
    return Staff(STAFF, password)


def _password(path: Path) -> str:
    if path.is_file():
        return str(json.loads(path.read_text())["password"])
    password = secrets.token_urlsafe(9)
    path.touch(mode=0o600)
    path.write_text(json.dumps({"password": password}))
    return password
