// The till: scans a card and moves points with real calls of the REST API.

import { element } from "../preview/dom.js";
import { call } from "./requests.js";
import { numbers, say } from "./words.js";

export class Till {
  #lastEntry = null;

  /** `onChoose(member)` is called when another card is scanned. */
  constructor(onChoose) {
    this.select = document.getElementById("card");
    this.result = document.getElementById("till-result");
    this.balance = document.getElementById("balance");
    this.tier = document.getElementById("tier");
    this.onChoose = onChoose;
    this.members = [];
    this.member = null;
    this.select.addEventListener("change", () => this.choose(this.select.value));
    for (const form of document.querySelectorAll("[data-act]")) {
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.#act(form.dataset.act);
      });
    }
  }

  /** The members that can be scanned, newest first. */
  update(program, members) {
    const isNew = members.length && members[0].id !== this.members[0]?.id;
    this.program = program;
    this.members = members;
    const names = members.map((each) => {
      const option = element("option", "", `${each.name} · ${each.card}`);
      option.value = each.id;
      return option;
    });
    this.select.replaceChildren(...(names.length ? names : [element("option", "", say("nobody"))]));
    this.select.disabled = members.length === 0;
    for (const button of document.querySelectorAll(".till form button")) button.disabled = members.length === 0;
    const known = members.some((each) => each.id === this.member?.id);
    this.choose(known && !isNew ? this.member.id : members[0]?.id);
  }

  choose(id) {
    const before = this.member?.id;
    this.member = this.members.find((each) => each.id === id) ?? null;
    if (this.member) this.select.value = id;
    this.#lastEntry = this.member?.lastEntry ?? null;
    document.getElementById("undo").disabled = this.#lastEntry === null;
    this.balance.textContent = this.member ? numbers.format(this.member.balance) : "—";
    this.tier.textContent = this.member?.tier ?? "";
    if (before !== this.member?.id) this.onChoose(this.member);
  }

  async #act(act) {
    if (!this.member) return;
    const body = this.#body(act);
    const path = `/accounts/${this.member.account}/transactions`;
    const answer = await call(this.program, "POST", path, { body, key: crypto.randomUUID() });
    this.result.textContent = told(answer);
  }

  #body(act) {
    const value = (id) => document.getElementById(id).value.trim().replace(",", ".");
    const common = { kind: act, source: "till", member_id: this.member.id };
    if (act === "earn") return { ...common, amount: Number(value("amount")).toFixed(2) };
    if (act === "redeem") return { ...common, points: Number(value("points")) };
    if (act === "adjust") return { ...common, points: Number(value("correction")) };
    return { kind: act, source: "till", reverses: this.#lastEntry };
  }
}

/** What an answer of the REST API means, in words. */
export function told({ status, body }) {
  if (status >= 300) return say("failed", { reason: body.detail ?? body.title });
  const balance = numbers.format(body.balance);
  if (body.repeated) return say("same_again", { balance });
  if (body.entry === null) return say("too_small");
  const { points } = body.entry;
  return say("moved", { points: `${points > 0 ? "+" : "−"}${numbers.format(Math.abs(points))}`, balance });
}
