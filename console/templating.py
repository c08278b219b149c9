"""The template engine: strict about missing names, escaping everything, with the formats and macros of every page."""

from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2_fragments import render_block

from console.assets import assets
from console.formats import FILTERS

POLICY: Final = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "HX-Request, HX-Target",
}


def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters.update(FILTERS)
    env.globals.update(asset=assets.url, fresh_key=lambda: token_urlsafe(18))
    env.globals["ui"] = env.get_template("_macros.html").module
    env.globals["queue_ui"] = env.get_template("_work.html").module
    env.globals["decision"] = env.get_template("_decision.html").module
    return env


_environment: Final = environment()


def page(template: str, context: dict[str, Any]) -> str:
    return _environment.get_template(template).render(context)


def fragment(template: str, block: str, context: dict[str, Any]) -> str:
    """One block of a page, for a part that replaces itself."""
    return render_block(_environment, template, block, context)
