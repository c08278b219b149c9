"""A trader starts an identity check, or continues the open one."""

from domain.errors import OutcomeUnknown
from firm import identity_checks
from front.deps import ApiDeps
from ports.identity import IdentityChecker, IdentitySession
from store.read.pages import View


class IdentityCheckStarted(View):
    """`url`: where the trader continues, "" when there is nothing to do there."""

    trader_id: str
    status: str
    url: str


async def start_check(deps: ApiDeps, trader_id: str) -> IdentityCheckStarted:
    """Again before the check is decided gives the same check. Raises NotFound, Conflict (the identity is decided),
    RefusedForGood, Unavailable, OutcomeUnknown."""
    checker = deps.payments.identity.of(deps.payments.identity.default)
    async with deps.db.transaction() as session:
        check = await identity_checks.ask(session, trader_id, checker.name)
        check_id, session_id = check.id, check.session_id
    if session_id is not None:
        seen = await checker.fetch(session_id)
    else:
        seen = await _started(checker, check_id, trader_id, f"{deps.public_url}/my/details")
    async with deps.db.transaction() as session:
        status = await identity_checks.answered(session, check_id, seen)
    return IdentityCheckStarted(trader_id=trader_id, status=status, url=seen.url)


async def _started(checker: IdentityChecker, check_id: str, trader_id: str, return_url: str) -> IdentitySession:
    """Looks the check up by our key first: an earlier call may have ended before its answer was recorded."""
    found = await checker.find(check_id)
    if found is not None:
        return found
    try:
        return await checker.start(key=check_id, reference=trader_id, return_url=return_url)
    except OutcomeUnknown:
        found = await checker.find(check_id)
        if found is None:
            raise
        return found
