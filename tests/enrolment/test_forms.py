"""Reading a filled form: every mistake by its field, in words of every language, and nothing hostile."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.enrolment.forms import FormDefinition, Mistakes, clean, parse_definition, read
from app.i18n import LANGUAGES, load_texts
from app.wiring import TEXTS

TODAY = date(2030, 6, 3)


def say(text: str) -> dict[str, str]:
    return {"en": text, "ru": f"{text} по-русски"}


DEFINITION = {
    "languages": ["en", "ru"],
    "title": say("Card"),
    "intro": say("Points"),
    "questions": [
        {"key": "goal", "kind": "text", "label": say("Goal"), "required": True},
        {"key": "visits", "kind": "number", "label": say("Visits")},
        {"key": "since", "kind": "date", "label": say("Since")},
        {
            "key": "drink",
            "kind": "choice",
            "label": say("Drink"),
            "options": [{"value": "tea", "label": say("Tea")}, {"value": "coffee", "label": say("Coffee")}],
        },
        {
            "key": "days",
            "kind": "choices",
            "label": say("Days"),
            "options": [{"value": "mon", "label": say("Monday")}, {"value": "sun", "label": say("Sunday")}],
        },
        {"key": "own_cup", "kind": "yes_no", "label": say("Own cup")},
    ],
    "consents": [
        {"kind": "personal_data", "version": "v2", "text": say("I agree"), "required": True},
        {"kind": "marketing", "version": "v1", "text": say("Tell me")},
    ],
}
FORM = parse_definition(DEFINITION)
FILLED = {
    "name": ["Anna"],
    "phone": ["8 (912) 345-67-89"],
    "goal": ["to win"],
    "consent_personal_data": ["v2"],
}


def fill(data=None, *, form: FormDefinition = FORM, language="en", **fields):
    changed = {name: [value] if isinstance(value, str) else value for name, value in fields.items()}
    return read(form, (data or FILLED) | changed, country="RU", language=language, today=TODAY)


def mistakes(**fields) -> dict[str, str]:
    with pytest.raises(Mistakes) as caught:
        fill(**fields)
    return caught.value.by_field


def test_a_filled_form_is_read_into_values():
    filled = fill(
        birthday="2015-03-24",
        visits="-3",
        since="2029-12-31",
        drink="tea",
        days=["sun", "mon", "sun"],
        own_cup="yes",
    )

    assert (filled.name, filled.phone, filled.birthday) == ("Anna", "+79123456789", date(2015, 3, 24))
    assert filled.answers == {
        "goal": "to win",
        "visits": -3,
        "since": "2029-12-31",
        "drink": "tea",
        "days": ["sun", "mon"],
        "own_cup": True,
    }


def test_questions_left_open_have_no_answer_and_an_unticked_box_is_a_no():
    assert fill().answers == {"goal": "to win", "own_cup": False}


@pytest.mark.parametrize(
    ("field", "value", "mistake"),
    [
        ("name", "", "required"),
        ("name", " \t\x00 ", "required"),
        ("name", "12345", "name_letters"),
        ("name", "x" * 129, "too_long"),
        ("phone", "", "required"),
        ("phone", "912", "phone_invalid"),
        ("phone", "not a number", "phone_invalid"),
        ("phone", "+79123456789 ext. 5", "phone_invalid"),
        ("phone", "+1 202 555 0123", "phone_country"),
        ("phone", "+77012345678", "phone_country"),  # Kazakhstan begins with +7 too
        ("phone", "+7 495 123-45-67", "phone_not_mobile"),
        ("phone", "+7 800 555-35-35", "phone_not_mobile"),
        ("birthday", "24.03.2015", "date"),
        ("birthday", "2015-02-30", "date"),
        ("birthday", "2030-06-04", "birthday_range"),
        ("birthday", "1909-12-31", "birthday_range"),
        ("goal", "", "required"),
        ("goal", "\x00", "required"),
        ("goal", "x" * 501, "too_long"),
        ("visits", "1.5", "number"),
        ("visits", "-", "number"),
        ("visits", "٣", "number"),
        ("visits", "9" * 13, "number"),
        ("since", "yesterday", "date"),
        ("drink", "vodka", "choice"),
        ("days", ["mon", "tue"], "choice"),
        ("own_cup", "no", "choice"),
        ("consent_personal_data", [], "consent"),
        ("consent_personal_data", "v1", "consent_changed"),
        ("consent_marketing", "v0", "consent_changed"),
    ],
)
def test_a_mistake_is_named_by_its_field(field, value, mistake):
    assert mistakes(**{field: value}) == {field: mistake}


def test_all_mistakes_are_named_at_once():
    assert mistakes(name="", phone="1", drink="gin") == {
        "name": "required",
        "phone": "phone_invalid",
        "drink": "choice",
    }


def test_a_birthday_may_be_demanded():
    form = FORM.model_copy(update={"requires_birthday": True})

    assert mistakes(form=form) == {"birthday": "required"}


def test_a_form_that_asks_no_birthday_takes_none():
    form = FORM.model_copy(update={"asks_birthday": False})

    assert fill(form=form, birthday="2015-03-24").birthday is None


def test_a_form_may_be_open_to_other_countries():
    form = FORM.model_copy(update={"countries": ("KZ",)})

    assert fill(form=form, phone="+7 701 234 56 78").phone == "+77012345678"
    assert mistakes(form=form, phone="+79123456789") == {"phone": "phone_country"}


MISTAKES = (
    *("required", "name_letters", "too_long", "phone_invalid", "phone_country", "phone_not_mobile"),
    *("date", "birthday_range", "number", "choice", "consent", "consent_changed"),
)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_has_words_in_every_language(language, mistake):
    words = load_texts(TEXTS).get(language, f"mistake.{mistake}")

    assert words.endswith(".")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_consent_is_kept_in_the_words_the_person_saw(language):
    filled = fill(language=language)

    assert [(each.consent.kind, each.text, each.given) for each in filled.consents] == [
        ("personal_data", say("I agree")[language], True),
        ("marketing", say("Tell me")[language], False),
    ]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Анна \t Мария ", "Анна Мария"),
        ("An\x00na", "Anna"),
        ("Anna\ud800", "Anna"),
        ("Anna\x1b[31m", "Anna[31m"),
        ("\u202eannA", "annA"),
        ("Anna\r\nBcc: all@example.com", "Anna Bcc: all@example.com"),
        ("Андрей", "Андрей"),
        ("👩‍👧 Anna", "👩‍👧 Anna"),
    ],
)
def test_a_name_is_one_line_of_visible_letters(typed, kept):
    assert fill(name=typed).name == kept


def test_the_same_field_sent_twice_counts_once():
    assert fill(name=["Anna", "Eve"], goal=["to win", "to lose"]).name == "Anna"


def test_a_megabyte_in_every_field_is_a_mistake_and_not_an_accident():
    huge = "9" * 1_000_000

    found = mistakes(
        name=f"a{huge}", phone=huge, birthday=huge, goal=huge, visits=huge, since=huge, drink=huge
    )

    assert found.keys() == {"name", "phone", "birthday", "goal", "visits", "since", "drink"}


@given(
    st.dictionaries(
        st.sampled_from([*FILLED, "birthday", "visits", "since", "drink", "days", "own_cup"]),
        st.lists(st.text(st.characters(), max_size=30), max_size=3),
    )
)
def test_whatever_is_sent_is_read_or_is_a_mistake_and_can_be_stored(data):
    try:
        filled = fill(FILLED | data)
    except Mistakes:
        return

    for text in (filled.name, *(answer for answer in filled.answers.values() if isinstance(answer, str))):
        assert "\x00" not in text
        assert text == clean(text)
        text.encode()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"languages": []}, "languages"),
        ({"title": {"en": "Card"}}, "a text lacks ru"),
        ({"colour": "red"}, "colour"),
        ({"countries": ["Russia"]}, "countries"),
        ({"theme": {"accent": "red"}}, "theme.accent"),
        ({"questions": [{"key": "phone", "kind": "text", "label": say("Phone")}]}, "phone"),
        ({"questions": [{"key": "submit", "kind": "text", "label": say("Submit")}]}, "submit"),
        ({"questions": [{"key": "Goal", "kind": "text", "label": say("Goal")}]}, "questions.0.key"),
        ({"questions": [DEFINITION["questions"][0]] * 2}, "goal"),
        ({"questions": [{"key": "drink", "kind": "choice", "label": say("Drink")}]}, "options"),
        (
            {"questions": [DEFINITION["questions"][0] | {"options": [{"value": "a", "label": say("A")}]}]},
            "options",
        ),
        (
            {
                "questions": [
                    DEFINITION["questions"][3] | {"options": [{"value": "a", "label": say("A")}] * 2}
                ]
            },
            "options used twice: a",
        ),
        ({"consents": [DEFINITION["consents"][0] | {"url": "javascript:alert(1)"}]}, "url"),
    ],
)
def test_a_wrong_definition_is_refused_by_name(change, named):
    with pytest.raises(ValidationError, match=named):
        parse_definition(DEFINITION | change)
