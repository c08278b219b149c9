"""What an identity checker found about a trader, side by side with what the trader says."""

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import words
from store.read import people
from store.scope import FIRM


async def check_facts(session: AsyncSession, trader_id: str, name: str) -> tuple[tuple[str, str], ...]:
    """Returns the rows of the newest check; none when there was no check."""
    check = await people.identity_check(session, FIRM, trader_id)
    if check is None:
        return ()
    differs = check.status == "name_differs"
    said = f"the documents name {check.verified_name or 'nobody'}, the trader signed up as {name}"
    return (
        ("Checked by", check.checker),
        ("Result", said if differs else words(check.status) + (f" ({check.why})" if check.why else "")),
        ("Verified name", check.verified_name or "unknown"),
        ("Verified date of birth", check.born or "unknown"),
    )
