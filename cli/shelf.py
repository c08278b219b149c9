"""Finds the product that a command names."""

from pathlib import Path

from adapters.calendars import known_venues
from domain.errors import NotFound
from domain.products.product import Product
from firm.products.shelf import load_products, read_file
from settings import load

_SUFFIXES = (".yaml", ".yml", ".json")


def all_products() -> list[Product]:
    """Returns every product of the configured folder, by name and version."""
    return load_products(load().products_path)


def product_named(name: str) -> Product:
    """Returns the product called `name` (its newest version) or `name@version`, or the one that a file defines.

    Raises NotFound with the known products, and ProductInvalid for a file that is not a definition.
    """
    if name.endswith(_SUFFIXES) or Path(name).is_file():
        return read_file(Path(name), known_venues)
    products = all_products()
    matching = [product for product in products if name in (product.product, product.ref)]
    if not matching:
        known = ", ".join(product.ref for product in products)
        raise NotFound(f"There is no product {name!r}. On the shelf: {known}.")
    return matching[-1]
