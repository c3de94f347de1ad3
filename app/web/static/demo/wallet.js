// The Wallet of a phone: a stack of cards, the chosen one whole, and the details behind its "⋯".

import { element } from "../preview/dom.js";
import { say, setup } from "./words.js";

const PULL_PIXELS = 70;

export class WalletScreen {
  #cards = new Map(); // by serial number, so that a changed card is redrawn and not replaced

  constructor(screen, phone) {
    this.stack = screen.querySelector(".stack");
    this.empty = screen.querySelector(".empty");
    this.details = screen.querySelector(".details");
    this.phone = phone;
    this.chosen = null;
    this.details.addEventListener("wallet-done", () => this.closeDetails());
    this.details.addEventListener("wallet-remove", () => this.#remove());
    this.details.addEventListener("wallet-updates", () => {
      this.phone.tap("POST", "/updates", { on: !this.state.updatesAutomatically });
    });
    this.#pullToRefresh();
  }

  draw(state) {
    this.state = state;
    const held = new Set(state.passes.map((each) => each.serial));
    for (const [serial, card] of this.#cards) {
      if (held.has(serial)) continue;
      card.remove();
      this.#cards.delete(serial);
    }
    for (const each of state.passes) {
      if (!this.#cards.has(each.serial)) this.chosen = each.serial;
      this.#card(each).querySelector("pass-preview").data = each;
    }
    if (!held.has(this.chosen)) this.chosen = state.passes.at(-1)?.serial ?? null;
    this.empty.hidden = held.size > 0;
    this.#arrange();
    if (!this.details.hidden) this.#drawDetails();
  }

  /** Bring a card to the front. */
  choose(serial) {
    this.chosen = serial;
    this.#arrange();
  }

  closeDetails() {
    this.details.hidden = true;
    this.stack.hidden = false;
  }

  #card(each) {
    const known = this.#cards.get(each.serial);
    if (known) return known;
    const front = element("pass-preview");
    front.setAttribute("lang", setup.language);
    const name = each.pass?.organizationName ?? each.ofClass.issuerName;
    const show = element("button", "choose", element("span", "visually-hidden", say("show_card", { name })));
    show.type = "button";
    show.addEventListener("click", () => this.choose(each.serial));
    const more = element("button", "more", element("span", "visually-hidden", say("details", { name })), "⋯");
    more.type = "button";
    more.addEventListener("click", () => this.#openDetails());
    const card = element("div", "card", front, show, more);
    card.dataset.serial = each.serial;
    this.#cards.set(each.serial, card);
    this.stack.append(card);
    return card;
  }

  #arrange() {
    const others = [...this.#cards.values()].filter((card) => card.dataset.serial !== this.chosen);
    const chosen = this.#cards.get(this.chosen);
    for (const card of others) card.classList.remove("chosen");
    chosen?.classList.add("chosen");
    const wanted = chosen ? [...others, chosen] : others;
    wanted.forEach((card, index) => {
      if (this.stack.children[index] !== card) this.stack.append(card);
    });
  }

  #openDetails() {
    this.details.hidden = false;
    this.stack.hidden = true;
    this.#drawDetails();
    this.details.scrollTop = 0;
    this.details.querySelector(".refresh")?.focus();
  }

  #drawDetails() {
    const each = this.state.passes.find((pass) => pass.serial === this.chosen);
    if (!each) {
      this.closeDetails();
      return;
    }
    let back = this.details.querySelector("pass-preview");
    if (!back) {
      back = element("pass-preview");
      back.setAttribute("side", "back");
      back.setAttribute("lang", setup.language);
      back.setAttribute("interactive", "");
      this.details.replaceChildren(...(this.phone.kind === "android" ? [] : [this.#refreshButton()]), back);
    }
    back.data = { ...each, automaticUpdates: this.state.updatesAutomatically };
  }

  #refreshButton() {
    const refresh = element("button", "refresh", `↻ ${say("refresh")}`);
    refresh.type = "button";
    refresh.addEventListener("click", () => this.phone.tap("POST", "/refresh"));
    return refresh;
  }

  async #remove() {
    const place = this.phone.kind === "android" ? "cards" : "passes";
    await this.phone.tap("DELETE", `/${place}/${this.chosen}`);
    this.closeDetails();
  }

  #pullToRefresh() {
    if (this.phone.kind === "android") return; // Google tells its phones by itself
    let from = null;
    this.details.addEventListener("pointerdown", (event) => {
      from = this.details.scrollTop === 0 ? event.clientY : null;
    });
    this.details.addEventListener("pointerup", (event) => {
      if (from !== null && event.clientY - from > PULL_PIXELS) this.phone.tap("POST", "/refresh");
      from = null;
    });
  }
}
