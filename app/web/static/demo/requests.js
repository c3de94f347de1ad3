// Calls: to the desk's own routes, and to the REST API with the till's key, shown as they go over the wire.

import { element } from "../preview/dom.js";
import { setup } from "./words.js";

const SHOWN = 6;
const list = document.getElementById("requests");

/** A tap on a phone. Raises Error with the server's reason. */
export async function tap(method, path, body) {
  const answer = await fetch(`/demo${path}`, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  if (!answer.ok) throw new Error((await answer.json()).detail);
  return answer.status === 204 ? null : answer.json();
}

/** A request to the REST API of a programme: {status, body}. */
export async function call(program, method, path, { body, key } = {}) {
  const headers = { Authorization: `Bearer ${setup.keys[program]}` };
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const started = performance.now();
  const answer = await fetch(`/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  const result = { status: answer.status, body: await answer.json() };
  if (method !== "GET") show(method, path, answer.status, performance.now() - started, key);
  return result;
}

function show(method, path, status, milliseconds, key) {
  const line = element(
    "li",
    status < 300 ? "good" : "bad",
    element("code", "", `${method} /api/v1${path}`),
    element("span", "status-code", String(status)),
    element("span", "ms", `${milliseconds.toFixed(0)} ms`),
    key ? element("small", "", `Idempotency-Key: ${key}`) : null,
  );
  list.prepend(line);
  while (list.children.length > SHOWN) list.lastChild.remove();
}
