// The form: finds the proof of work while the person types, and checks what is empty before sending.
// Without this script the form still works; the server then allows fewer of them.
const form = document.getElementById("join");
const proof = document.getElementById("proof");
const button = form.querySelector("button[type=submit]");
const { challenge, salt, max, signature, worker: workerUrl } = form.dataset;
const PATIENCE_MS = 20_000; // a very slow phone sends without the proof rather than never

// Web Crypto is there on https and on this machine only.
const solved = challenge && globalThis.crypto?.subtle ? solve().catch(() => "") : Promise.resolve("");

function solve() {
  return new Promise((resolve) => {
    const worker = new Worker(workerUrl);
    worker.onmessage = ({ data: number }) => {
      worker.terminate();
      resolve(number === null ? "" : btoa(JSON.stringify({ algorithm: "SHA-256", challenge, number, salt, signature })));
    };
    worker.onerror = () => resolve("");
    worker.postMessage({ salt, challenge, max: Number(max) });
  });
}

const patience = () => new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, ""));

function complain(field, text) {
  field.querySelector(".mistake").textContent = text;
  for (const input of field.querySelectorAll("input")) {
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

function isEmpty(input) {
  if (input.type === "radio") return !form.querySelector(`input[name="${input.name}"]:checked`);
  return input.type === "checkbox" ? !input.checked : !input.value.trim();
}

function firstEmpty() {
  let first = null;
  for (const input of form.querySelectorAll("[required]")) {
    const empty = isEmpty(input);
    const { consent, required } = form.dataset;
    complain(input.closest(".field"), empty ? ("consent" in input.dataset ? consent : required) : "");
    if (empty) first ??= input;
  }
  return first;
}

form.addEventListener("input", ({ target }) => {
  if (target.getAttribute("aria-invalid")) complain(target.closest(".field"), "");
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.getAttribute("aria-busy")) return;
  const empty = firstEmpty();
  if (empty) return empty.focus();
  button.setAttribute("aria-busy", "true");
  button.textContent = document.getElementById("status").textContent = form.dataset.sending;
  proof.value = await Promise.race([solved, patience()]);
  form.submit();
});

// Back to a page kept in memory: its proof is spent and its button says that it is sending.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted && button.getAttribute("aria-busy")) location.reload();
});
