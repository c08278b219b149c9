"""Text of a mail made fit to store and to show: no control characters, no HTML, no quoted history."""

import re
from html.parser import HTMLParser
from typing import Final

import nh3

LONGEST_TEXT: Final = 200_000
_UNFIT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_SILENT: Final = frozenset({"script", "style", "head", "title", "template", "svg", "math", "object", "iframe"})
_BREAKS: Final = frozenset(
    {"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "ul", "ol", "pre"}
)
_KEPT: Final = _BREAKS | {"blockquote", "td"}
_MOST_TAGS: Final = 8000
_DEEPEST: Final = 30  # quotes in quotes
_ORIGINAL: Final = re.compile(
    r"^[-_ ]{2,40}\s?(original message|forwarded message|ursprüngliche nachricht|"
    r"message d.origine|mensaje original|messaggio originale)\s?[-_ ]{2,40}$",
    re.IGNORECASE,
)
_FIELD: Final = re.compile(
    r"^\*?(from|sent|date|to|cc|subject|von|gesendet|datum|an|betreff|de|envoyé|à|objet|"
    r"enviado|para|asunto|da|inviato|a|oggetto)\s?:\*?\s",
    re.IGNORECASE,
)
_SOURCE: Final = re.compile(r"^\*?(from|von|de|da)\s?:", re.IGNORECASE)


def fit(text: str, longest: int = LONGEST_TEXT) -> str:
    """Returns the text with plain line ends, without control characters, lone surrogates and marks that turn the
    direction of writing; at most `longest` characters."""
    lines = _UNFIT.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return lines[:longest]


def plain_text(html: str) -> str:
    """Returns what a reader of the HTML would read. Quotes get `> ` before each line. Loads nothing."""
    # well-formed HTML of few tags: the parser of the library raises on marked sections, and is slow on open tags
    some = "<".join(html[:LONGEST_TEXT].split("<", _MOST_TAGS + 1)[: _MOST_TAGS + 1])  # nested ones take quadratic time
    plain = nh3.clean(some, tags=set(_KEPT), attributes={}, clean_content_tags=set(_SILENT))
    parser = _Plain()
    parser.feed(plain)
    parser.close()
    return parser.text()


class _Plain(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[tuple[int, str]] = []
        self._line = ""
        self._quotes = 0
        self._silent: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag == "blockquote":
            self._end_line()
            self._quotes = min(self._quotes + 1, _DEEPEST)
        elif tag in _BREAKS:
            self._end_line()
            if tag == "li":
                self._line = "- "
        elif tag == "td":
            self._line += " "

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif tag == "blockquote":
            self._end_line()
            self._quotes = max(0, self._quotes - 1)
        elif tag in _BREAKS and tag != "br":
            self._end_line()

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._line += re.sub(r"\s+", " ", data) if data.strip() else (" " if self._line else "")

    def _end_line(self) -> None:
        line = self._line.strip()
        if line or (self._lines and self._lines[-1][1]):
            self._lines.append((self._quotes, line))
        self._line = ""

    def text(self) -> str:
        self._end_line()
        while self._lines and not self._lines[-1][1]:
            self._lines.pop()
        return "\n".join("> " * quotes + line for quotes, line in self._lines).strip()


def without_quotes(text: str) -> str:
    """Returns the text without the history below it. Answers between quoted lines stay with what they answer; when
    nothing would be left, the whole text is returned."""
    lines = text.rstrip().split("\n")
    end = _before_trailing_quote(lines)
    end = min(end, _before_original(lines))
    shown = "\n".join(lines[:end]).strip()
    return shown if shown and not all(line.startswith(">") for line in shown.split("\n")) else text.strip()


def _before_trailing_quote(lines: list[str]) -> int:
    """Returns where the quoted lines at the end begin, with the sentence before them that says who wrote them."""
    start = len(lines)
    while start and (lines[start - 1].startswith(">") or not lines[start - 1].strip()):
        start -= 1
    if not any(line.startswith(">") for line in lines[start:]):
        return len(lines)
    said = start  # `On Monday, Ada <ada@example.com> wrote:` in any language, perhaps over two lines
    if said and lines[said - 1].rstrip().endswith(":"):
        before = [
            each for each in range(1, 4) if said >= each and all(lines[n].strip() for n in range(said - each, said))
        ]
        dated = [each for each in before if re.search(r"\d", lines[said - each][:400])]
        if dated:
            return said - dated[0]
        if "@" in lines[said - 1][:400]:
            return said - 1
    return len(lines)  # a quote without such a sentence is the writer's own


def _before_original(lines: list[str]) -> int:
    for number, line in enumerate(lines):
        if _ORIGINAL.match(line.strip()[:120]):
            return number
        if _SOURCE.match(line[:40]) and sum(bool(_FIELD.match(each[:60])) for each in lines[number : number + 6]) >= 3:
            return number
    return len(lines)
