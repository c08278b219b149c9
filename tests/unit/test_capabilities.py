"""What a platform can do is said in one sentence for each field, and the page on platforms says what the code says."""

import re
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest
from pydantic import ValidationError

from ports.capabilities import PlatformCapabilities
from ports.plugin import Plugin

PAGE = Path(__file__).parents[2] / "docs" / "platforms.md"
OURS = [point for point in entry_points(group="propos.platforms") if point.module.startswith("adapters.")]


def test_every_field_has_a_sentence_for_each_value() -> None:
    nothing = PlatformCapabilities()
    choices: list[dict[str, bool | str]] = [{name: True} for name, value in nothing if value is False]
    choices += [{"kill_switch": "all"}, {"kill_switch": "symbol"}, {"credentials": "create"}, {"credentials": "reset"}]
    said = {tuple(PlatformCapabilities.model_validate(choice).in_words()) for choice in choices}
    assert len(said) == len(choices), "two values are said in the same words"
    for choice in choices:
        (name,) = choice
        (feature,) = [each for each in PlatformCapabilities.model_validate(choice).features() if each.name == name]
        assert feature.able
    assert [each.name for each in nothing.features()] == list(PlatformCapabilities.model_fields)
    able = [each.name for each in nothing.features() if each.able]
    assert able == ["keeps_deals_days"], "what is not declared cannot be done"


def test_a_number_of_days_is_a_limit() -> None:
    limited = PlatformCapabilities(keeps_deals_days=90)
    assert "This venue keeps 90 days of deals." in limited.in_words()
    assert not any(each.able for each in limited.features())
    with pytest.raises(ValidationError):
        PlatformCapabilities(keeps_deals_days=0)


@pytest.mark.parametrize("point", OURS, ids=[point.name for point in OURS])
def test_the_page_on_platforms_says_what_each_adapter_declares(point: EntryPoint) -> None:
    plugin = point.load()
    assert isinstance(plugin, Plugin)
    section = re.search(rf"^## {point.name}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert section is not None, "the page has no section on this adapter"
    said = re.findall(r"^- (This venue .*)$", section.group(1), re.MULTILINE)
    assert said == plugin.capabilities.in_words()
