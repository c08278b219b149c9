"""Words of entries and of evidence, as pages show them."""

from console.formats import done, short_ids, with_minus

DIGEST = "e9786320ec553370bd0eca60e91f625a5d330c8ba0e08e99c4ada7e22e056ebd"


def test_ids_and_digests_within_a_text_are_short_and_can_be_copied_whole() -> None:
    html = short_ids(
        f"to <b>paid</b>, transfer id tr_00001262, proof id prf_5metdexs2kb29j63rgs5tnzwq2, policy {DIGEST}"
    )
    assert "&lt;b&gt;paid" in html and "tr_00001262," in html
    assert 'data-copy="prf_5metdexs2kb29j63rgs5tnzwq2"' in html and ">prf_5m…zwq2<" in html
    assert f'data-copy="{DIGEST}"' in html and ">e97863…6ebd<" in html


def test_an_action_is_said_in_words() -> None:
    assert (done("payout.transfer_paid"), done("factors")) == ("Transfer paid", "Factors")


def test_negative_numbers_of_a_text_have_a_true_minus_sign() -> None:
    assert with_minus("-5.20 USD and -1") == "\u22125.20 USD and \u22121"
    assert with_minus("A-10003 on 2026-01-02, 3-5 lots, -x") == "A-10003 on 2026-01-02, 3-5 lots, -x"
