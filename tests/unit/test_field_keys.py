"""Keys of encrypted columns: who can read what, which index finds a row, and which digests last."""

import pytest

from store.crypto import FieldKeys, Undecipherable, digest_key_of

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
before = FieldKeys({"k1": OLD})
during = FieldKeys({"k2": NEW, "k1": OLD})
after = FieldKeys({"k2": NEW}, digest_key_of(OLD))


def test_the_first_key_encrypts_and_every_key_decrypts() -> None:
    old, new = before.encrypt("Ada", "traders.name"), during.encrypt("Ada", "traders.name")
    assert [during.decrypt(value, "traders.name") for value in (old, new)] == ["Ada", "Ada"]
    assert new.startswith(b"k2\x00")


@pytest.mark.parametrize(
    ("value", "context"),
    [
        (before.encrypt("Ada", "traders.name"), "traders.name"),
        (after.encrypt("Ada", "traders.name"), "traders.email"),
        (after.encrypt("Ada", "traders.name")[:-1], "traders.name"),
        (b"k2\x00", "traders.name"),
        (b"", "traders.name"),
    ],
    ids=["a key that is gone", "another column", "cut off", "empty", "nothing"],
)
def test_what_cannot_be_read_is_refused(value: bytes, context: str) -> None:
    with pytest.raises(Undecipherable):
        after.decrypt(value, context)


def test_a_row_is_found_by_its_index_under_each_key() -> None:
    assert {before.blind_index("Ada"), during.blind_index(" ada ")} <= set(during.blind_indexes("ADA"))
    assert before.blind_index("Ada") not in after.blind_indexes("Ada")


def test_an_index_that_names_no_key_is_found() -> None:
    unnamed = before.blind_index("Ada").partition(":")[2]
    assert unnamed in during.blind_indexes("Ada")


def test_a_digest_outlasts_the_rotation() -> None:
    assert before.digest("Ada") == during.digest("ada ") == after.digest("Ada")
    assert FieldKeys({"k2": NEW}).digest("Ada") != after.digest("Ada"), "the key of digests would be forgotten"
