"""Reads the table rows of an HTML report."""

from dataclasses import dataclass
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

_HIDDEN: Final = "hidden"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell. `span` is its width in columns, `title` its tooltip; `bold` says that the text is emphasised."""

    text: str
    span: int
    heading: bool
    bold: bool
    title: str


@dataclass(frozen=True, slots=True)
class Row:
    """A table row. `number` counts the rows of the file from 1; `shade` is the background colour. No hidden cells."""

    number: int
    cells: tuple[Cell, ...]
    shade: str | None

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(cell.text for cell in self.cells)

    @property
    def span(self) -> int:
        return sum(cell.span for cell in self.cells)


def table_rows(html: str) -> list[Row]:
    """Returns every table row of the document, in order."""
    found = LexborHTMLParser(html).css("tr")
    return [_row(number, node) for number, node in enumerate(found, start=1)]


def _row(number: int, node: LexborNode) -> Row:
    cells = tuple(_cell(child) for child in node.iter() if child.tag in ("td", "th") and not _hidden(child))
    return Row(number, cells, (node.attributes.get("bgcolor") or "").upper() or None)


def _hidden(node: LexborNode) -> bool:
    style = (node.attributes.get("style") or "").replace(" ", "").lower()
    return _HIDDEN in (node.attributes.get("class") or "").split() or "display:none" in style


def _cell(node: LexborNode) -> Cell:
    span = node.attributes.get("colspan") or "1"
    return Cell(
        text=" ".join(node.text().split()),
        span=int(span) if span.isascii() and span.isdigit() else 1,
        heading=node.tag == "th",
        bold=node.tag == "th" or node.css_first("b,strong") is not None,
        title=(node.attributes.get("title") or "").strip(),
    )
