"""A gateway's journal in Redis, for a firm whose gateways run on more than one machine.

The batches are a stream with the batch number as id; the state is a hash for each first word of its keys. One script
stores both. A gateway that opens the journal raises its epoch: from then on the one before it is refused.

How much a failure of Redis itself can lose is Redis's own setting: with `appendfsync always` nothing that was appended,
with `everysec` up to the last second.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from domain.errors import Conflict, Unavailable
from ports.journal import Stored

_TIMEOUT: Final = 5.0  # seconds
_AT_ONCE: Final = 1_000
_BODY: Final = b"b"
_FENCED: Final = b"fenced"

# KEYS: head, batches, then the hashes of the state. ARGV: epoch; number or ''; the number before it; body; number of
# values that are set; for each its hash, field and value; for each deleted one its hash and field.
_APPEND: Final = """
local head = redis.call('HMGET', KEYS[1], 'epoch', 'last')
if head[1] ~= ARGV[1] then return 'fenced' end
if ARGV[2] ~= '' and head[2] and head[2] ~= ARGV[3] then return head[2] end
local at = 6
for _ = 1, tonumber(ARGV[5]) do
  redis.call('HSET', KEYS[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2])
  at = at + 3
end
while at < #ARGV do
  redis.call('HDEL', KEYS[tonumber(ARGV[at])], ARGV[at + 1])
  at = at + 2
end
if ARGV[2] ~= '' then
  redis.call('XADD', KEYS[2], ARGV[2] .. '-0', 'b', ARGV[4])
  redis.call('HSET', KEYS[1], 'last', ARGV[2])
end
return 'stored'
"""
# KEYS: head, batches. ARGV: epoch, the first number that stays.
_DROP: Final = """
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 'fenced' end
redis.call('XTRIM', KEYS[2], 'MINID', '=', ARGV[2] .. '-0')
return 'dropped'
"""


class RedisJournal:
    """`url`: redis://, rediss:// or unix://, with password and database. `name`: the platform; several share a server.

    Raises Unavailable when Redis cannot be reached, or might lose what it has stored: it evicts, or has no append-only
    file."""

    def __init__(self, url: str, name: str) -> None:
        self._prefix = f"propos:gateway:{{{name}}}:"
        self._head, self._batches = f"{self._prefix}head", f"{self._prefix}batches"
        try:
            # A repeated append could be stored twice, so nothing is repeated here.
            self._redis = Redis.from_url(
                url,
                retry=Retry(NoBackoff(), 0),
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
            )
        except ValueError as exc:
            raise _not_usable("its address cannot be read", "Write redis://user:password@host:port/number.") from exc
        self._ask: Callable[..., Any] = self._redis.execute_command
        self._append = self._redis.register_script(_APPEND)
        self._drop = self._redis.register_script(_DROP)
        try:
            with _answers():
                self._check()
                self._epoch, self._last = self._claim()
        except Unavailable:
            self.close()
            raise

    def _check(self) -> None:
        policy = self._ask("INFO", "memory").get("maxmemory_policy")
        if policy != "noeviction":
            raise _not_usable(
                f"it may evict batches: its maxmemory-policy is {policy}", "Set maxmemory-policy to noeviction."
            )
        if not self._ask("INFO", "persistence").get("aof_enabled"):
            raise _not_usable(
                "it forgets on a restart what it has stored", "Set appendonly to yes, and appendfsync to always."
            )

    def _claim(self) -> tuple[str, int]:
        """Returns the epoch of this gateway, and the last batch of all before it: none of them can append any more."""
        return str(self._ask("HINCRBY", self._head, "epoch", 1)), int(self._ask("HGET", self._head, "last") or 0)

    def append(self, batch: Stored | None, changes: Mapping[str, str | None]) -> None:
        places: dict[str, int] = {}
        kept: list[str | int] = []
        gone: list[str | int] = []
        for key, value in changes.items():
            group, field = self._place(key)
            place = places.setdefault(group, len(places) + 3)
            if value is None:
                gone += (place, field)
            else:
                kept += (place, field, value)
        about = ("", "", b"") if batch is None else (batch.number, batch.number - 1, batch.body)
        keys = [self._head, self._batches, *places]
        with _answers():
            answer = self._append(keys=keys, args=[self._epoch, *about, len(kept) // 3, *kept, *gone])
        self._check_fence(answer)
        if batch is None:
            return
        if answer != b"stored":
            raise Conflict(f"Batch {batch.number} does not follow batch {int(answer)} of the journal.")
        self._last = batch.number

    def last(self) -> int:
        return self._last

    def first(self) -> int:
        return next((stored.number for stored in self._range("-", 1)), 0)

    def read(self, after: int, limit: int) -> list[Stored]:
        return list(self._range(f"({after}-0", limit))

    def get(self, key: str) -> str | None:
        with _answers():
            value = self._ask("HGET", *self._place(key))
        return None if value is None else value.decode()

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        wanted: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for key in keys:
            group, field = self._place(key)
            wanted[group].append((key, field))
        found = dict[str, str]()
        for group, names in wanted.items():
            for start in range(0, len(names), _AT_ONCE):
                part = names[start : start + _AT_ONCE]
                with _answers():
                    values = self._ask("HMGET", group, *(field for _, field in part))
                pairs = zip(part, values, strict=True)
                found.update((key, value.decode()) for (key, _), value in pairs if value is not None)
        return found

    def items(self, prefix: str) -> list[tuple[str, str]]:
        word, slash, _ = prefix.partition("/")
        with _answers():
            groups = [self._place(prefix)[0]] if slash else self._groups(word)
            found = {
                group.removeprefix(f"{self._prefix}state:") + field.decode(): value.decode()
                for group in groups
                for field, value in self._redis.hscan_iter(group, count=_AT_ONCE)
            }
        return sorted((key, value) for key, value in found.items() if key.startswith(prefix))

    def drop(self, up_to: int) -> None:
        with _answers():
            answer = self._drop(
                keys=[self._head, self._batches], args=[self._epoch, max(0, min(up_to, self._last - 1) + 1)]
            )
        self._check_fence(answer)

    def close(self) -> None:
        self._redis.close()

    def _place(self, key: str) -> tuple[str, str]:
        """Returns the hash of a key of the state, and its field there."""
        word, slash, rest = key.partition("/")
        return f"{self._prefix}state:{word}{slash}", rest

    def _groups(self, word: str) -> list[str]:
        start = f"{self._prefix}state:{word}"
        found = self._redis.scan_iter(count=_AT_ONCE)
        return [name.decode() for name in found if name.startswith(start.encode())]

    def _range(self, start: str, limit: int) -> Iterator[Stored]:
        with _answers():
            entries = self._ask("XRANGE", self._batches, start, "+", "COUNT", limit)
        for name, fields in entries:
            yield Stored(int(name.partition(b"-")[0]), fields[_BODY])

    def _check_fence(self, answer: bytes) -> None:
        if answer == _FENCED:
            raise Conflict("Another gateway has taken this journal.", remedy="Run one gateway for each platform.")


def _not_usable(why: str, remedy: str) -> Unavailable:
    return Unavailable(f"Redis cannot keep the gateway's journal: {why}.", field="gateway_journal", remedy=remedy)


@contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except RedisError as exc:
        # The text of an error names host and port, never the password.
        raise Unavailable(
            f"The journal in Redis does not answer: {exc}.", remedy="Start it, make room in it, or check its address."
        ) from exc
