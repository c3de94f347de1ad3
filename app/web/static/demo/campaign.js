// The marketer: writes a campaign, reads its plan, agrees to exactly that, and sees it run. All by the REST API.

import { element } from "../preview/dom.js";
import { call } from "./requests.js";
import { numbers, say, setup } from "./words.js";

const POLL_MS = 250;
const WORKING = ["planning", "approved", "running"];

export class Campaign {
  #plan = null;

  /** Of the members of this programme, until `choose` names another. */
  constructor(program) {
    this.program = program;
    this.form = document.getElementById("campaign");
    this.planned = document.getElementById("campaign-plan");
    this.facts = document.getElementById("campaign-facts");
    this.warnings = document.getElementById("campaign-warnings");
    this.result = document.getElementById("campaign-result");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#guarded(this.form, () => this.#draft());
    });
    document.getElementById("campaign-approve").addEventListener("click", () => {
      this.#guarded(this.planned, () => this.#approve());
    });
  }

  /** The programme whose members are told. Another one's plan is put away. */
  choose(program) {
    if (program === this.program) return;
    this.program = program;
    this.#forget();
  }

  #forget() {
    this.#plan = null;
    this.planned.hidden = true;
    this.result.textContent = "";
  }

  async #guarded(part, work) {
    const buttons = part.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    try {
      await work();
    } catch (error) {
      this.result.textContent = say("failed", { reason: error.message });
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }

  async #draft() {
    this.#forget();
    const text = document.getElementById("campaign-text").value.trim();
    const points = Number(document.getElementById("campaign-points").value || 0);
    // One text for both languages of the demo's members: a real campaign has one for each.
    const definition = { condition: { all: [] }, texts: { en: text, ru: text }, ...(points ? { points } : {}) };
    const made = await this.#ask("POST", "/campaigns", { name: text.slice(0, 60), definition });
    await this.#ask("POST", `/campaigns/${made.id}/plan`);
    const campaign = await this.#settled(made.id);
    if (campaign.state !== "planned") throw new Error(campaign.reason);
    this.#plan = await this.#ask("GET", `/campaigns/${made.id}/plan`);
    this.facts.replaceChildren(...facts(this.#plan.totals).map(([name, value]) => fact(name, value)));
    this.warnings.replaceChildren(...this.#plan.totals.warnings.map((each) => element("li", "", warned(each))));
    this.result.textContent = "";
    this.planned.hidden = false;
  }

  async #approve() {
    const { campaign_id: id, hash } = this.#plan;
    await this.#ask("POST", `/campaigns/${id}/approve`, { plan_hash: hash });
    this.planned.hidden = true;
    const campaign = await this.#settled(id);
    const told = { done: numbers.format(campaign.done), skipped: numbers.format(campaign.skipped) };
    this.result.textContent = campaign.state === "done" ? say("campaign_done", told) : campaign.reason;
  }

  async #settled(id) {
    for (;;) {
      const campaign = await this.#ask("GET", `/campaigns/${id}`);
      if (!WORKING.includes(campaign.state)) return campaign;
      this.result.textContent = say(`campaign_${campaign.state}`, { done: numbers.format(campaign.done) });
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #ask(method, path, body) {
    const key = method === "POST" ? crypto.randomUUID() : undefined;
    const answer = await call(this.program, method, path, { body, key });
    if (answer.status >= 300) throw new Error(answer.body.errors?.[0]?.detail ?? answer.body.detail);
    return answer.body;
  }
}

/** What a marketer reads before agreeing: whom it reaches, how loud, and what it owes. */
function facts(totals) {
  const rings = Object.values(totals.notifications).reduce((sum, each) => sum + each.rings, 0);
  const quiet = Object.values(totals.notifications).reduce((sum, each) => sum + each.silent + each.deferred, 0);
  return [
    ["campaign_reaches", totals.planned],
    ["campaign_rings", rings],
    ["campaign_quiet", quiet],
    ["campaign_without", totals.by_wallet.none ?? 0],
    ["campaign_owes", totals.points],
  ];
}

/** A warning in the page's language, where it is one that this form can cause. */
function warned({ code, text }) {
  const name = `campaign_${code.replaceAll("-", "_")}`;
  return name in setup.words ? say(name) : text;
}

function fact(name, value) {
  return element("div", "", element("dt", "", say(name)), element("dd", "", numbers.format(value)));
}
