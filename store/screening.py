"""Sanctions lists in Postgres: loading a version, and the listed names that share keys with a name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, Table, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.keys import new_id
from domain.screening.entries import Entry, ListFile, ListName
from domain.screening.index import COMPARED, UNDER_KEY, Rarities, common_sounds
from domain.screening.names import METHOD, keys_of, parts_of
from store.models import SanctionsEntry, SanctionsKey, SanctionsName, SanctionsVersion

_BATCH: Final = 5_000
_KEYS: Final = text("""
    INSERT INTO sanctions_keys (version_id, key, name)
    SELECT :version, key, name FROM unnest(CAST(:keys AS text[]), CAST(:names AS int[])) AS given (key, name)
""")
# What a key is worth is a whole number, as in domain.screening.index.worth, so that both choose the same names. A new
# list has no statistics yet: the subqueries make each of the few names found a read by its key.
CANDIDATES: Final = text("""
    WITH shared AS (
        SELECT of_key.name, count(*) OVER (PARTITION BY asked.key) AS under
          FROM unnest(CAST(:keys AS text[])) AS asked (key)
         CROSS JOIN LATERAL (
               SELECT name FROM sanctions_keys WHERE version_id = :version AND key = asked.key ORDER BY name LIMIT :each
         ) of_key
    ), found AS (
        SELECT name, sum(CAST(round(100 * ln(1 + CAST(:names AS float8) / under)) AS int)) AS worth FROM shared
         GROUP BY name ORDER BY worth DESC, name LIMIT :most
    )
    SELECT e.ref, e.digest, e.births, e.countries, n.name
      FROM found f
     CROSS JOIN LATERAL (
           SELECT entry, name FROM sanctions_names WHERE version_id = :version AND number = f.name OFFSET 0
     ) n
     CROSS JOIN LATERAL (
           SELECT ref, digest, births, countries FROM sanctions_entries
            WHERE version_id = :version AND number = n.entry OFFSET 0
     ) e
     ORDER BY f.worth DESC, f.name
""")


_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtext('sanctions_versions'))")
_RARITIES_KEPT: Final = 16
_rarities: dict[tuple[str, int], Rarities] = {}  # by version and method: neither changes


@dataclass(frozen=True, slots=True)
class Candidate:
    ref: str
    digest: str
    births: tuple[str, ...]
    countries: tuple[str, ...]
    name: str


async def current(session: AsyncSession) -> Sequence[SanctionsVersion]:
    """Returns the current version of every loaded list."""
    found = select(SanctionsVersion).where(SanctionsVersion.current).order_by(SanctionsVersion.list)
    return (await session.scalars(found)).all()


def current_ids_query() -> Select[tuple[str]]:
    return select(SanctionsVersion.id).where(SanctionsVersion.current)


async def load(session: AsyncSession, name: ListName, found: ListFile) -> tuple[SanctionsVersion, bool]:
    """Makes this file the current version of its list. Returns the version, and whether the file was new. A file that
    was loaded before only becomes current again."""
    await session.execute(_LOCK)
    await session.execute(
        update(SanctionsVersion).where(SanctionsVersion.list == name, SanctionsVersion.current).values(current=False)
    )
    same = select(SanctionsVersion).where(SanctionsVersion.list == name, SanctionsVersion.sha256 == found.sha256)
    known = await session.scalar(same.execution_options(populate_existing=True))
    if known is not None:
        known.current = True
        return known, False
    names = [(number, listed) for number, entry in enumerate(found.entries) for listed in entry.names]
    version = SanctionsVersion(
        id=new_id("snv"),
        list=name,
        published=found.published,
        sha256=found.sha256,
        names=len(names),
        current=True,
        method=METHOD,
        common=common_sounds(parts_of(listed) for _, listed in names),
    )
    session.add(version)
    await session.flush()
    await _insert(session, SanctionsEntry, [_entry(version.id, n, entry) for n, entry in enumerate(found.entries)])
    rows = [
        {"version_id": version.id, "number": number, "entry": entry, "name": listed}
        for number, (entry, listed) in enumerate(names)
    ]
    await _insert(session, SanctionsName, rows)
    await _insert_keys(session, version.id, [listed for _, listed in names])
    return version, True


def _entry(version_id: str, number: int, entry: Entry) -> dict[str, Any]:
    return {
        "version_id": version_id,
        "number": number,
        "ref": entry.ref,
        "digest": entry.digest,
        "births": list(entry.births),
        "countries": list(entry.countries),
    }


async def renew(session: AsyncSession, version: SanctionsVersion) -> None:
    """Makes the keys of a version again if an earlier release made them."""
    if version.method == METHOD:
        return
    await session.execute(_LOCK)
    await session.refresh(version)
    if version.method == METHOD:
        return
    named = select(SanctionsName.name).where(SanctionsName.version_id == version.id).order_by(SanctionsName.number)
    names = (await session.scalars(named)).all()
    await session.execute(delete(SanctionsKey).where(SanctionsKey.version_id == version.id))
    await _insert_keys(session, version.id, names)
    version.method, version.common = METHOD, common_sounds(parts_of(name) for name in names)
    await session.flush()


async def rarities(session: AsyncSession, version: SanctionsVersion) -> Rarities:
    """Returns how much each part of a name says in this list."""
    of = (version.id, version.method)
    if of not in _rarities:
        common = await session.scalar(select(SanctionsVersion.common).where(SanctionsVersion.id == version.id))
        while len(_rarities) >= _RARITIES_KEPT:
            _rarities.pop(next(iter(_rarities)))
        _rarities[of] = Rarities(version.names, common or {})
    return _rarities[of]


async def _insert_keys(session: AsyncSession, version_id: str, names: Sequence[str]) -> None:
    """A list has millions of keys: they go in as arrays, in their order, so that those of one key lie together."""
    for start in range(0, len(names), _BATCH):
        batch = enumerate(names[start : start + _BATCH], start=start)
        found = sorted((key, number) for number, listed in batch for key in keys_of(parts_of(listed)))
        values = {"version": version_id, "keys": [key for key, _ in found], "names": [name for _, name in found]}
        await session.execute(_KEYS, values)


async def _insert(
    session: AsyncSession,
    model: type[SanctionsEntry] | type[SanctionsName],
    rows: list[dict[str, Any]],
) -> None:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} is no table.")
    connection = await session.connection()
    for start in range(0, len(rows), _BATCH):
        await connection.execute(insert(table), rows[start : start + _BATCH])


async def candidates(session: AsyncSession, version: SanctionsVersion, keys: frozenset[str]) -> list[Candidate]:
    """Returns the listed names that share the most keys with a name, those that few names have counting more."""
    values = {"version": version.id, "keys": sorted(keys), "names": version.names, "most": COMPARED, "each": UNDER_KEY}
    rows = await session.execute(CANDIDATES, values)
    return [Candidate(row.ref, row.digest, tuple(row.births), tuple(row.countries), row.name) for row in rows]
