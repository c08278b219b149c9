"""What a firm without the demo needs first, said at the end of `propos up`."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import func, select

from settings import Settings
from store.db import Database
from store.models import ProductVersion, User

_SIGN_IN: Final = (
    'Nobody can sign in yet. Make the first sign-in: propos user add --role admin --login ana --name "Ana Kovač"'
)
_PRODUCT: Final = (
    "Nothing is on sale yet. Draft the first product in the console under Products, from an example; a second person"
    " approves it. For a firm that is filled in: propos up --demo with a new --data folder."
)


async def say_first_steps(settings: Settings, data: Path | None, say: Callable[[str], None]) -> None:
    """Says a sentence for each thing that is missing, with what to do; none for a firm that is at work."""
    db = Database(settings.required("database_url"), pool_size=1)
    try:
        async with db.transaction() as session:
            staff = await session.scalar(select(func.count()).where(User.trader_id.is_(None), User.active))
            sold = await session.scalar(select(func.count()).select_from(ProductVersion))
    finally:
        await db.close()
    if not staff:
        say(_SIGN_IN if data is None else f"{_SIGN_IN} --data {data}")
    if not sold:
        say(_PRODUCT)
