// The CRM: members, what the manager is told, and the deals of a simulated Bitrix24 portal.

import { element } from "../preview/dom.js";
import { tap } from "./requests.js";
import { numbers, say, setup } from "./words.js";

export class Crm {

  constructor(onChoose) {
    this.rows = document.getElementById("members");
    this.empty = document.getElementById("no-members");
    this.notices = document.getElementById("notices");
    this.deals = document.getElementById("deals");
    this.result = document.getElementById("deal-result");
    this.won = document.getElementById("deal");
    this.onChoose = onChoose;
    this.member = null;
    this.won.addEventListener("click", () => this.#do("POST", "/deals", { member: this.member.id }));
  }

  update(program, { members, notices }, { deals }) {
    if (program !== this.program) this.#forget();
    this.program = program;
    this.rows.replaceChildren(...members.map((each) => this.#row(each)));
    this.empty.hidden = members.length > 0;
    const known = new Set([...this.notices.children].map((line) => line.dataset.id));
    const fresh = notices.filter((each) => !known.has(each.id)).map(line);
    this.notices.prepend(...fresh);
    // A deal whose amount is being typed stays as it is.
    if (!this.deals.contains(document.activeElement)) this.deals.replaceChildren(...deals.map((each) => this.#deal(each)));
    this.mark();
  }

  /** The member whose row is marked, and whom a deal is won with. */
  choose(member) {
    this.member = member;
    this.mark();
  }

  mark() {
    for (const row of this.rows.children) {
      row.querySelector("button").setAttribute("aria-pressed", String(row.dataset.id === this.member?.id));
    }
    this.won.disabled = this.member === null;
  }

  #row(each) {
    const name = element("button", "name", each.name);
    name.type = "button";
    name.addEventListener("click", () => this.onChoose(each.id));
    const row = element(
      "tr",
      "",
      element("td", "", name, element("small", "", each.phone ?? "")),
      element("td", "number", numbers.format(each.balance)),
      element("td", "", each.tier),
      element("td", "number", String(each.devices)),
    );
    row.dataset.id = each.id;
    return row;
  }

  #forget() {
    this.notices.replaceChildren();
    this.deals.replaceChildren();
    this.result.textContent = "";
  }

  #deal(each) {
    const amount = element("input", "");
    amount.value = each.amount;
    amount.inputMode = "decimal";
    amount.setAttribute("aria-label", say("deal_amount", { id: each.id }));
    const path = `/deals/${each.id}`;
    const form = element(
      "form",
      "",
      element("span", `stage ${each.stage}`, say(each.stage === "WON" ? "stage_won" : "stage_lost")),
      element("span", "client", each.client),
      amount,
      this.#button("save", "", null),
      this.#button(each.stage === "WON" ? "lose" : "win", path, each.stage === "WON" ? "lost" : "won"),
      this.#button("again", path, "again"),
      this.#tab(path),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      amount.blur();
      this.#do("PATCH", path, { amount: amount.value });
    });
    const made = element("li", "", form);
    made.dataset.id = each.id;
    return made;
  }

  /** A button of a deal; without an outcome it sends the form. */
  #button(word, path, outcome) {
    const made = element("button", "quiet", say(`deal_${word}`));
    made.type = outcome ? "button" : "submit";
    made.dataset.act = word;
    if (outcome) {
      made.addEventListener("click", () => {
        made.blur();
        this.#do("POST", `${path}/${outcome}`);
      });
    }
    return made;
  }

  /** Opens our tab of the deal as the portal does: by a form that it posts. */
  #tab(path) {
    const made = element("button", "quiet", say("deal_tab"));
    made.type = "button";
    made.dataset.act = "tab";
    made.addEventListener("click", async () => {
      made.blur();
      const { address, fields } = await tap("GET", `/portal/${this.program}${path}/tab`);
      const form = element("form", "");
      Object.assign(form, { method: "post", action: address, target: "_blank", hidden: true });
      for (const [name, value] of Object.entries(fields)) {
        const field = element("input", "");
        Object.assign(field, { type: "hidden", name, value });
        form.append(field);
      }
      document.body.append(form);
      form.submit();
      form.remove();
    });
    return made;
  }

  async #do(method, path, body) {
    try {
      await tap(method, `/portal/${this.program}${path}`, body);
      this.result.textContent = "";
    } catch (error) {
      this.result.textContent = say("failed", { reason: error.message });
    }
  }
}

function line(notice) {
  const words =
    notice.kind === "member.enrolled"
      ? say("new_member", { name: notice.details.name })
      : say("limited", { limit: notice.details.limit ?? notice.kind });
  const time = new Date(notice.at).toLocaleTimeString(setup.language, { hour: "numeric", minute: "2-digit" });
  const made = element("li", "", element("span", "", words), element("small", "", time));
  made.dataset.id = notice.id;
  return made;
}
