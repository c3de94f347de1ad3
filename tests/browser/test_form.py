"""The enrolment form on a phone and on a desktop, in both languages: what it refuses and how it says so."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

REQUIRED = {"en": "Please fill this in.", "ru": "Пожалуйста, заполните."}


def fill(page: Page, *, phone: str) -> None:
    page.locator("#name").fill("Anna")
    page.locator("#phone").fill(phone)
    page.locator("#consent_personal_data").check()
    page.locator("button[type=submit]").click()


@pytest.mark.parametrize("language", ["en", "ru"])
def test_an_empty_form_names_every_field_and_puts_the_cursor_into_the_first(open_page: OpenPage, language):
    page = open_page(f"/join/coffee?lang={language}")

    page.locator("button[type=submit]").click()

    for field in ("name", "phone", "consent_personal_data"):
        expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#name")).to_be_focused()
    expect(page.locator("#name-mistake")).to_have_text(words(page, "required"))
    expect(page.locator("#consent_personal_data-mistake")).to_have_text(words(page, "consent"))


def words(page: Page, key: str) -> str:
    """What the server gave the page to say, in the page's language."""
    said = page.locator("#join").get_attribute(f"data-{key}")
    assert said
    return said


@pytest.mark.parametrize(
    ("language", "phone", "said"),
    [
        ("en", "12345", "not a whole phone number"),
        ("ru", "12345", "Номер не полный"),
        ("en", "+44 7400 123456", "of this country"),
        ("ru", "+44 7400 123456", "страны"),
    ],
)
def test_a_wrong_or_foreign_number_is_refused_beside_its_field(open_page: OpenPage, language, phone, said):
    page = open_page(f"/join/coffee?lang={language}")

    fill(page, phone=phone)

    expect(page.locator("#phone-mistake")).to_contain_text(said)
    expect(page.locator("#phone")).to_have_value(phone)
    expect(page.locator("#name")).to_have_value("Anna")
    expect(page.get_by_role("alert")).to_be_visible()


def test_a_known_number_gets_the_same_answer_as_a_new_one(open_page: OpenPage, number):
    answers = []
    for _ in range(2):
        page = open_page("/join/coffee?lang=en")
        fill(page, phone=number)
        page.wait_for_url("**/join/coffee/done?lang=en")
        answers.append(page.locator("main").inner_html())

    assert answers[0] == answers[1]
