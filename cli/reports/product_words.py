"""`propos products describe`: a product definition in the words that traders read."""

from pathlib import Path
from typing import Annotated

import typer

from domain.errors import BadInput

Which = Annotated[
    str | None,
    typer.Argument(
        metavar="REF|FILE", help="A product (name or name@version), or a YAML file; without it, all products."
    ),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of plain text.")]
Into = Annotated[Path | None, typer.Option("--into", help="Write one Markdown file per product to this folder.")]


def describe(which: Which = None, markdown: Markdown = False, into: Into = None) -> None:
    """Describe the terms of a product in plain words."""
    from cli.shelf import all_products, product_named
    from domain.products.words import describe as words_of

    products = all_products() if which is None else [product_named(which)]
    found = [words_of(product) for product in products]
    if into is None:
        typer.echo("\n".join(words.markdown if markdown else words.text for words in found), nl=False)
        return
    try:
        into.mkdir(parents=True, exist_ok=True)
        for words in found:
            (into / file_name(words.ref)).write_text(words.markdown, encoding="utf-8")
    except OSError as exc:
        raise BadInput(
            f"{into}: {exc.strerror}.", field="into", remedy="Choose a folder that you can write to."
        ) from exc
    typer.echo(f"Described {len(found)} product{'' if len(found) == 1 else 's'} in {into}.")


def file_name(ref: str) -> str:
    """Returns `two-step.v1.md` for two-step@1."""
    return f"{ref.replace('@', '.v')}.md"
