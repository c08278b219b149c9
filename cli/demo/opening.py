"""Sets up a demo firm: publishes its products and creates its staff. Safe to repeat."""

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import select

from adapters.calendars import known_venues
from cli.demo.personas import PRODUCTS
from cli.stack.venues import product_at
from domain.approvals import Role
from domain.products.product import Product
from domain.rules.terms import WHOLE
from firm.products.shelf import load_products
from store import crypto, products, service_time
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
    Member("rui", "Rui Campos", "risk"),
    Member("sam", "Sam Keller", "support"),
    Member("omar", "Omar Aziz", "auditor"),
)


@dataclass(frozen=True)
class Staff:
    members: tuple[Member, ...]
    password: str


async def publish_products(db: Database, folder: Path, venues: Sequence[str] = ()) -> None:
    """Publishes every product definition of `folder`, and the same terms of the demo's products for each of `venues`
    under a name of their own. Raises ProductInvalid before anything is published."""
    definitions = load_products(folder, known_venues)
    sold = [each for each in definitions if each.product in PRODUCTS]
    async with db.transaction() as session:
        for product in [*definitions, *(at_venue(each, venue) for venue in venues for each in sold)]:
            await products.publish(session, product)


def at_venue(product: Product, venue: str) -> Product:
    """Returns the same terms as they are sold on a venue. People see the platform beside the name."""
    data = product.model_dump(mode="json", context=WHOLE)
    return Product.model_validate({**data, "product": product_at(venue, product.product)})


async def open_firm(db: Database, data_dir: Path, products_dir: Path, venues: Sequence[str] = ()) -> Staff:
    """Publishes the products, also those for `venues` besides the sandbox, and creates the staff. All share one
    password, generated once per data folder."""
    await publish_products(db, products_dir, venues)
    password = _password(data_dir / "demo-login.json")
    async with db.transaction() as session:
        await service_time.follow_market(session)  # months pass in minutes, for the clocks of tickets too
        for member in STAFF:
            indexes = crypto.keys().blind_indexes(member.login)
            if await session.scalar(select(User.id).where(User.login_index.in_(indexes))) is None:
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
