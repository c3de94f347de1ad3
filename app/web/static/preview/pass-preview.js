// <pass-preview>: draws what a phone would get, as Apple Wallet or Google Wallet shows it (approximately).
//
//   element.data = {platform: "apple", pass, images: {logo: url, ...}, barcode: "<svg ...>"}
//     and optionally strings {key: text}, message and when (lock screen), automaticUpdates, notifications (back)
//   element.data = {platform: "google", kind, ofClass, ofObject, images: {programLogo: url, ...}, barcode, messages}
//   side="front" | "back" | "lock", lang="ru", interactive: the back's buttons work and raise events
//
// No dependencies; no inline styles in markup, so the strictest Content-Security-Policy lets it draw.

import { BACK, back } from "./back.js";
import { element } from "./dom.js";
import { fitTexts } from "./fit.js";
import { front } from "./front.js";
import { FRONT } from "./front_styles.js";
import { GOOGLE, googleBack, googleFront } from "./google.js";
import { LOCK, lock } from "./lock.js";

const SIDES = { apple: { front, back, lock }, google: { front: googleFront, back: googleBack } };

class PassPreview extends HTMLElement {
  static observedAttributes = ["side", "lang", "interactive"];

  #data = null;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [FRONT, BACK, LOCK, GOOGLE];
    new ResizeObserver(() => this.#fit()).observe(this);
    document.fonts.addEventListener("loadingdone", () => this.#fit());
  }

  connectedCallback() {
    // Set before the element was defined, the data lie on the object itself and hide the accessor.
    if (Object.hasOwn(this, "data")) {
      const { data } = this;
      delete this.data;
      this.data = data;
    }
  }

  attributeChangedCallback() {
    if (this.#data) this.#draw();
  }

  get data() {
    return this.#data;
  }

  set data(data) {
    this.#data = data;
    this.#draw();
  }

  #draw() {
    const { platform = "apple", strings = {}, images = {}, pass, barcode } = this.#data;
    const sides = SIDES[platform];
    const drawSide = sides[this.getAttribute("side")] ?? sides.front;
    const drawn = drawSide({
      ...this.#data,
      pass,
      images,
      barcode,
      message: this.#data.message ?? "",
      when: this.#data.when ?? "",
      automaticUpdates: this.#data.automaticUpdates ?? true,
      notifications: this.#data.notifications ?? true,
      language: this.getAttribute("lang") || document.documentElement.lang || "en",
      interactive: this.hasAttribute("interactive"),
      text: (key) => strings[key] ?? key,
      tell: (event) => this.dispatchEvent(new CustomEvent(event, { bubbles: true })),
    });
    this.shadowRoot.replaceChildren(element("div", platform, drawn));
    this.#fit();
  }

  #fit() {
    if (!this.clientWidth || !this.#data) return;
    this.classList.add("measuring"); // an ellipsis would be measured instead of the text
    try {
      fitTexts(this.shadowRoot, this.clientWidth / 375);
    } finally {
      this.classList.remove("measuring");
    }
  }
}

customElements.define("pass-preview", PassPreview);
