"""All tickets of a Zammad from the newest to the oldest. Its list is by id, in pages, and says neither how many there
are nor takes another order."""

from collections.abc import AsyncIterator, Awaitable, Callable

from adapters.zammad.shapes import Ticket

Page = Callable[[int], Awaitable[list[Ticket]]]


async def tickets_from_the_end(page: Page) -> AsyncIterator[list[Ticket]]:
    """Yields the pages that have tickets, the last one first. `page`: returns a page by its number, from 1. The number
    of calls to find the last page grows with the logarithm of the number of pages."""
    number = await _last(page)
    while number > 0:
        if found := await page(number):
            yield found
        number -= 1


async def _last(page: Page) -> int:
    """Returns the number of the last page that has tickets; 0: there are none."""
    full, empty = 0, 1
    while await page(empty):
        full, empty = empty, empty * 2
    while empty - full > 1:
        middle = (full + empty) // 2
        full, empty = (middle, empty) if await page(middle) else (full, middle)
    return full
