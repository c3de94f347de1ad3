// A phone's browser: the real pages in a frame, which believe that this phone asks.

import { element } from "../preview/dom.js";

// In demo mode the pages take ?as= for the browser's name.
const DEVICES = { iphone: "iPhone Safari/", android: "Android Chrome/" };

export class Safari {
  /** `phone` is told: add(url) for a tap on a .pkpass or save link, typedNumber(text) for a form that is sent. */
  constructor(screen, phone) {
    this.start = screen.querySelector(".start");
    this.place = screen.querySelector(".frame");
    this.shownAddress = screen.querySelector(".url");
    this.phone = phone;
    screen.querySelector(".home").addEventListener("click", () => this.goHome());
    for (const bookmark of screen.querySelectorAll("[data-visit]")) {
      bookmark.addEventListener("click", () => this.visit(bookmark.dataset.visit));
    }
  }

  goHome() {
    this.place.hidden = true;
    this.start.hidden = false;
    this.place.replaceChildren();
    this.shownAddress.textContent = "";
  }

  visit(address) {
    const url = new URL(address, location.href);
    if (url.pathname.startsWith("/p/")) url.searchParams.set("as", DEVICES[this.phone.kind]);
    const frame = element("iframe");
    frame.title = url.pathname;
    frame.addEventListener("load", () => this.#arrived(frame));
    frame.src = url.href;
    this.place.replaceChildren(frame);
    this.place.hidden = false;
    this.start.hidden = true;
  }

  #arrived(frame) {
    const page = frame.contentDocument;
    // A tap before we listen would leave the phone: the style sheet lets taps through to ready pages only.
    frame.contentWindow.addEventListener("pagehide", () => frame.classList.remove("ready"));
    frame.classList.add("ready");
    frame.title = page.title || "…";
    this.shownAddress.textContent = `${page.location.host}${page.location.pathname}`;
    page.addEventListener("click", (event) => this.#tapped(event));
    page.addEventListener("submit", (event) => {
      const number = event.target.elements.namedItem("phone");
      if (number) this.phone.typedNumber(number.value);
    });
  }

  #tapped(event) {
    const link = event.target.closest("a[href]");
    if (!link) return;
    const url = new URL(link.href);
    if (url.pathname.endsWith(".pkpass") || url.pathname.startsWith("/gp/v/save/")) {
      event.preventDefault();
      this.phone.add(url.href);
    } else if (url.pathname.startsWith("/p/")) {
      event.preventDefault();
      this.visit(url.href);
    }
  }
}
