// The desk: connects the phones, the till, the CRM and the evidence to the server's events.

import { Campaign } from "./campaign.js";
import { Crm } from "./crm.js";
import { Phone } from "./phone.js";
import { tap } from "./requests.js";
import { Till } from "./till.js";
import { Trace } from "./trace.js";

// What phones ask is written down up to a quarter of a second late: so look twice.
const LOOKS_MS = [40, 450];

const phones = { one: new Phone("one"), two: new Phone("two"), three: new Phone("three") };
const trace = new Trace();
let program = "coffee";
const campaign = new Campaign(program);
const crm = new Crm((id) => till.choose(id));
const till = new Till((member) => {
  crm.choose(member);
  trace.update(program, member);
});
let timers = [];

async function look() {
  const wanted = program;
  const [overview, portal] = await Promise.all([tap("GET", `/crm/${wanted}`), tap("GET", `/portal/${wanted}`)]);
  if (wanted !== program) return;
  till.update(program, overview.members);
  campaign.choose(program);
  crm.update(program, overview, portal);
  await trace.update(program, till.member);
}

function lookSoon() {
  for (const timer of timers) clearTimeout(timer);
  timers = LOOKS_MS.map((milliseconds) => setTimeout(look, milliseconds));
}

for (const button of document.querySelectorAll("[data-program]")) {
  button.addEventListener("click", () => {
    program = button.dataset.program;
    for (const each of document.querySelectorAll("[data-program]")) {
      each.setAttribute("aria-pressed", String(each === button));
    }
    look();
  });
}

const events = new EventSource("/demo/events");
events.addEventListener("phone", (event) => {
  const state = JSON.parse(event.data);
  phones[state.name].update(state);
});
events.addEventListener("changed", lookSoon);
events.addEventListener("open", look);
