// The CRM: members, what the manager is told, and a deal whose event may be sent twice.

import { element } from "../preview/dom.js";
import { call } from "./requests.js";
import { told } from "./till.js";
import { numbers, say, setup } from "./words.js";

const DEAL = "12000.00";

export class Crm {
  #event = null;

  constructor(onChoose) {
    this.rows = document.getElementById("members");
    this.empty = document.getElementById("no-members");
    this.notices = document.getElementById("notices");
    this.again = document.getElementById("deal-again");
    this.result = document.getElementById("deal-result");
    this.won = document.getElementById("deal");
    this.onChoose = onChoose;
    this.member = null;
    this.won.addEventListener("click", () => this.#win());
    this.again.addEventListener("click", () => this.#send());
  }

  update(program, { members, notices }) {
    if (program !== this.program) this.#forget();
    this.program = program;
    this.rows.replaceChildren(...members.map((each) => this.#row(each)));
    this.empty.hidden = members.length > 0;
    const known = new Set([...this.notices.children].map((line) => line.dataset.id));
    const fresh = notices.filter((each) => !known.has(each.id)).map(line);
    this.notices.prepend(...fresh);
    this.mark();
  }

  /** The member whose row is marked, and whom a deal is won with. */
  choose(member) {
    if (member?.id !== this.member?.id) this.#forgetEvent();
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
    this.#forgetEvent();
  }

  #forgetEvent() {
    this.#event = null;
    this.again.disabled = true;
    this.result.textContent = "";
  }

  async #win() {
    this.#event = `deal:${Math.floor(Math.random() * 1e6)}:won`;
    await this.#send();
    this.again.disabled = false;
  }

  /** A new request each time, as a CRM repeats a webhook; the event's own id is what keeps it single. */
  async #send() {
    const body = { kind: "earn", amount: DEAL, source: "crm", source_event: this.#event, member_id: this.member.id };
    const path = `/accounts/${this.member.account}/transactions`;
    const answer = await call(this.program, "POST", path, { body, key: crypto.randomUUID() });
    this.result.textContent = told(answer);
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
