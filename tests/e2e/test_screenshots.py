"""Every page of a trader on a phone: none is wider than the screen, no script fails, no link leads to an error."""

from pathlib import Path

import pytest

from cli.screenshots import LOOKS, Album, take_role
from tests.browser_stage import Stage
from tests.console_firm import PASSWORD
from tests.shelf import shipped

pytestmark = pytest.mark.timeout(900)


async def test_the_pages_of_a_trader_fit_a_phone(stage: Stage, tmp_path: Path) -> None:
    album = Album(tmp_path, frozenset(product.product for product in shipped()))
    await take_role(
        stage.browser, stage.url, album, ("trader", "mara@example.org", PASSWORD), {"narrow": LOOKS["narrow"]}
    )
    assert list(album.problems) == []
    kinds = set(album.pages["trader"])
    assert {"/", "/accounts/*", "/buy", "/payouts/*", "/receipts", "/tickets", "/security"} <= kinds
    own = {f"/accounts/*/{part}" for part in ("days", "trades", "terms")}
    assert {*own, "/compare", "/my/details", "/my/messages", "/certificates", "/api-keys", "/sign-ins"} <= kinds
    assert "/staff" not in kinds and "/audit" not in kinds
    assert sorted(album.picture("trader", "narrow", kind) for kind in kinds) == sorted(tmp_path.rglob("*.png"))
