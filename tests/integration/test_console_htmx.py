"""What htmx 4 asks for is a part, a notice or an address to go to, and never a page inside of a page. In a browser:
tests/e2e/test_htmx_browser.py."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

import console
from tests.console_world import ConsoleWorld, console_world
from tests.integration.console_page import RESTORES, staff_pages

_CONSOLE = Path(console.__file__).parent
_TEMPLATES = sorted((_CONSOLE / "templates").iterdir())
_VOID = frozenset({"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "path", "wbr"})
_ASKS = ("hx-get", "hx-post")
_OF_ONE_THAT_ASKS = ("hx-target", "hx-swap", "hx-trigger", "hx-sync", "hx-push-url", "hx-select", "hx-include")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


@dataclass(frozen=True)
class Asked:
    path: str
    target: str
    swap: str


class Markup(HTMLParser):
    """The requests for parts that a page's markup names. `asked`: with targets as htmx 4 names them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self._open: list[tuple[str, dict[str, str]]] = []
        self._tags: dict[str, str] = {}
        self._found: list[Asked] = []
        self.feed(html)
        self.asked = [Asked(each.path, f"{self._tags[each.target]}#{each.target}", each.swap) for each in self._found]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self._tags[given["id"]] = tag
        self._open.append((tag, given))
        if "hx-get" in given and "hx-select" not in given:  # which takes its part out of a whole page
            target = self._of("hx-target")
            self._found.append(
                Asked(given["hx-get"], given["id"] if target in ("", "this") else target[1:], self._of("hx-swap"))
            )
        if tag in _VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def _of(self, name: str) -> str:
        own = self._open[-1][1].get(name)
        inherited = (given[f"{name}:inherited"] for _, given in reversed(self._open) if f"{name}:inherited" in given)
        return own if own is not None else next(inherited, "")


async def test_whatever_a_page_asks_for_is_answered_with_that_part(world: ConsoleWorld) -> None:
    firm, seen = world.firm, set[str]()
    people = {
        "ana@firm.example": staff_pages(world),
        "mara@example.org": ["/", f"/accounts/{firm.active}", "/buy/two-step"],
    }
    for login, paths in people.items():
        async with world.browser(login) as browser:
            for path in paths:
                for asked in Markup((await browser.get(path)).text).asked:
                    if asked.path in seen or asked.path.startswith("/live"):
                        continue
                    seen.add(asked.path)
                    answer = await browser.part(asked.path, asked.target)
                    id = asked.target.partition("#")[2]
                    assert answer.status_code == 200 and asked.swap == "outerHTML", asked
                    part = re.sub(r"^\s*(<title>.*?</title>)?\s*", "", answer.text)
                    assert re.match(rf'<[a-z]+ [^>]*\bid="{id}"', part), (asked, answer.text[:300])
                    assert not re.search(r"<(html|head|main)\b", answer.text), asked
    targets = ("/overview", "/accounts/rows", "/live", "/room", "/actions", "/figures", "/changes", "/buy/", "/queue/")
    assert [each for each in targets if not any(each in path for path in seen)] == []


async def test_a_part_that_is_refused_or_breaks_is_a_notice(
    world: ConsoleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"HX-Current-URL": "http://firm.test/queue?kind=payout"}
    asked = [
        ("sam@firm.example", "/queue/staff_change/stc_1", 403, "You cannot open this staff change."),
        ("ana@firm.example", "/queue/payout/pay_unknown", 404, "Go to the queue, or search for it."),
        ("ana@firm.example", "/queue/nothing/x", 404, "There is no kind of work named nothing."),
    ]
    for login, path, status, words in asked:
        async with world.browser(login) as browser:
            part = await browser.part(path, "div#work", **here)
            assert (part.status_code, part.headers["HX-Retarget"]) == (status, "#trouble")
            told = {name: part.headers[name] for name in ("HX-Reswap", "HX-Reselect", "HX-Push-Url")}
            assert told == {"HX-Reswap": "innerHTML", "HX-Reselect": ".flash", "HX-Push-Url": "false"}
            assert words in part.text and part.headers["X-Request-Id"] in part.text
            assert 'href="/queue?kind=payout"' in part.text and "<main" not in part.text and "<html" not in part.text
            for headers in ({}, RESTORES):
                page = await browser.get(path, **headers)
                assert page.status_code == status and words in page.text and "<main" in page.text
                assert "HX-Retarget" not in page.headers


async def test_a_form_that_htmx_sends_leads_the_whole_browser_on(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        form = {"csrf": await browser.csrf(), "key": "k" * 20, "theme": "dark", "back": "/queue"}
        plain = await browser.http.post("/theme", data=form)
        assert (plain.status_code, plain.headers["Location"]) == (303, "/queue")
        sent = {"HX-Request": "true", "HX-Target": "form"}
        led = await browser.http.post("/theme", data=form, headers=sent)
        assert (led.status_code, led.headers["HX-Redirect"], led.text) == (200, "/queue", "")
        assert "Location" not in led.headers and "propos_theme" in led.headers["Set-Cookie"]


@pytest.mark.parametrize("path", _TEMPLATES, ids=lambda path: path.name)
def test_an_attribute_stands_on_what_asks_or_says_that_it_is_inherited(path: Path) -> None:
    text = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", path.read_text(), flags=re.DOTALL)
    for tag in re.findall(r"<[a-z][^<>]*\shx-[^<>]*>", text, re.DOTALL):
        names = re.findall(r"\s(hx-[a-z:-]+)", tag)
        asks = any(name in _ASKS for name in names)
        assert [name for name in names if name in _OF_ONE_THAT_ASKS and not asks] == [], tag
        known = {*_ASKS, *_OF_ONE_THAT_ASKS, *(f"{name}:inherited" for name in _OF_ONE_THAT_ASKS)}
        assert set(names) <= known | {"hx-swap-oob", "hx-history-elt"}, tag
        assert not re.search(r'"(js|javascript):|hx-trigger="[^"]*\[', tag), "the policy forbids to evaluate text"


def test_scripts_know_the_events_of_htmx_4_alone() -> None:
    for path in (_CONSOLE / "static").glob("*.js"):
        assert not re.search(r"htmx:\w*[A-Z]|detail\.(xhr|elt|requestConfig|shouldSwap)", path.read_text()), path.name
