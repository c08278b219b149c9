"""A person who has no mouse, in front of a real browser."""

import re

from playwright.async_api import Locator, Page, expect

# what Chromium says of a poll whose sign-in has ended
POLL_REFUSED = "Failed to load resource: the server responded with a status of 401 (Unauthorized)"
_MOST_STOPS = 80  # of Tab, from the top of a page to its last button
_HAS_FOCUS = "element => element === document.activeElement"


async def keys(page: Page, *names: str) -> None:
    """Presses keys one after the other, once the page listens to them."""
    await page.wait_for_load_state()  # its scripts have run
    for name in names:
        await page.keyboard.press(name)


async def tab_to(page: Page, wanted: Locator, key: str = "Tab") -> None:
    """Presses Tab, or Shift+Tab, until the focus is on this element."""
    await expect(wanted).to_be_visible()
    for _ in range(_MOST_STOPS):
        if await wanted.evaluate(_HAS_FOCUS):
            return
        await page.keyboard.press(key)
    raise AssertionError(f"{key} does not lead to {wanted}")


async def sign_in(page: Page, login: str, password: str) -> None:
    """On the page that asks for it, whose first field has the focus."""
    await expect(page.get_by_label("Login")).to_be_focused()
    await page.keyboard.type(login)
    await keys(page, "Tab")
    await page.keyboard.type(password)
    await keys(page, "Enter")
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()


async def prove(page: Page, password: str) -> None:
    """On the page that asks for a proof."""
    await expect(page.get_by_label("Your password")).to_be_focused()
    await page.keyboard.type(password)
    await keys(page, "Enter")


async def in_hand(page: Page, ref: str) -> Locator:
    """Address, highlighted row and form of the queue are about this item; gives its row."""
    await expect(page).to_have_url(re.compile(f"/queue/{ref}([?]|$)"))
    row = page.locator("tr[data-selected]")
    await expect(row.get_by_role("link")).to_have_id(f"row/{ref}")
    await expect(row.get_by_role("link")).to_be_focused()
    await expect(page.locator("#panel form.decide input[name=item]")).to_have_value(ref)
    return row


async def open_row(page: Page, ref: str) -> None:
    """Moves the cursor of the queue to this item, from above, and opens it unless it is open."""
    await page.wait_for_load_state()  # all of its rows are there
    cursor = page.locator("tr.cursor").get_by_role("link")
    rows = await page.locator("#work-list tr[data-row]").count()
    await keys(page, *("k" for _ in range(rows)))
    for _ in range(rows):
        if await cursor.get_attribute("id") == f"row/{ref}":
            break
        await keys(page, "j")
    await expect(cursor).to_have_id(f"row/{ref}")
    if not await page.locator(f"tr[data-selected] [id='row/{ref}']").count():
        await keys(page, "Enter")
