"""Reports about letters, as mail servers write them (RFC 3464, appendix A; RFC 5965, appendix B)."""

from pathlib import Path

import pytest

from app.channels.bounces import Report, UnreadableReport, read

MAIL = Path(__file__).parent.parent / "fixtures" / "mail"
BOUNCE = (MAIL / "bounce.eml").read_bytes()
COMPLAINT = (MAIL / "complaint.eml").read_bytes()


def test_a_bounce_says_which_letter_and_that_the_address_is_no_good():
    report = read(BOUNCE)

    assert report == Report("msg_1", "bounced", "5.1.1")
    assert report.is_bad_address


def test_a_complaint_says_which_letter():
    assert read(COMPLAINT) == Report("msg_1", "complained")


@pytest.mark.parametrize(
    ("status", "is_bad"), [("5.1.10", True), ("5.2.1", True), ("5.2.2", False), ("5.7.1", False), ("", False)]
)
def test_a_full_mailbox_or_a_policy_is_no_bad_address(status, is_bad):
    assert read(BOUNCE.replace(b"Status: 5.1.1", f"Status: {status}".encode())).is_bad_address is is_bad


@pytest.mark.parametrize(
    ("action", "kind"), [("delayed", "delayed"), ("Delivered", "delivered"), ("relayed", "delivered")]
)
def test_other_actions_are_told_apart(action, kind):
    assert read(BOUNCE.replace(b"Action: failed", f"Action: {action}".encode())).kind == kind


def test_the_whole_letter_may_be_returned_in_place_of_its_headers():
    assert read(BOUNCE.replace(b"text/rfc822-headers", b"message/rfc822")).message_id == "msg_1"


@pytest.mark.parametrize(
    ("mail", "words"),
    [
        (b"", "no report"),
        (b"Subject: hello\r\n\r\nI am on holiday", "no report"),
        (BOUNCE.replace(b"<msg_1@", b"<1234@"), "Message-ID"),
        (BOUNCE.replace(b"Action: failed", b"Action: shrugged"), "RFC 3464"),
        (BOUNCE[:700], "Message-ID"),
        (b"\xff\x00" * 100, "no report"),
    ],
)
def test_what_is_no_report_of_ours_is_refused_with_the_reason(mail, words):
    with pytest.raises(UnreadableReport, match=words):
        read(mail)
