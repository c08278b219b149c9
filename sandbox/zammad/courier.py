"""The fake's webhooks: HMAC-SHA1 over the body, at most five tries, and then the webhook is lost."""

import hashlib
import hmac
import json
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sandbox.zammad.rest import shown_article, shown_ticket
from sandbox.zammad.state import Article, Ticket, Zammad

TRIES: Final = 5
Post = Callable[[bytes, dict[str, str]], Awaitable[int]]


@dataclass
class Delivery:
    body: bytes
    headers: dict[str, str]
    tries: int = 0


class Courier:
    """`waiting`: webhooks that did not arrive yet. `lost`: how many never did."""

    def __init__(self, state: Zammad, secret: str) -> None:
        self._state, self._secret = state, secret
        self.waiting: list[Delivery] = []
        self.lost = 0
        state.changed = self.note

    def note(self, ticket: Ticket, article: Article | None) -> None:
        """The trigger: every change of a ticket."""
        payload = {
            "ticket": shown_ticket(self._state, ticket),
            "article": {} if article is None else shown_article(article),
        }
        body = json.dumps(payload).encode()
        signature = hmac.new(self._secret.encode(), body, hashlib.sha1).hexdigest()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Hub-Signature": f"sha1={signature}",
            "X-Zammad-Trigger": "PropOS",
            "X-Zammad-Delivery": str(uuid.uuid4()),
        }
        self.waiting.append(Delivery(body, headers))

    async def step(self, post: Post) -> int:
        """Tries every waiting webhook once; returns how many arrived. `post`: returns the status of the answer."""
        trying, self.waiting, arrived = self.waiting, [], 0
        for each in trying:
            each.tries += 1
            if 200 <= await post(each.body, each.headers) < 300:
                arrived += 1
            elif each.tries < TRIES:
                self.waiting.append(each)
            else:
                self.lost += 1
        return arrived
