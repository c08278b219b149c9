"""Mail that comes in: read, cleaned, told apart and placed; whatever its bytes are, never a crash."""

import base64
import io
import zipfile
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadInput
from domain.mail import cleaning, threading
from domain.mail.attachments import media_type, safe_name, taken
from domain.mail.outgoing import shortened_references
from domain.mail.reading import IncomingMail, read
from domain.mail.threading import Candidate, Place

OURS = "mx.firm.example"
PASS = f"{OURS}; spf=fail; dmarc=pass (p=reject) header.from=example.com"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 30


def mail(body: str = "Hello", **headers: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    given = {
        "From": "Ada <ada@example.com>",
        "To": "help@firm.example",
        "Subject": "Hi",
        "Message-ID": "<a@example.com>",
    }
    for name, value in (given | {key.replace("_", "-"): value for key, value in headers.items()}).items():
        message[name] = value
    message.set_content(body)
    return message


def got(message: EmailMessage, **options: Any) -> IncomingMail:
    return read(message.as_bytes(), authserv=OURS, **options)


def test_a_mail_is_read() -> None:
    found = got(
        mail(
            "Wo ist mein Geld?\n",
            References="<1@x> <2@x>",
            In_Reply_To="<3@x>",
            Authentication_Results=PASS,
            Subject="Grüße",
        ),
        recipients=("help+tag@firm.example",),
    )
    assert (found.sender, found.sender_name, found.subject, found.shown) == (
        "ada@example.com",
        "Ada",
        "Grüße",
        "Wo ist mein Geld?",
    )
    assert found.references == ("<1@x>", "<2@x>", "<3@x>")
    assert found.recipients == ("help+tag@firm.example", "help@firm.example")
    assert found.trusted and not found.automatic and found.bounce is None


@pytest.mark.parametrize(
    "results",
    [
        "mx.evil.example; dmarc=pass header.from=example.com",
        f"{OURS}; dmarc=fail header.from=example.com",
        f"{OURS}; dmarc=pass header.from=other.example",
        f"{OURS}; spf=pass smtp.mailfrom=example.com",
        f"{OURS}; none (dmarc=pass header.from=example.com)",
        f"{OURS}",
    ],
)
def test_a_sender_is_trusted_only_by_our_own_server(results: str) -> None:
    assert not got(mail(Authentication_Results=results)).trusted
    assert not read(mail(Authentication_Results=PASS).as_bytes()).trusted  # no server of ours is named


def test_the_topmost_result_counts_and_two_senders_are_none() -> None:
    forged = mail()
    forged["Authentication-Results"] = f"{OURS}; dmarc=fail header.from=example.com"
    forged["Authentication-Results"] = PASS
    assert not got(forged).trusted
    two = mail(From="Ada <ada@example.com>, Eve <eve@example.com>", Authentication_Results=PASS)
    assert (got(two).sender, got(two).trusted) == ("", False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Auto-Submitted", "auto-replied"),
        ("Precedence", "list"),
        ("X-Loop", "anything"),
        ("X-Auto-Response-Suppress", "All"),
        ("List-Id", "<news.example.com>"),
        ("List-Unsubscribe", "<mailto:a@b>"),
        ("Return-Path", "<>"),
        ("From", "MAILER-DAEMON@example.com"),
        ("From", "no-reply@example.com"),
    ],
)
def test_programs_are_told_from_people(name: str, value: str) -> None:
    assert got(mail(**{name.replace("-", "_"): value})).automatic
    assert not got(mail(Auto_Submitted="no", Return_Path="<ada@example.com>")).automatic


BOUNCE = b"""From: MAILER-DAEMON@mx.example\r
To: help@firm.example\r
Subject: Undelivered\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r
\r
--b\r
Content-Type: text/plain\r
\r
Sorry.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example\r
\r
Final-Recipient: rfc822; ada@example.com\r
Action: failed\r
Status: 5.1.1\r
\r
--b\r
Content-Type: %s\r
\r
Message-ID: <mai_1@firm.example>\r
Subject: Your payout\r
\r
Text\r
--b--\r
"""


@pytest.mark.parametrize("kind", [b"message/rfc822", b"text/rfc822-headers"])
def test_a_bounce_says_what_came_back(kind: bytes) -> None:
    found = read(BOUNCE % kind)
    assert found.bounce is not None and found.automatic
    assert (found.bounce.code, found.bounce.permanent, found.bounce.message_id, found.bounce.recipient) == (
        "5.1.1",
        True,
        "<mai_1@firm.example>",
        "ada@example.com",
    )
    later = read((BOUNCE % kind).replace(b"Status: 5.1.1", b"Status: 4.2.2").replace(b"failed", b"delayed"))
    assert later.bounce is not None and not later.bounce.permanent


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Yes.\n\nOn Mon, 2 Mar 2026, Support <help@firm.example> wrote:\n> Is it?\n> Tell us.\n", "Yes."),
        ("Ja.\n\nAm 02.03.2026 um 10:00 schrieb Support\n<help@firm.example>:\n> Stimmt das?", "Ja."),
        ("Yes.\n-----Original Message-----\nFrom: Support\nIs it?", "Yes."),
        ("Oui.\n\nDe : Support\nEnvoyé : lundi\nÀ : Ada\nObjet : Re\n\nTexte", "Oui."),
        # answers between the lines stay with them
        (
            "On 2 Mar, a@b wrote:\n> Is it?\nYes.\n> And now?\nNo.",
            "On 2 Mar, a@b wrote:\n> Is it?\nYes.\n> And now?\nNo.",
        ),
        # nothing of its own: everything is shown
        ("On 2 Mar, a@b wrote:\n> Is it?", "On 2 Mar, a@b wrote:\n> Is it?"),
        ("> only a quote", "> only a quote"),
        # a quote that nobody is said to have written is the writer's own
        ("The rule says\n> Do not.", "The rule says\n> Do not."),
        ("My steps:\nFrom: the menu\nthen nothing", "My steps:\nFrom: the menu\nthen nothing"),
    ],
)
def test_the_history_is_left_out_and_answers_are_not(text: str, shown: str) -> None:
    assert cleaning.without_quotes(text) == shown


def test_html_is_read_as_text_and_nothing_is_loaded() -> None:
    html = (
        "<html><head><title>t</title><style>p{}</style></head><body><p>Hi&nbsp;<b>there</b></p><script>alert(1)</script>"
        '<img src="https://evil.example/x.png"><ul><li>one<li>two</ul><div>On 2 Mar, a@b wrote:</div>'
        "<blockquote>Old<blockquote>Older</blockquote></blockquote></body></html>"
    )
    message = EmailMessage(policy=SMTP)
    message["From"] = "ada@example.com"
    message.set_content(html, subtype="html")
    found = read(message.as_bytes())
    assert found.whole == "Hi there\n\n- one\n\n- two\n\nOn 2 Mar, a@b wrote:\n\n> Old\n> > Older"
    assert found.shown == "Hi there\n\n- one\n\n- two"


def test_files_are_told_from_their_bytes() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", b"0" * 1_000_000)
    files = [
        ("../../etc/pass wd.png", PNG),
        ("invoice.pdf", b"%PDF-1.7 ..."),
        ("picture.png", b"<svg xmlns='x'/>"),
        ("page.txt", b"\n <html><script>x</script>"),
        ("bomb.zip", packed.getvalue()),
        ("program.txt", b"MZ\x90\x00\x03"),
        ("rows.csv", b"a,b\n1,2\n"),
    ]
    good, bad = taken(files)
    assert [(each.name, each.media_type) for each in good] == [
        ("pass wd.png", "image/png"),
        ("invoice.pdf", "application/pdf"),
        ("rows.csv", "text/plain"),
    ]
    assert [each.name for each in bad] == ["picture.png", "page.txt", "bomb.zip", "program.txt"]
    assert len(good[0].sha256) == 64 and media_type(b"\xff\xd8\xff\xe0") == "image/jpeg"
    many, rest = taken([("a.png", PNG)] * 12)
    assert (len(many), len(rest)) == (10, 2)
    assert taken([("big.png", PNG + b"0" * 11_000_000)])[1][0].why == "The file is too large."
    assert safe_name("\x00..", "text/plain") == "file.txt"


def test_a_mail_with_files_keeps_them_apart_from_its_text() -> None:
    message = mail("See the picture.")
    message.add_attachment(PNG, maintype="application", subtype="octet-stream", filename="shot.png")
    message.add_attachment("<b>x</b>", subtype="html", filename="x.html")
    found = got(message)
    assert (found.whole, [each.name for each in found.attachments]) == ("See the picture.", ["shot.png"])
    assert [each.name for each in found.left_out] == ["x.html"]


def nested(depth: int) -> bytes:
    text = b"Subject: deep\r\n\r\nend"
    for _ in range(depth):
        text = b"Content-Type: message/rfc822\r\n\r\n" + text
    return b"From: ada@example.com\r\n" + text


@pytest.mark.parametrize(
    "raw",
    [
        b"From: a@b.example\r\n" + b"X: y\r\n" * 5000 + b"\r\nhi",
        b"From: a@b.example\r\nX: " + b"y" * 300_000 + b"\r\n\r\nhi",
        nested(30),
        nested(2000),
        b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(300)),
        b"0" * (31 * 1024 * 1024),
    ],
    ids=["many headers", "long header", "nested", "very nested", "many parts", "large"],
)
def test_what_would_take_for_ever_is_refused(raw: bytes) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read(raw)


@pytest.mark.parametrize(
    ("head", "body", "text"),
    [
        (b"Content-Type: text/plain; charset=klingon", b"Gr\xfc\xdfe", "Grüße"),
        (b"Content-Type: text/plain; charset=utf-8", b"Gr\xfc\xdfe", "Grüße"),
        (b"Content-Type: text/plain; charset=utf-16", b"odd", "odd"),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", b"!!!not base64", None),
        (b"Content-Type: text/plain; charset=utf-7", b"+2AA-x", None),
        (b"Content-Type: ;;;=", b"a\x00b\x1b[2Jc\xe2\x80\xae", "ab[2Jc"),
        (b"Content-Type: text/plain; charset*=x''%ff", b"hi", "hi"),
    ],
)
def test_broken_charsets_cost_characters_and_not_the_mail(head: bytes, body: bytes, text: str | None) -> None:
    found = read(
        b"From: =?klingon?q?=ff?= <ada@example.com>\r\nSubject: =?utf-8?b?/////?=\r\n" + head + b"\r\n\r\n" + body
    )
    assert text is None or found.whole == text
    for each in (found.whole, found.shown, found.subject, found.sender_name):
        each.encode()  # no lone surrogate
        assert "\x00" not in each and "\n" not in found.subject


@given(st.binary(max_size=600))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    for raw in (noise, b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" + noise):
        try:
            found = read(raw, authserv=OURS)
        except BadInput:
            continue
        found.whole.encode()


@given(st.text(max_size=300))
def test_stripping_never_loses_a_mail(text: str) -> None:
    assert bool(cleaning.without_quotes(text)) == bool(text.strip())
    cleaning.plain_text(text)


def test_base64_of_a_file_is_decoded() -> None:
    raw = (
        b"From: ada@example.com\r\nContent-Type: image/png; name=x.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode(PNG)
    )
    assert [each.content for each in read(raw).attachments] == [PNG]


def digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def test_a_token_is_genuine_for_one_ticket() -> None:
    ticket = "tkt_" + "0" * 25 + "z"
    tag = threading.token(ticket, digest)
    assert threading.ticket_of_token(("help@firm.example", f"HELP+{tag.upper()}@firm.example"), digest) == ticket
    other = "1" + tag[1:]
    assert threading.ticket_of_token((f"help+{other}@firm.example", "help+x@firm.example"), digest) is None


OPEN = Candidate("tkt_1", frozenset({"ada@example.com"}), of_trader=True, is_solved=False, subjects=("Payout",))
SOLVED = Candidate("tkt_1", frozenset({"ada@example.com"}), of_trader=True, is_solved=True, subjects=("Payout",))
STRANGE = Candidate("tkt_2", frozenset({"eve@example.com"}), of_trader=False, is_solved=False, subjects=("Hi",))


@pytest.mark.parametrize(
    ("candidates", "sender", "trusted", "trader", "subject", "place"),
    [
        ([OPEN], "ada@example.com", True, True, "Re: Payout", Place("join", "tkt_1", True)),
        ([OPEN], "ada@example.com", True, True, "Something else", Place("join", "tkt_1", True)),
        ([OPEN], "ada@example.com", False, True, "Re: Payout", Place("new", "tkt_1", False)),
        ([OPEN], "eve@example.com", True, False, "Re: Payout", Place("new", "tkt_1", False)),
        ([OPEN], "bob@example.com", True, True, "Re: Payout", Place("new", "tkt_1", True)),
        ([SOLVED], "ada@example.com", True, True, "AW: Re: payout", Place("join", "tkt_1", True)),
        ([SOLVED], "ada@example.com", True, True, "A new matter", Place("new", "tkt_1", True)),
        ([STRANGE], "eve@example.com", False, False, "Re: Hi", Place("join", "tkt_2", False)),
        ([OPEN, STRANGE], "eve@example.com", False, False, "Re: Hi", Place("join", "tkt_2", False)),
        ([], "ada@example.com", True, True, "Payout", Place("new", None, True)),
        ([], "ada@example.com", False, True, "Payout", Place("new", None, False)),
    ],
)
def test_where_a_mail_belongs(
    candidates: list[Candidate], sender: str, trusted: bool, trader: bool, subject: str, place: Place
) -> None:
    found = threading.place(candidates, sender=sender, is_trusted=trusted, is_trader=trader, subject=subject)
    assert found == place


def test_references_keep_the_first_and_the_newest() -> None:
    each = [f"<{number}@x>" for number in range(40)]
    assert shortened_references([*each, each[0]]) == (each[0], *each[-20:])
    assert shortened_references(each[:3]) == tuple(each[:3])
