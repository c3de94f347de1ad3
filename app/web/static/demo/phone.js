// One phone on the desk: draws what the simulated phone in the server shows, and passes taps on to it.

import { element, picture } from "../preview/dom.js";
import { tap } from "./requests.js";
import { Safari } from "./safari.js";
import { WalletScreen } from "./wallet.js";
import { say, setup } from "./words.js";

const BANNER_SECONDS = 7;

export class Phone {
  constructor(name) {
    this.name = name;
    this.root = document.getElementById(`phone-${name}`);
    this.kind = this.root.dataset.kind; // iphone | android
    this.state = null;
    this.unread = 0;
    this.safari = new Safari(this.#find("[data-screen=safari]"), this);
    this.wallet = new WalletScreen(this.#find("[data-screen=wallet]"), this);
    for (const button of this.root.querySelectorAll("[data-open]")) {
      button.addEventListener("click", () => this.open(button.dataset.open));
    }
    this.#tick();
    setInterval(() => this.#tick(), 10_000);
    this.open("safari");
  }

  open(app) {
    this.root.dataset.app = app;
    this.#find(".banners").replaceChildren();
    for (const screen of this.root.querySelectorAll("[data-screen]")) screen.hidden = screen.dataset.screen !== app;
    for (const button of this.root.querySelectorAll("[data-open]")) {
      button.toggleAttribute("aria-current", button.dataset.open === app);
    }
    if (app === "messages") this.#count(0);
    if (app === "wallet") this.wallet.closeDetails();
  }

  /** The whole state, as the server tells it; what is new since the last one rings. */
  update(state) {
    const before = this.state;
    this.state = state;
    this.root.parentNode.querySelector(".numbers").textContent = state.numbers.join(", ");
    this.#drawTexts(state.texts);
    this.#drawLock(state);
    this.wallet.draw(state);
    this.root.dataset.rings = String(state.notifications.length);
    if (before === null) return;
    for (const text of state.texts.slice(before.texts.length)) this.#ringText(text);
    for (const each of state.notifications.slice(before.notifications.length)) this.#ringPass(each);
    for (const line of state.complaints.slice(before.complaints.length)) this.#banner(null, "Wallet", line);
  }

  /** Tap on "Add to Apple Wallet", or to Google's. */
  async add(url) {
    try {
      await this.tap("POST", this.kind === "android" ? "/save" : "/add", { url });
    } catch (error) {
      this.#banner(null, "Wallet", say("refused", { reason: error.message }));
      return;
    }
    this.open("wallet");
  }

  typedNumber(number) {
    return this.tap("POST", "/number", { number });
  }

  tap(method, path, body) {
    return tap(method, `/phones/${this.name}${path}`, body);
  }

  #drawTexts(texts) {
    const list = this.#find(".texts");
    list.replaceChildren(...texts.map((text) => this.#bubble(text)));
    this.#find(".messages .empty").hidden = texts.length > 0;
    list.scrollTop = list.scrollHeight;
  }

  #bubble(text) {
    const words = element("p", "words");
    if (text.link) {
      const [before, after] = text.text.split(text.link);
      const link = element("button", "link", text.link);
      link.type = "button";
      link.addEventListener("click", () => this.#follow(text.link));
      words.append(before, link, after);
    } else {
      words.append(text.text);
    }
    const forwards = this.kind === "android" ? [] : [["forward", this.name === "one" ? "two" : "one"], ["forward-android", "three"]];
    const buttons = forwards.map(([words, to]) => {
      const forward = element("button", words, say(words.replace("-", "_")));
      forward.type = "button";
      forward.addEventListener("click", () => this.tap("POST", `/texts/${text.id}/forward?to=${to}`));
      return forward;
    });
    const time = new Date(text.at).toLocaleTimeString(setup.language, { hour: "numeric", minute: "2-digit" });
    const head = element("p", "from", `${text.sender || say("forwarded")} · ${time}`);
    return element("li", "bubble", head, words, ...(text.link && text.sender ? buttons : []));
  }

  #follow(link) {
    this.safari.visit(link);
    this.open("safari");
  }

  #drawLock(state) {
    const list = this.#find(".lock-list");
    const newest = [...state.notifications].reverse();
    list.replaceChildren(...newest.map((each) => element("li", "", this.#notification(each))));
  }

  #notification({ serial, title, text }) {
    const held = this.state.passes.find((each) => each.serial === serial);
    const box = element("button", "notification", picture(held?.images.icon ?? held?.images.programLogo));
    box.type = "button";
    box.append(element("span", "", element("b", "", title), element("span", "words", text)), element("small", "", say("now")));
    box.addEventListener("click", () => {
      this.wallet.choose(serial);
      this.open("wallet");
    });
    return box;
  }

  #ringText(text) {
    if (this.root.dataset.app !== "messages") this.#count(this.unread + 1);
    this.#banner(null, text.sender || say("forwarded"), text.text, () => this.open("messages"));
  }

  #ringPass(notification) {
    if (this.root.dataset.app === "lock") return; // it stands there already
    this.#show(this.#notification(notification));
  }

  #banner(icon, title, text, onTap = () => {}) {
    const box = element("button", "notification", icon, element("span", "", element("b", "", title), element("span", "words", text)));
    box.type = "button";
    box.addEventListener("click", onTap);
    this.#show(box);
  }

  #show(box) {
    const place = this.#find(".banners");
    const remove = () => box.remove();
    box.addEventListener("click", remove);
    place.replaceChildren(box);
    setTimeout(remove, BANNER_SECONDS * 1000);
  }

  #count(unread) {
    this.unread = unread;
    const badge = this.#find("[data-open=messages] .badge");
    badge.hidden = unread === 0;
    badge.textContent = String(unread);
  }

  #tick() {
    const now = new Date();
    const time = now.toLocaleTimeString(setup.language, { hour: "numeric", minute: "2-digit" }).replace(/\s?[AP]M/, "");
    this.#find(".clock").textContent = time;
    this.#find(".lock-time").textContent = time;
    this.#find(".lock-date").textContent = now.toLocaleDateString(setup.language, { weekday: "long", day: "numeric", month: "long" });
  }

  #find(selector) {
    return this.root.querySelector(selector);
  }
}
