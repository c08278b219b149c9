"""A venue of one account, judged by a live shard and by the replay."""

from datetime import timedelta
from typing import Any

from cli.bench.agreement.told import EventTeller, Found, live_offences, replayed_offences, take
from domain.histories.replay import Fold
from domain.histories.results import Replay
from domain.rules.events import Event as Told
from monitor.judging.feed_quality import Limits
from ports.platform import Event
from tests.unit.conduct_venue import DAILY, Venue
from tests.unit.market_story import instruments

CAP = DAILY | {"type": "daily_move_cap", "id": "cap", "directions": ["down", "up"]}


class TwoWays(Venue):
    """A venue whose events are kept, to be replayed. Its quotes never make a verdict doubtful."""

    feed_limits = Limits(stale_after=timedelta(days=1000))

    def __init__(self, *rules: dict[str, Any], **more: Any) -> None:
        self.sent: list[Event] = []
        super().__init__(*rules, **more)

    def send(self, *events: Event) -> None:
        super().send(*events)
        self.sent += events
        self.sent.append(self.last_mark)

    def live(self) -> Found:
        """(consequence, rule, number, event, instant) of every offence, until the account ends."""
        return live_offences(self.shard.state.facts.verdicts)

    def told(self) -> list[Told]:
        teller = EventTeller(self.terms, 1, instruments())
        return [told for event in self.sent for told in teller.tell(event)]

    def replay(self) -> Replay:
        fold = Fold(self.terms, self.terms.context, None)
        for told in self.told():
            take(fold, told)
        return fold.result()


def agreed(venue: TwoWays) -> list[tuple[str, str, int]]:
    """What both ways found; they found the same."""
    live = venue.live()
    assert live == replayed_offences(venue.replay())
    assert venue.found == [("breach" if kind == "fail" else kind, *rest) for kind, *rest, _, _ in live]
    return [(kind, rule, number) for kind, rule, number, _, _ in live]
