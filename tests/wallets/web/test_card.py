"""What the web card says of a change."""

from app.wallets.web.card import news, shown_values, web_card
from tests.wallets.google.conftest import SHIPPED


def test_news_are_the_words_of_the_first_field_that_changed():
    coffee = SHIPPED["coffee"]
    content = coffee.samples["ru"]
    card = web_card(coffee, content)
    before = shown_values(card)

    assert news(card, before) == ""
    assert news(card, before | {"balance": "5"}) == "На вашем счёте баллов: 1\N{NO-BREAK SPACE}240"
    assert news(card, before | {"news": ""}) == "До воскресенья двойные баллы за каждый капучино"
    assert news(card, {}).startswith("Ваш уровень теперь Золотой")
