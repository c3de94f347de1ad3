import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels.sms.segments import Segments, count


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Segments("GSM-7", 0, 1, 160)),
        ("a" * 160, Segments("GSM-7", 160, 1, 0)),
        ("a" * 161, Segments("GSM-7", 161, 2, 145)),
        ("a" * 306, Segments("GSM-7", 306, 2, 0)),
        ("a" * 307, Segments("GSM-7", 307, 3, 152)),
        ("Preis: 5 €", Segments("GSM-7", 11, 1, 149)),
        ("€" * 80, Segments("GSM-7", 160, 1, 0)),
        ("€" * 81, Segments("GSM-7", 162, 2, 143)),  # 153 is odd: the last unit of the first part stays empty
        ("ç", Segments("UCS-2", 1, 1, 69)),  # GSM-7 has only the capital Ç
        ("Ваша карта готова: ", Segments("UCS-2", 19, 1, 51)),
        ("Dala: картаңыз дайын https://w.dala.kz/7xK2pQ", Segments("UCS-2", 45, 1, 25)),
        ("я" * 70, Segments("UCS-2", 70, 1, 0)),
        ("я" * 71, Segments("UCS-2", 71, 2, 63)),
        ("қ" * 135, Segments("UCS-2", 135, 3, 66)),
        ("🎁", Segments("UCS-2", 2, 1, 68)),
        ("🎁" * 35, Segments("UCS-2", 70, 1, 0)),
        ("🎁" * 36, Segments("UCS-2", 72, 2, 61)),  # 33 emoji in the first part: 67 is odd
    ],
)
def test_a_text_takes_the_parts_the_networks_bill(text, expected):
    assert count(text) == expected


@given(st.text(max_size=400), st.text(max_size=40))
def test_a_longer_text_never_takes_fewer_parts(text, more):
    assert count(text + more).parts >= count(text).parts


@given(st.text(max_size=800))
def test_every_unit_lies_in_a_part(text):
    segments = count(text)
    single, several = (160, 153) if segments.encoding == "GSM-7" else (70, 67)
    room = single if segments.parts == 1 else several * segments.parts

    assert 0 <= segments.left <= several or segments.parts == 1
    assert segments.units <= room - segments.left
