"""Lets answers go whose seconds are over. It asks no mail server: an outage of mail keeps no answer from the page."""

from typing import Final

import structlog

from firm import held_answers
from relay.strikes import database_is_away
from store.db import Database

_BATCH: Final = 100
_log = structlog.get_logger("relay.answers")


async def let_go(db: Database) -> int:
    """Lets the answers go that are due, each in a transaction of its own. Returns how many. The error of one is raised
    after all were tried."""
    async with db.transaction() as session:
        due = await held_answers.due(session, limit=_BATCH)
    gone, failed = 0, list[Exception]()
    for message_id in due:
        try:
            async with db.transaction() as session:
                gone += await held_answers.let_go_due(session, message_id)
        except Exception as error:
            if database_is_away(error):
                raise
            _log.error("answer cannot leave", message_id=message_id, error=type(error).__name__)
            failed.append(error)
    if failed:
        raise failed[0]
    return gone
