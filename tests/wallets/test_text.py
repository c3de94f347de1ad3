"""The small language of pass texts: what it shows, and what it refuses."""

from datetime import UTC, date, datetime

import pytest

from app.wallets.formats import formats_for
from app.wallets.text import TextError, compile_text

NAMES = frozenset({"first_name", "points", "c"})
RUSSIAN = formats_for("ru", "KZ", "KZT", "Asia/Almaty")
SPACE = "\N{NO-BREAK SPACE}"


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__ }}",
        "{{ c.delete() }}",
        "{{ 'a'*10**9 }}",
        "{{ 9**(9**9) }}",
        "{% for a in range(9) %}x{% endfor %}",
        "{{ '%9d' % 1 }}",
        "{{ 'a'.center(9) }}",
        "{{ ('{0}'|attr('format'))(first_name) }}",
        "{% macro c() %}{{ c() }}{% endmacro %}",
        "{% set c=1 %}",
        "{% include 'x' %}",
        "{% import 'x' as c %}",
        "{% extends 'x' %}",
        "{% block c %}{% endblock %}",
        "{{ [1,2,3] }}",
        "{{ {'a': 1} }}",
        "{{ first_name[0] }}",
        "{{ first_name ~ first_name }}",
        "{{ first_name|pprint }}",
        "{{ first_name|default(points) }}",
        "{{ first_name|default(*points) }}",
        "{{ first_name|default(value='x') }}",
        "{{ self }}",
        "{{ lipsum(9) }}",
        "{% call c() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{{ -points }}",
        "{{ points+1 }}",
        "{{ 1.5 }}",
        "{{ points is defined }}",
        "{{ points in (1, 2) }}",
        "{{ 1 < points < 3 }}",
        "{{ phone }}",
        "{{ 'x' * 9 if points }}",
        "{{ points",
        "{% if points %}",
        "{{ points|date('%Y') }}",
        "{{ points|plural }}",
        "{{" + "(" * 900 + "points" + ")" * 900 + "}}",
        "{{ points }}" * 201,
        "x" * 4001,
        "{{ '" + "x" * 201 + "' }}",
    ],
)
def test_what_is_not_a_name_a_filter_or_a_condition_is_refused(attack):
    with pytest.raises(TextError):
        compile_text(attack, NAMES)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Мы рады вам", "Мы рады вам"),
        ("{{ first_name|default('гость') }}", "гость"),
        ("{{ first_name }}", ""),
        ("{{ c|trim|upper }}", "<B>ИВАН</B>{{9*9}}"),
        ("{% if points > 100 %}много{% elif points %}есть{% else %}нет{% endif %}", "много"),
        ("{% if first_name > 100 %}a{% else %}b{% endif %}", "b"),
        ("{% if points >= 1240 and not first_name %}a{% endif %}", "a"),
        ("{{ points|number }} {{ points|plural('балл', 'балла', 'баллов') }}", f"1{SPACE}240 баллов"),
        (
            "https://example.com/{{ c|url }}",
            "https://example.com/%3Cb%3E%D0%98%D0%B2%D0%B0%D0%BD%3C%2Fb%3E%7B%7B9%2A9%7D%7D",
        ),
        ("{# a designer's note #}x", "x"),
    ],
)
def test_a_text_is_filled_in(source, text):
    values = {"points": 1240, "c": "<b>Иван</b>{{9*9}}", "first_name": None}

    assert compile_text(source, NAMES).render(values, RUSSIAN) == text


@pytest.mark.parametrize(
    ("language", "country", "expected"),
    [
        ("en", "US", "12,401; $1,500; $12.50; 5%; 5.5%; January 2, 2026; 1:00 AM"),
        ("ru", "KZ", "12 401; 1 500 $; 12,50 $; 5 %; 5,5 %; 2 января 2026 г.; 01:00"),
        ("kk", "KZ", "12 401; 1 500 $; 12,50 $; 5%; 5,5%; 2026 ж. 2 қаңтар; 01:00"),
    ],
)
def test_numbers_money_and_dates_are_written_as_the_language_writes_them(language, country, expected):
    formats = formats_for(language, country, "USD", "Asia/Almaty")
    values = {"n": 12401, "sum": 1500, "part": "12.50", "p": 5, "bp": 550}
    values |= {"day": date(2026, 1, 2), "at": datetime(2026, 1, 1, 20, 0, tzinfo=UTC)}
    text = compile_text(
        "{{n|number}}; {{sum|money}}; {{part|money}}; {{p|percent}}; {{bp|basis_points}}; "
        "{{day|date}}; {{at|time}}"
    )

    shown = text.render(values, formats)

    assert shown.replace("\xa0", " ").replace("\u202f", " ") == expected


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ru", ["балл", "балла", "баллов", "баллов", "балл", "баллов"]),
        ("en", ["балл", "балла", "балла", "балла", "балла", "балла"]),
    ],
)
def test_a_noun_goes_with_its_number(language, words):
    text = compile_text("{{ n|plural('балл', 'балла', 'баллов') }}")
    formats = formats_for(language, "KZ", "KZT", "Asia/Almaty")

    assert [text.render({"n": number}, formats) for number in (1, 2, 5, 11, 21, "1.5")] == words


def test_control_characters_and_direction_overrides_do_not_reach_the_pass():
    shown = compile_text("{{ name }}").render({"name": "a\x00b\u202ec\u2066d\ud800e\n"}, RUSSIAN)

    assert shown == "abcde\n"


def test_numbers_of_every_grouping_agree_with_the_slow_way():
    for language in ("ru", "en", "hi", "es", "kk", "de", "ar"):
        formats = formats_for(language, "KZ", "KZT", "Asia/Almaty")
        for number in (0, 7, -7, 999, 1000, -1000, 12345, 1234567, -123456789):
            assert formats.number(number) == formats.number(str(number))
