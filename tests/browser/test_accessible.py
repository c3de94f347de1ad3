"""axe-core finds nothing to mend on the pages people see."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.desk import Demo, desk

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page, *, without: list[str] | None = None) -> list[str]:
    """What axe finds, one line each: the rule and the nodes."""
    page.add_script_tag(path=AXE)
    context: dict[str, Any] = {"exclude": without or []}
    found = page.evaluate(
        "([context, rules]) => axe.run(context, {runOnly: rules, iframes: false})", [context, RULES]
    )
    return [f"{each['id']}: {[node['target'] for node in each['nodes']]}" for each in found["violations"]]


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("form", ["coffee", "school"])
def test_the_form_with_its_mistakes_shown_is_accessible(open_page: OpenPage, form, language):
    page = open_page(f"/join/{form}?lang={language}", bypass_csp=True)
    page.locator("button[type=submit]").click()
    expect(page.locator("#name-mistake")).to_be_visible()

    assert violations(page) == []


def test_the_pass_page_is_accessible(open_page: OpenPage, demo: Demo, number):
    page = open_page(demo.member("Axe Member", number)["link"], bypass_csp=True)
    expect(page.locator("pass-preview .card")).to_be_visible()

    # The colours inside the card are the brand's own.
    assert violations(page, without=["pass-preview"]) == []


def test_the_web_card_is_accessible(open_page: OpenPage, demo: Demo, number):
    page = open_page(f"{demo.member('Axe Holder', number)['link']}/card", bypass_csp=True)
    expect(page.get_by_text("Axe Holder")).to_be_visible()

    assert violations(page) == []


def test_the_desk_is_accessible(open_page: OpenPage):
    page = open_page("/demo?lang=en", bypass_csp=True)
    desk(page)
    expect(page.locator("#members tr").first).to_be_visible()

    assert violations(page) == []


def test_the_tab_in_a_deal_is_accessible(open_page: OpenPage):
    page = open_page("/demo?lang=en", bypass_csp=True)
    desk(page)
    page.locator("#deal").click()
    deal = page.locator("#deals li").first

    with page.context.expect_page() as opened:
        deal.locator("[data-act=tab]").click()
    expect(opened.value.locator("#balance")).to_be_visible()

    assert violations(opened.value) == []
