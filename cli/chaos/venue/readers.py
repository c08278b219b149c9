"""Who reads the gateway's stream: a witness that notes what it says, and a shard that judges."""

import threading
from collections import Counter
from typing import Final

from cli.chaos.venue.judge import Told
from contracts.ids import shard_workflow
from domain.errors import PropOSError
from monitor.service import MonitorService
from ports.platform import AccountChanged, BalanceOperation, Batch, Deal, GapInStream, PlatformStream, TradingPlatform
from store.live import claim_epoch

_PAUSE: Final = 0.3  # seconds until a stream that broke is opened again


class _Loop:
    """Work in a thread that is begun again when the gateway is away. `failed`: what ended it otherwise."""

    def __init__(self, name: str) -> None:
        self.stop = threading.Event()
        self.failed: Exception | None = None
        self.again = 0
        self.started = False
        self._thread = threading.Thread(target=self._run, name=name)

    def start(self) -> None:
        self.started = True
        self._thread.start()

    def end(self) -> None:
        self.stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self.stop.is_set():
            try:
                self.work()
            except PropOSError:
                self.again += 1
                self.stop.wait(_PAUSE)
            except Exception as error:  # noqa: BLE001  # raised again in the thread that waits
                self.failed = error
                return

    def work(self) -> None:
        raise NotImplementedError


class Witness(_Loop):
    """Reads the whole stream from its beginning. `trading`: the accounts that may trade by what it said last."""

    def __init__(self, platform: TradingPlatform) -> None:
        super().__init__("witness")
        self._platform = platform
        self.told = Told()
        self.last = self._seq = 0
        self.kinds: Counter[str] = Counter()
        self.trading: set[int] = set()

    def work(self) -> None:
        stream = self._platform.open_stream("witness")
        try:
            for batch in stream.batches(self.last):
                if batch is not None:
                    self._take(batch)
                if self.stop.is_set():
                    return
        except GapInStream as gap:
            self.told.gaps.append(f"batches {self.last + 1} to {gap.first - 1} are not kept")
            self.last = gap.first - 1
        finally:
            stream.close()

    def _take(self, batch: Batch) -> None:
        if self.last and batch.number != self.last + 1:
            self.told.gaps.append(f"batch {batch.number} follows {self.last}")
        if self._seq and batch.events[0].seq != self._seq + 1:
            self.told.gaps.append(f"event {batch.events[0].seq} follows {self._seq}")
        for event in batch.events:
            self.kinds[event.kind] += 1
            if isinstance(event, Deal):
                self.told.deals[event.deal_id] += 1
                self.told.lots[event.deal_id] = event.lots
            elif isinstance(event, BalanceOperation):
                self.told.money[event.login, event.key] += event.amount_minor
            elif isinstance(event, AccountChanged) and event.change != "opened":
                (self.trading.add if event.change == "enabled" else self.trading.discard)(event.login)
        self._seq, self.last = batch.events[-1].seq, batch.number


class ShardReader(_Loop):
    """A monitor shard. Each time it begins it claims the shard, as after a failure of its process."""

    def __init__(self, database_url: str, platform: TradingPlatform, feed: str, shard: int) -> None:
        super().__init__(f"shard-{shard}")
        self._url, self._platform, self._feed, self._shard = database_url, platform, feed, shard
        self.done = 0  # last batch that it has judged

    def work(self) -> None:
        epoch = claim_epoch(self._url, self._shard)
        MonitorService(self._url, self._open, self._shard, epoch, self.stop, self._beat, feed=self._feed).run()

    def _open(self) -> PlatformStream:
        return self._platform.open_stream(shard_workflow(self._shard))

    def _beat(self, batch: int) -> None:
        self.done = max(self.done, batch)
