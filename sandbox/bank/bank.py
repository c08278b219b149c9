"""A stateful simulated bank: takes payment files, books at the end of each of its days, sends statements.

The holder's name and IBAN alone decide what happens: a name with `unknown-account` is refused; one payment in eight
comes back two business days after its booking, and every payment to a name with `closed-account`. `send_back` returns
one that has arrived.
"""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

import holidays

from domain.errors import BadInput, Conflict, NotFound
from sandbox.bank.faults import BankFaults
from sandbox.bank.ibans import firm_iban, iban_of
from sandbox.bank.messages import Line, PaymentFile, notification_file, read_payment_file, statement_file, status_file
from sandbox.bank.postbox import Postbox
from sandbox.instants import HOUR, MINUTE, from_us, to_us
from sandbox.journal import Row

_ZONE: Final = ZoneInfo("Europe/Berlin")
_CUT_OFF: Final = time(15)
_CLOSES: Final = time(18)
_FEE_MINOR: Final = 15
_RETURN_CHARGES_MINOR: Final = 12
_RETURNED_AFTER: Final = 2  # business days
_DAYS_LATE: Final = 2  # until a lost statement is sent again
_RETURNED_MARK: Final = "closed-account"
_REFUSED_MARK: Final = "unknown-account"
_DUPLICATE: Final = "AM05"
_HOLIDAYS: Final = holidays.financial_holidays("XECB", years=range(2000, 2101))


class SandboxBank:
    """The bank's state; times are market time in microseconds. `faults`: set them, then call `save_faults`. `sent`: the
    number of files sent in this process."""

    kinds: ClassVar[tuple[str, ...]] = (
        "bank_account",
        "bank_payment",
        "bank_booked",
        "bank_credit",
        "bank_file",
        "bank_message",
        "bank_state",
    )

    def __init__(self, folder: Path, currencies: Iterable[str]) -> None:
        self._postbox = Postbox(folder)
        self.now_us = 0
        self.sent = 0
        self.faults = BankFaults()
        self._closes_us = 0
        self._accounts: dict[str, dict[str, Any]] = {
            currency: {"iban": firm_iban(currency), "balance_minor": 0, "number": 0} for currency in currencies
        }
        self._payments: dict[str, dict[str, Any]] = {}
        self._booked: dict[str, dict[str, Any]] = {}  # by key
        self._credits: dict[str, dict[str, Any]] = {}
        self._files: dict[str, dict[str, Any]] = {}
        self._sent: list[str] = []
        self._messages: dict[str, str] = {}
        self._made = 0
        self._rows: list[Row] = []

    @property
    def currencies(self) -> frozenset[str]:
        """Returns the currencies in which the firm has an account."""
        return frozenset(self._accounts)

    def credit(self, currency: str, amount_minor: int, *, reference: str, debtor: str) -> None:
        """Money comes in for the firm, such as an acquirer's settlement. It is on the next statement."""
        if currency not in self._accounts:
            raise BadInput(f"The bank has no account in {currency}.", field="currency")
        line = {"currency": currency, "amount_minor": amount_minor, "key": reference, "debtor": debtor, "code": "RRCT"}
        self._add_credit(line, from_us(self.now_us).date())

    def send_back(self, key: str) -> None:
        """The payee's bank sends a payment back that has arrived. It is on the statement of the next business day.
        Raises NotFound for a payment that was not booked, Conflict for one that comes back already."""
        payment = self._booked.get(key)
        if payment is None:
            raise NotFound(f"The bank has booked no payment {key}.")
        if payment["comes_back"]:
            raise Conflict(f"The payment {key} comes back already.")
        day = _business_days_after(from_us(self.now_us).astimezone(_ZONE).date(), 1)
        payment["comes_back"] = True
        self._put("bank_booked", payment["number"], payment)
        self._save_payment(payment["number"], payment | {"back_on": day.isoformat()})

    def start(self, now_us: int) -> None:
        self.now_us = now_us

    def advance(self, now_us: int) -> None:
        """Sets market time: takes the firm's files as of the last instant, closes the days, sends what is due."""
        before = self.now_us or now_us
        self._forget_sent()
        for content in self._postbox.take():
            self._take(content, before)
        if self._closes_us == 0:
            self._closes_us = _next_close(before)
        while self._closes_us <= now_us:
            self._close_day(self._closes_us)
            self._closes_us = _next_close(self._closes_us)
            self._save_state()
        self.now_us = now_us
        self._send_due()

    # for the journal

    def save_faults(self) -> None:
        self._save_state()

    def drain(self) -> Iterable[Row]:
        """Rows changed since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def committed(self, *, at_rest: bool = True) -> None:
        """Called when the journal has what `drain` returned: only now can the firm see it. `at_rest`: market time
        stands, and the firm may look at the clock. While it passes, writing a file would take longer than a batch."""
        minute = from_us(self.now_us // MINUTE * MINUTE)
        self.sent += self._postbox.commit(minute.isoformat(), at_rest=at_rest)

    def news(self) -> int:
        return self.sent

    def unheard(self) -> int:
        return self._postbox.unread()

    def restore(self, rows: dict[str, list[tuple[str, Any]]], now_us: int) -> None:
        """Restores the state from the journal's rows by kind."""
        self.now_us = now_us
        self._accounts |= dict(rows["bank_account"])
        self._payments, self._credits = dict(rows["bank_payment"]), dict(rows["bank_credit"])
        self._booked = {booked["key"]: booked | {"number": number} for number, booked in rows["bank_booked"]}
        self._files, self._messages = dict(rows["bank_file"]), dict(rows["bank_message"])
        state = dict(rows["bank_state"]).get("now")
        if state is not None:
            self._closes_us, self._made = state["closes_us"], state["made"]
            uses = Counter[str](state.get("fault_uses", {}))
            self.faults = BankFaults.model_validate(state["faults"]).counted_since(uses)
        self._sent = [name for name, file in self._files.items() if file["content"] is None]
        self._files = {name: file for name, file in self._files.items() if file["content"] is not None}
        self._postbox.recover(set(self._sent))

    # payment files

    def _take(self, content: bytes, at_us: int) -> None:
        digest = sha256(content).hexdigest()
        try:
            file = read_payment_file(content)
        except ValueError:
            return  # a bank cannot answer a file that it cannot read; its operator calls
        known = self._messages.get(file.message_id)
        if known == digest:
            return  # taken before the sandbox was killed
        reason = self._group_refusal(file, known)
        refused = {
            each.key: ("AC01", "There is no such account.")
            for each in file.instructions
            if _REFUSED_MARK in each.name.casefold()
        }
        if known is None:
            self._messages[file.message_id] = digest
            self._put("bank_message", file.message_id, digest)
        if reason is None:
            self._accept(file, set(refused), at_us)
        keys = [each.key for each in file.instructions]
        number = self._next()
        answer = status_file(f"STS{number:08d}", from_us(at_us), file.message_id, reason, refused, keys)
        self._send(f"pain002-{number:08d}.xml", answer, at_us)

    def _group_refusal(self, file: PaymentFile, known: str | None) -> str | None:
        """Returns the code with which the whole file is refused."""
        account = self._accounts.get(file.currency)
        if known is not None:
            return _DUPLICATE
        if account is None or account["iban"] != file.debtor_iban:
            return "AC02"
        if self.faults.use("reject_batch"):
            self._save_state()
            return "AG01"
        return None

    def _accept(self, file: PaymentFile, refused: set[str], at_us: int) -> None:
        execution = max(date.fromisoformat(file.execution), _booking_day(at_us))
        for each in file.instructions:
            if each.key in refused:
                continue
            digest = sha256(f"{each.iban} {each.name}".encode()).digest()
            payment = {
                "key": each.key,
                "amount_minor": each.amount_minor,
                "currency": each.currency,
                "text": each.text,
                "execution": execution.isoformat(),
                "comes_back": digest[0] % 8 == 0 or _RETURNED_MARK in each.name.casefold(),
                "back_on": None,
            }
            self._save_payment(f"{self._next():08d}", payment)

    # the end of a day

    def _close_day(self, at_us: int) -> None:
        day = from_us(at_us).astimezone(_ZONE).date()
        for currency, account in self._accounts.items():
            lines = [*self._payments_out(currency, day), *self._payments_back(currency, day)]
            lines += self._credits_in(currency, day)
            if lines:
                self._state(currency, account, lines, at_us)

    def _payments_out(self, currency: str, day: date) -> list[Line]:
        lines: list[Line] = []
        for number, payment in sorted(self._payments.items()):
            due = payment["execution"] <= day.isoformat() and payment["back_on"] is None
            if payment["currency"] != currency or not due:
                continue
            line = Line(-payment["amount_minor"], payment["key"], payment["text"])
            lines.append(line)
            self._booked[payment["key"]] = payment | {"number": number}
            self._put("bank_booked", number, payment)
            if self.faults.use("double_booking"):
                lines.append(line)
                self._add_credit(
                    {
                        "currency": currency,
                        "amount_minor": payment["amount_minor"],
                        "key": payment["key"],
                        "reversal": True,
                    },
                    _business_days_after(day, 1),
                )
            if payment["comes_back"]:
                self._save_payment(
                    number, payment | {"back_on": _business_days_after(day, _RETURNED_AFTER).isoformat()}
                )
            else:
                del self._payments[number]
                self._rows.append(Row("bank_payment", number, None))
        if lines:
            lines.append(Line(-_FEE_MINOR * len(lines), text="Fee for payments", code="CHRG"))
        return lines

    def _payments_back(self, currency: str, day: date) -> list[Line]:
        lines: list[Line] = []
        for number, payment in sorted(self._payments.items()):
            back_on = payment["back_on"]
            if payment["currency"] == currency and back_on is not None and back_on <= day.isoformat():
                words = ("AC04", "The account is closed.")
                kept = _RETURN_CHARGES_MINOR if self.faults.use("return_charges") else 0
                back = payment["amount_minor"] - kept
                lines.append(
                    Line(back, payment["key"], payment["text"], code="RRTN", returned=words, charges_minor=kept)
                )
                del self._payments[number]
                self._rows.append(Row("bank_payment", number, None))
        return lines

    def _credits_in(self, currency: str, day: date) -> list[Line]:
        lines: list[Line] = []
        for number, credit in sorted(self._credits.items()):
            if credit["currency"] == currency and credit["day"] <= day.isoformat():
                lines.append(Line(**{name: value for name, value in credit.items() if name not in ("currency", "day")}))
                del self._credits[number]
                self._rows.append(Row("bank_credit", number, None))
        return lines

    def _state(self, currency: str, account: dict[str, Any], lines: list[Line], at_us: int) -> None:
        """Sends a notification and a statement of these lines."""
        at, iban, opening = from_us(at_us), account["iban"], account["balance_minor"]
        account["number"] += 1
        account["balance_minor"] += sum(line.amount_minor for line in lines)
        self._put("bank_account", currency, account)
        name = f"{currency}-{account['number']:06d}"
        told = [line for line in lines if line.key]
        if told:
            self._send(f"camt054-{name}.xml", notification_file(f"NTF-{name}", at, iban, currency, told), at_us)
        content = statement_file(f"STM-{name}", at, account["number"], iban, currency, opening, lines)
        self._send_statement(f"camt053-{name}", content, at_us, iban)

    def _send_statement(self, name: str, content: bytes, at_us: int, iban: str) -> None:
        if self.faults.use("duplicate_statement"):
            self._send(f"{name}-copy.xml", content, at_us + MINUTE)
        if self.faults.use("other_account"):
            other = iban_of("another customer of the bank")
            self._send(f"{name}-other.xml", content.replace(iban.encode(), other.encode()), at_us)
        if self.faults.use("truncate"):
            self._send(f"{name}-cut.xml", content[: len(content) * 2 // 3], at_us)
            at_us = _next_close(at_us) - MINUTE
        elif self.faults.use("late_statement"):
            at_us = _next_close(at_us) - MINUTE
        elif self.faults.use("reorder"):
            at_us = _next_close(at_us) + HOUR + MINUTE
        elif self.faults.use("lose"):
            for _ in range(_DAYS_LATE):
                at_us = _next_close(at_us)
        self._send(f"{name}.xml", content, at_us)
        self._save_state()

    # inside

    def _send(self, name: str, content: bytes, due_us: int) -> None:
        """Sends a file at `due_us`."""
        self._files[name] = {"due_us": due_us, "content": content.decode()}
        self._put("bank_file", name, self._files[name])

    def _send_due(self) -> None:
        """Prepares the due files. Their rows lose the content: the journal then says that they are sent."""
        due = sorted((file["due_us"], name) for name, file in self._files.items() if file["due_us"] <= self.now_us)
        for due_us, name in due:
            self._postbox.put(name, self._files.pop(name)["content"].encode())
            self._put("bank_file", name, {"due_us": due_us, "content": None})
            self._sent.append(name)

    def _forget_sent(self) -> None:
        self._rows += [Row("bank_file", name, None) for name in self._sent]
        self._sent = []

    def _add_credit(self, line: dict[str, Any], day: date) -> None:
        number = f"{self._next():08d}"
        self._credits[number] = line | {"day": day.isoformat()}
        self._put("bank_credit", number, self._credits[number])

    def _save_payment(self, number: str, payment: dict[str, Any]) -> None:
        self._payments[number] = payment
        self._put("bank_payment", number, payment)

    def _next(self) -> int:
        self._made += 1
        self._save_state()
        return self._made

    def _save_state(self) -> None:
        state = {
            "closes_us": self._closes_us,
            "made": self._made,
            "faults": self.faults.model_dump(),
            "fault_uses": self.faults.uses,
        }
        self._put("bank_state", "now", state)

    def _put(self, kind: str, id: str, value: Any) -> None:
        self._rows.append(Row(kind, id, json.dumps(value)))


def _is_open(day: date) -> bool:
    return day.weekday() < 5 and day not in _HOLIDAYS


def _business_days_after(day: date, count: int) -> date:
    while count:
        day += timedelta(days=1)
        count -= _is_open(day)
    return day


def _booking_day(at_us: int) -> date:
    """Returns the first day on which a file that came at `at_us` can be booked."""
    local = from_us(at_us).astimezone(_ZONE)
    day = local.date()
    return day if _is_open(day) and local.time() < _CUT_OFF else _business_days_after(day, 1)


def _next_close(after_us: int) -> int:
    """Returns the first end of a business day after this instant."""
    day = from_us(after_us).astimezone(_ZONE).date()
    while True:
        at_us = to_us(datetime.combine(day, _CLOSES, _ZONE))
        if at_us > after_us and _is_open(day):
            return at_us
        day += timedelta(days=1)
