"""One member with an iPhone and an Android phone: a purchase changes both, and the fourth ring is silent."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, OpenPage
from tests.browser.desk import DeskPhone, desk

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize("viewport", [DESKTOP], ids=["desktop"])
def test_a_purchase_changes_both_phones_and_the_fourth_of_a_day_is_silent_on_android(
    open_page: OpenPage, number
):
    page = open_page("/demo?lang=en")
    iphone, _, till = desk(page)
    android = DeskPhone(page, "three")
    iphone.join("coffee", "Anna Both", number)
    expect(iphone.banner).to_be_visible()
    iphone.add_from_newest_text()
    expect(iphone.points("Anna Both")).to_have_text("50")
    iphone.forward_newest_text(android)
    balance = android.card("Anna Both").locator(".g-shown").first
    expect(balance).to_have_text("50")
    till.scan("Anna Both")
    expect(page.locator("#trace")).to_contain_text("Installed on a phone")
    expect(page.locator("#trace")).to_contain_text("wallet google")

    rings = (iphone.rings(), android.rings())  # the phones are those of the tests before, too
    for total in (100, 150, 200, 250):
        till.buy("1000")
        expect(balance).to_have_text(str(total))
        expect(iphone.points("Anna Both")).to_have_text(str(total))

    newest = page.locator("#trace .kind-google_updated").first
    expect(newest).to_contain_text(re.compile("v5.*notify silent.*why day_full"))
    expect(iphone.root).to_have_attribute("data-rings", str(rings[0] + 4))
    expect(android.root).to_have_attribute("data-rings", str(rings[1] + 3))
