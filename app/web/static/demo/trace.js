// Under the hood: the evidence of one pass, and how long the last change took to reach the phone.

import { element } from "../preview/dom.js";
import { call } from "./requests.js";
import { say, setup } from "./words.js";

const STEPS = ["changed", "push_accepted", "asked", "fetched"];
const SHOWN = 40;

export class Trace {
  #asked = 0;

  constructor() {
    this.list = document.getElementById("trace");
    this.waterfall = document.getElementById("waterfall");
    this.whose = document.getElementById("hood-whose");
    this.#drawNothing();
  }

  /** Ask for the story of a member's pass and draw it; an answer that was overtaken is dropped. */
  async update(program, member) {
    const asked = (this.#asked += 1);
    if (!member) {
      this.#drawNothing();
      return;
    }
    const { status, body } = await call(program, "GET", `/passes/${member.pass}/trace`);
    if (asked !== this.#asked || status !== 200) return;
    this.whose.textContent = member.name;
    this.#drawWaterfall(body.events);
    const newest = body.events.slice(-SHOWN).reverse();
    this.list.replaceChildren(...newest.map(lineOf));
  }

  #drawNothing() {
    this.whose.textContent = "";
    this.waterfall.replaceChildren(element("p", "empty", say("no_pass")));
    this.list.replaceChildren();
  }

  #drawWaterfall(events) {
    const steps = lastJourney(events);
    if (!steps) {
      this.waterfall.replaceChildren(element("p", "empty", say("nothing_pushed")));
      return;
    }
    const total = Math.max(1, ...steps.map((step) => step.milliseconds));
    const bars = steps.map((step) => {
      const bar = element("i");
      bar.style.setProperty("--from", `${(100 * step.milliseconds) / total}%`);
      const words = `${say(`step_${step.kind}`)}`;
      return element("li", `step-${step.kind}`, element("b", "", words), element("span", "rail", bar), element("span", "ms", `${step.milliseconds} ms`));
    });
    const title = element("p", "journey", say("version", { version: steps[0].version }));
    this.waterfall.replaceChildren(title, element("ol", "", ...bars));
  }
}

/** The newest change and when it was pushed, asked for and fetched, in milliseconds after the request. */
function lastJourney(events) {
  const start = events.findLastIndex((event) => event.kind === "changed");
  if (start < 0) return null;
  const begun = new Date(events[start].at).getTime();
  const found = STEPS.map((kind) => {
    const event = events.slice(start).find((each) => each.kind === kind);
    return event && { kind, version: events[start].version, milliseconds: Math.max(0, new Date(event.at).getTime() - begun) };
  });
  // The phone may ask before Apple's answer to our push is back.
  return found.filter(Boolean).sort((one, other) => one.milliseconds - other.milliseconds);
}

function lineOf(event) {
  const time = new Date(event.at);
  const clock = `${time.toLocaleTimeString(setup.language, { hour12: false })}.${String(time.getMilliseconds()).padStart(3, "0")}`;
  const details = Object.entries(event.details ?? {}).map(([name, value]) => `${name} ${value}`);
  if (event.version) details.unshift(`v${event.version}`);
  return element(
    "li",
    `kind-${event.kind}`,
    element("time", "", clock),
    element("b", "", setup.words[`trace_${event.kind}`] ?? event.kind),
    element("small", "", details.join(" · ")),
  );
}
