"""A sealed sheet is byte for byte what the canonical text of the whole gives, however it was put together."""

import hashlib
import json
from typing import Any

import pytest

from domain.proofs import money as proof
from domain.proofs.sheets import read
from tests.unit.proof_samples import samples


@pytest.mark.parametrize("sheet", samples(), ids=lambda sheet: str(sheet["proof_id"]))
def test_the_hash_is_that_of_the_whole_written_at_once(sheet: dict[str, Any]) -> None:
    model = read(sheet)
    body = model.model_dump(mode="json")
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    sealed = proof.sealed(model)
    assert proof.canonical(sealed) == text
    assert sealed == {**body, "hash": hashlib.sha256(text.encode()).hexdigest()}
    assert list(sealed) == [*body, "hash"]
