"""Texts by language, and which language a request speaks."""

import pytest

from app.i18n import LANGUAGES, MissingText, Texts, choose_language, load_texts
from app.wiring import TEXTS


def test_every_text_stands_in_every_language_with_the_same_names_to_fill_in():
    texts = load_texts(TEXTS).by_language

    for key, english in texts["en"].items():
        for language in LANGUAGES:
            assert names(texts[language][key]) == names(english), (language, key)


def names(text: str) -> set[str]:
    return {part.partition("}")[0] for part in text.split("{")[1:]}


def test_a_text_missing_in_one_language_stops_the_start(tmp_path):
    (tmp_path / "en.toml").write_text('[join]\nsend = "Send"\nname = "Name"', "utf-8")
    (tmp_path / "ru.toml").write_text('[join]\nsend = "Отправить"', "utf-8")

    with pytest.raises(MissingText, match=r"ru\.toml lacks join\.name"):
        load_texts(tmp_path)


def test_names_are_filled_in_as_they_are_and_never_as_a_format():
    texts = Texts({"en": {"hello": "Hello {name}"}})

    assert texts.get("en", "hello", name="{name.__class__} %s") == "Hello {name.__class__} %s"


def test_a_language_without_texts_is_answered_in_english():
    assert Texts({"en": {"hello": "Hello"}, "ru": {"hello": "Привет"}}).get("kk", "hello") == "Hello"


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [
        (None, None, "en"),
        (None, "ru-RU,ru;q=0.9,en;q=0.8", "ru"),
        (None, "de-DE,de;q=0.9,ru;q=0.5,en;q=0.3", "ru"),
        (None, "en;q=0.3, ru;q=0.5", "ru"),
        (None, "en ; q=0.3,ru ; q=0.5", "ru"),
        (None, "RU", "ru"),
        (None, "ru;q=0", "en"),
        (None, "ru;q=0,en;q=0.1", "en"),
        (None, "kk,de", "en"),
        ("ru", "en", "ru"),
        ("xx", "ru", "ru"),
        ("", "ru", "ru"),
        ("../../etc/passwd", None, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_or_the_browsers_best(wanted, accepted, language):
    assert choose_language(wanted, accepted) == language


@pytest.mark.parametrize(
    "accepted",
    [
        *(
            "ru;q=nan",
            "ru;q=inf",
            "ru;q=9",
            "ru;q=-1",
            "ru;q=",
            "ru;q=1_0",
            "ru;q=x",
            "\x00",
            ";;;,,,",
            "q=1",
        ),
        *("", "x," * 100_000 + "ru", "\ud800", "ru" * 100),
    ],
)
def test_a_hostile_header_chooses_the_default(accepted):
    assert choose_language(None, accepted) == "en"


def test_a_form_answers_in_its_own_languages_and_default():
    assert choose_language(None, "en", ["ru", "kk"], default="ru") == "ru"
    assert choose_language(None, "kk-KZ", ["ru", "kk"], default="ru") == "kk"
