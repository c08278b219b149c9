"""`propos screenshots`: pictures of every kind of page of a demo firm, for every role: light, dark and narrow.

A browser signs in as each role and follows the links of every page it finds. Of pages that differ only in the id in
their address it takes one. What it notices on the way is reported: an answer that is an error, a script that failed, a
page that is wider than the screen.
"""

import asyncio
import html
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from rich.console import Console

from adapters.calendars import known_venues
from cli.demo.personas import PRODUCTS
from cli.demo.seed import DemoFirm, Login, history_quotes
from cli.progress import Progress, progress_bar
from cli.stack import logs
from cli.stack.firm import Stack
from cli.stack.options import StackOptions
from domain.errors import BadInput, Unavailable
from firm.products.shelf import load_products
from settings import load

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

_WIDE, _NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
LOOKS: Final[dict[str, dict[str, Any]]] = {
    "light": {"viewport": _WIDE, "color_scheme": "light"},
    "dark": {"viewport": _WIDE, "color_scheme": "dark"},
    "narrow": {"viewport": _NARROW, "color_scheme": "light"},
}
_NOBODY: Final = "nobody"
DOORS: Final = ("/sign-in", "/sign-up", "/forgot", "/docs")
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_NO_PAGES: Final = ("/v1/", "/static/", "/webhooks", "/metrics")
_FILE: Final = re.compile(r"\.(csv|json|zip|pdf|txt|xml|svg|png)$|/(export|pack)$")
_ID: Final = re.compile(r".*[\d_.].*")
_QUIET_MS: Final = 5_000
_PAGE_MS: Final = 60_000
LINKS: Final = "anchors => anchors.filter(a => !a.hasAttribute('download')).map(a => a.href)"
EXCESS: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Album:
    """The pictures so far: of each role, the pages by their kinds. `names`: of products, which stand in addresses as
    ids do. `problems`: in words, each once."""

    folder: Path
    names: frozenset[str]
    pages: dict[str, dict[str, str]] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)

    def picture(self, role: str, look: str, kind: str) -> Path:
        name = re.sub(r"[^a-z0-9]+", "-", kind.replace("*", "one").lower()).strip("-") or "home"
        return self.folder / role / f"{name}.{look}.png"


def screenshots(out: Path, roles: tuple[str, ...], seed_number: int, docs: Path | None = None) -> bool:
    """Starts a demo firm in a temporary folder, takes the pictures, and stops it. `docs`: the folder of documents; its
    pictures are renewed. Returns whether no page had a problem. Raises BadInput for a folder that is not empty or a
    role that nobody has, Unavailable without a browser."""
    if out.exists() and any(out.iterdir()):
        raise BadInput(f"{out} is not empty.", field="--out", remedy="Choose an empty folder for the pictures.")
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise Unavailable("There is no Chromium here.", remedy="Install the package chromium of your system.")
    logs.configure("screenshots", "warning")
    with tempfile.TemporaryDirectory(prefix="propos-screenshots-") as parent, progress_bar() as report:
        Path(parent).chmod(0o711)  # the user that PostgreSQL runs as must be able to pass through
        names = frozenset(product.product for product in load_products(load().products_path, known_venues))
        album = asyncio.run(_firm(Path(parent) / "data", Album(out, names), browser, roles, seed_number, report))
    index = _write_index(album)
    if docs is not None:
        _renew(docs, album)
    console = Console()
    count = sum(len(pages) for pages in album.pages.values()) * len(LOOKS)
    console.print(f"{count} pictures of {len(album.pages)} roles: open {index}", highlight=False)
    for problem in album.problems:
        console.print(problem, highlight=False, markup=False)
    return not album.problems


def _renew(docs: Path, album: Album) -> None:
    """Copies the pictures that design.md shows: `images/ROLE-PAGE-LOOK.png`."""
    page = (docs / "design.md").read_text()
    for name, role, kind, look in re.findall(r"\(images/(([a-z]+)-([a-z-]+)-([a-z]+)\.png)\)", page):
        taken = album.folder / role / f"{kind}.{look}.png"
        if taken.exists():
            shutil.copyfile(taken, docs / "images" / name)
        else:
            album.problems[f"docs: there is no picture {name}"] = None


async def _firm(
    data: Path, album: Album, browser_path: str, roles: tuple[str, ...], seed_number: int, report: Progress
) -> Album:
    quotes = history_quotes(data, seed_number)
    options = StackOptions(
        data_dir=data,
        quotes=quotes,
        seed=seed_number,
        any_ports=True,
        simulated_people=True,
        web_ui=False,
        products=PRODUCTS,
    )
    report("starting the firm", 0.0)
    async with Stack(options) as stack, _browser(browser_path) as browser:
        firm = await DemoFirm.opened(stack, seed_number)
        wanted = _chosen(firm.logins(await firm.filled(report)), roles)
        for number, login in enumerate(wanted):
            report(f"looking at the pages of {login[0]}", number / len(wanted))
            await take_role(browser, stack.api_url, album, login)
    return album


def _chosen(logins: list[Login], roles: tuple[str, ...]) -> list[Login]:
    """Returns one login of each wanted role, and nobody's; all roles without a wish."""
    first: dict[str, Login] = {_NOBODY: (_NOBODY, "", "")}
    for each in logins:
        first.setdefault(each[0], each)
    unknown = set(roles) - first.keys()
    if unknown:
        raise BadInput(
            f"Nobody has the role {', '.join(sorted(unknown))}.", field="--roles", remedy=f"Take of {', '.join(first)}."
        )
    return [each for role, each in first.items() if not roles or role in roles]


@asynccontextmanager
async def _browser(path: str) -> "AsyncIterator[Browser]":
    try:
        from playwright.async_api import async_playwright
    except ImportError as error:
        raise Unavailable("Playwright is not installed.", remedy="Run `uv sync --group dev`.") from error
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--headless", "--no-sandbox"])
        yield browser
        await browser.close()


async def take_role(
    browser: "Browser",
    url: str,
    album: Album,
    login: Login,
    looks: Mapping[str, dict[str, Any]] = LOOKS,
) -> None:
    """Takes the pictures of one role. `looks`: how the browser is, by name."""
    role, name, password = login
    pages = album.pages.setdefault(role, {})
    state: Any = None
    for look, values in looks.items():
        context = await browser.new_context(base_url=url, storage_state=state, **values)
        context.set_default_timeout(_PAGE_MS)
        page = await context.new_page()
        page.on("pageerror", lambda error: album.problems.setdefault(f"{role}: a script failed: {error}"))
        if state is None:
            if role != _NOBODY:
                await _sign_in(page, name, password)
            state = await context.storage_state()
            waiting = list(DOORS) if role == _NOBODY else [urlsplit(page.url).path]
            await _crawl(page, url, album, role, look, waiting)
        else:
            for kind, path in pages.items():
                await _take(page, album, role, look, kind, path)
        await context.close()


async def _sign_in(page: "Page", login: str, password: str) -> None:
    await page.goto("/sign-in")
    await page.get_by_label("Login").fill(login)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await page.get_by_role("navigation", name="Main").wait_for()


async def _crawl(page: "Page", url: str, album: Album, role: str, look: str, waiting: list[str]) -> None:
    """Takes a picture of every kind of page that links lead to."""
    pages = album.pages[role]
    while waiting:
        path = waiting.pop(0)
        kind = kind_of(path, album.names)
        if kind in pages:
            continue
        pages[kind] = path
        if await _take(page, album, role, look, kind, path):
            waiting += own_paths(await page.eval_on_selector_all("a[href]", LINKS), url)


async def _take(page: "Page", album: Album, role: str, look: str, kind: str, path: str) -> bool:
    """Takes one picture and notes what is wrong with the page. Returns whether it is a page."""
    from playwright.async_api import TimeoutError as TookTooLong

    answer = await page.goto(path, wait_until="load")
    with suppress(TookTooLong):  # a page that polls may never be quiet
        await page.wait_for_load_state("networkidle", timeout=_QUIET_MS)
    status = 0 if answer is None else answer.status
    if status >= 400:
        album.problems.setdefault(f"{role}: {path} answers {status}")
    if (excess := int(await page.evaluate(EXCESS))) > 0:
        album.problems.setdefault(f"{role}: {kind} is {excess} px wider than the screen ({look})")
    await page.screenshot(path=album.picture(role, look, kind), full_page=True)
    return status < 400


def own_paths(links: Iterable[str], url: str) -> list[str]:
    """Returns the paths of the links that lead to pages of the console, without their queries."""
    found = []
    for link in links:
        parts = urlsplit(link)
        if link.startswith(url) and not parts.path.startswith(_NO_PAGES) and not _FILE.search(parts.path):
            found.append(parts.path)
    return found


def kind_of(path: str, names: frozenset[str]) -> str:
    """Returns the path with a star in place of each id and each of `names`: pages of one kind look alike."""
    return "/".join("*" if part in names or _ID.match(part) else part for part in path.split("/"))


def _write_index(album: Album) -> Path:
    rows = []
    for role, pages in album.pages.items():
        rows.append(f"<h2>{html.escape(role)}</h2>")
        for kind in sorted(pages):
            pictures = "".join(_figure(album, role, look, kind) for look in LOOKS)
            rows.append(f"<h3>{html.escape(kind)}</h3><p>{pictures}</p>")
    style = "body{font:14px system-ui;margin:24px}img{height:420px;margin-right:12px;border:1px solid #ccc}"
    index = album.folder / "index.html"
    index.write_text(
        f"<!doctype html><meta charset=utf-8><title>Pages of PropOS</title><style>{style}</style>{''.join(rows)}\n"
    )
    return index


def _figure(album: Album, role: str, look: str, kind: str) -> str:
    source = album.picture(role, look, kind).relative_to(album.folder).as_posix()
    words = html.escape(f"{kind} as {role}, {look}")
    return f'<a href="{source}"><img loading="lazy" src="{source}" alt="{words}"></a>'
