"""What the transaction of a page asks for several times is read once; one that may write reads every time."""

from sqlalchemy.ext.asyncio import AsyncSession

from store.reading import only_reads, read_once


async def test_only_a_transaction_that_only_reads_remembers_what_it_read() -> None:
    asked: list[str] = []

    @read_once
    async def read(_session: AsyncSession, name: str, *, more: bool = False) -> str:
        asked.append(name)
        return f"{name} {more}"

    async with AsyncSession() as session, AsyncSession() as other:
        assert [await read(session, "a"), await read(session, "a")] == ["a False"] * 2
        assert asked == ["a", "a"]
        only_reads(session)
        assert [await read(session, "a"), await read(session, "a"), await read(session, "a", more=True)] == [
            *("a False", "a False", "a True"),
        ]
        assert asked == ["a"] * 4
        await read(session, "b")
        await read(other, "a")
        assert asked == ["a"] * 4 + ["b", "a"]
