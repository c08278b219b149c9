"""Reads the bank's answer to a payment file (pain.002)."""

from dataclasses import dataclass
from typing import Final

from adapters.bank.xml import Node

_DUPLICATES: Final = frozenset({"AM05", "DU01", "DUPL"})


@dataclass(frozen=True)
class Answer:
    """What the bank says of one file. `batch_id`: the file's MsgId. `all_refused`: why the whole file is refused;
    `is_duplicate`: because the bank had it already. `refused`: reasons by EndToEndId."""

    batch_id: str
    all_refused: str | None
    is_duplicate: bool
    refused: dict[str, str]


def read_answer(root: Node) -> Answer:
    """Raises BankFileUnreadable. `RJCT` refuses; every other status leaves a payment under way."""
    group = root.need("OrgnlGrpInfAndSts")
    refused: dict[str, str] = {}
    batches = [group, *root.all("OrgnlPmtInfAndSts")]
    rejected = [
        each
        for each, path in zip(batches, ("GrpSts", *["PmtInfSts"] * (len(batches) - 1)), strict=True)
        if each.text(path) == "RJCT"
    ]
    for transaction in root.all("OrgnlPmtInfAndSts/TxInfAndSts"):
        key = transaction.need_text("OrgnlEndToEndId")
        if transaction.need_text("TxSts") == "RJCT":
            refused[key] = _reason(transaction)
    return Answer(
        batch_id=group.need_text("OrgnlMsgId"),
        all_refused=_reason(rejected[0]) if rejected else None,
        is_duplicate=any(each.text("StsRsnInf/Rsn/Cd") in _DUPLICATES for each in rejected),
        refused=refused,
    )


def _reason(node: Node) -> str:
    code, words = node.text("StsRsnInf/Rsn/Cd", "StsRsnInf/Rsn/Prtry"), node.text("StsRsnInf/AddtlInf")
    return ": ".join(part for part in (code, words) if part) or "no reason given"
