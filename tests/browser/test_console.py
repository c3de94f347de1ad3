"""The console in a real browser: its main stories at both widths, by keyboard, in both languages."""

import re

import pytest
from playwright.sync_api import Page, expect

from app.web.console.pages import MENU
from tests.browser.conftest import DESKTOP, OpenPage
from tests.browser.desk import Demo
from tests.browser.test_accessible import violations

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAGES = (*(url for url, _, _ in MENU), "/console/account")


def fits(page: Page) -> bool:
    """Whether nothing makes the page scroll sideways."""
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("language", ["en", "ru"])
def test_every_page_is_accessible_and_fits(open_page: OpenPage, language):
    page = open_page("/demo/console/owner", bypass_csp=True)
    for path in PAGES:
        page.goto(f"{path}?lang={language}")
        expect(page.locator("h1")).to_be_visible()
        assert (path, violations(page), fits(page)) == (path, [], True)

    page.goto(f"/console/members?lang={language}")
    page.locator("tbody a").first.click()
    expect(page.locator(".figures")).to_be_visible()
    assert (violations(page), fits(page)) == ([], True)


def test_the_sign_in_and_its_mistakes_are_accessible(open_page: OpenPage):
    page = open_page("/console?lang=en", bypass_csp=True)
    expect(page).to_have_url(re.compile(r"/console/sign-in\?next=/console"))
    assert violations(page) == []

    page.get_by_label("E-mail").fill("nobody@example.com")
    page.get_by_label("Password").fill("wrong horse battery")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_have_text("E-mail, password or code are not right.")
    assert (violations(page), fits(page)) == ([], True)


def test_the_hotline_finds_a_member_and_what_every_receipt_gave(open_page: OpenPage, demo: Demo, number):
    member = demo.member("Hotline Caller", number)
    page = open_page("/demo/console/hotline")
    page.goto("/console/members?lang=en")
    expect(page.get_by_role("navigation", name="Console").get_by_role("link")).to_have_text(["Members"])

    page.get_by_role("searchbox").fill(number)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Hotline Caller").click()

    expect(page.get_by_role("heading", name="Hotline Caller")).to_be_visible()
    expect(page.get_by_text(member["card_number"])).to_be_visible()
    expect(page.locator(".story")).to_contain_text("Issued")


@pytest.mark.parametrize("viewport", [DESKTOP], ids=["desktop"])
def test_an_owner_lets_somebody_in_by_keyboard_alone(open_page: OpenPage, number):
    page = open_page("/demo/console/owner")
    page.goto("/console/users?lang=en")
    email = f"user{re.sub('[^0-9]', '', number)}@example.com"

    page.locator("#email").focus()
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type("Keyboard User")
    page.keyboard.press("Tab")
    page.keyboard.type("Hot")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    link = page.locator(".notice code")
    expect(link).to_contain_text("/console/link/")
    row = page.get_by_role("row").filter(has_text=email)
    expect(row.get_by_label("Role of Keyboard User")).to_have_value("hotline")

    other = open_page(f"/console/link/{(link.text_content() or '').rpartition('/')[2]}?lang=en")
    other.keyboard.type("a new long password")
    other.keyboard.press("Enter")
    other.get_by_label("E-mail").fill(email)
    other.get_by_label("Password").fill("a new long password")
    other.keyboard.press("Enter")
    expect(other.get_by_role("heading", name="Members")).to_be_visible()


def test_a_figure_tells_what_it_is_and_the_programme_can_be_changed(open_page: OpenPage):
    page = open_page("/demo/console/owner")
    page.goto("/console?lang=en")

    page.get_by_label("What is this: Points owed?").click()
    expect(page.get_by_text("the sum of all balances now")).to_be_visible()

    page.get_by_label("Programme").select_option(index=1)
    page.get_by_role("button", name="Show").click()
    first = page.get_by_label("Programme").locator("option:checked").text_content()
    expect(page.get_by_role("heading", level=1)).to_have_text(first or "")


def test_a_manager_books_points_and_takes_them_back(open_page: OpenPage, demo: Demo, number):
    member = demo.member("Given Points", number)
    page = open_page("/demo/console/manager", bypass_csp=True)
    page.goto(f"/console/members/{member['id']}?lang=en")

    page.get_by_label("Points", exact=True).fill("250")
    page.get_by_label("Reason", exact=True).first.fill("Sorry for the wait")
    page.get_by_role("button", name="Book").click()
    row = page.get_by_role("row").filter(has_text="Sorry for the wait")
    expect(row).to_contain_text("+250")
    assert (violations(page), fits(page)) == ([], True)

    row.get_by_text("Reverse").first.click()
    row.get_by_label("Reason").fill("Wrong member")
    row.get_by_role("button", name="Reverse").click()
    expect(page.get_by_role("row").filter(has_text="Wrong member")).to_contain_text("-250")

    page.get_by_label("Book").select_option("redeem")
    page.get_by_label("Points", exact=True).fill("1")
    page.get_by_label("Reason", exact=True).first.fill("Too much")
    page.get_by_role("button", name="Book").click()
    expect(page.get_by_role("alert")).to_have_text("There are not so many points on the account.")


def test_a_marketer_sends_a_campaign_and_sees_what_came_of_it(open_page: OpenPage, number):
    page = open_page("/demo/console/marketer", bypass_csp=True)
    page.goto("/console/campaigns?lang=en")
    page.get_by_role("link", name="New campaign").click()
    name = f"Sunday {re.sub('[^0-9]', '', number)}"
    page.get_by_label("Name, for you").fill(name)
    page.get_by_label("Message").first.fill(f"Double points on Sunday {number}")
    page.get_by_label("Points for each").fill("5")  # so that those without a phone get something too
    assert (violations(page), fits(page)) == ([], True)
    page.get_by_role("button", name="Plan it").click()

    expect(page.locator(".lead")).to_contain_text("Reaches")
    assert (violations(page), fits(page)) == ([], True)
    page.get_by_role("button", name="Approve and send").click()

    expect(page.locator("h1 .badge")).to_have_text("done")
    expect(page.locator(".funnel tr").first).to_contain_text("Planned")
    assert (violations(page), fits(page)) == ([], True)
    page.goto("/console/campaigns?lang=ru")
    expect(page.get_by_role("row").filter(has_text=name)).to_contain_text("выполнена")
