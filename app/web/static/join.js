// The form: finds the proof of work while the person types, and checks what is empty before sending.
// Without this script the form still works; the server then allows fewer of them.
const form = document.getElementById("join");
const proof = document.getElementById("proof");
const button = form.querySelector("button[type=submit]");
const challenge = form.dataset;

const solved = challenge.challenge && globalThis.crypto?.subtle ? solve() : Promise.resolve("");

function solve() {
  return new Promise((resolve) => {
    const worker = new Worker(challenge.worker);
    worker.onmessage = ({ data: number }) => {
      worker.terminate();
      resolve(number === null ? "" : btoa(JSON.stringify({
        algorithm: "SHA-256", challenge: challenge.challenge, number,
        salt: challenge.salt, signature: challenge.signature,
      })));
    };
    worker.onerror = () => resolve("");
    worker.postMessage({ salt: challenge.salt, challenge: challenge.challenge, max: Number(challenge.max) });
  });
}

function complain(input, text) {
  const field = input.closest(".field");
  const id = `${input.name}-mistake`;
  field.querySelector(".mistake")?.remove();
  input.removeAttribute("aria-invalid");
  if (!text) return;
  const note = Object.assign(document.createElement("p"), { className: "mistake", id, textContent: text });
  field.append(note);
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", id);
}

function firstEmpty() {
  let first = null;
  for (const input of form.querySelectorAll("[required]")) {
    const group = form.elements[input.name];
    const isEmpty = input.type === "radio" ? !group.value : input.type === "checkbox" ? !input.checked : !input.value.trim();
    complain(input, isEmpty ? ("consent" in input.dataset ? challenge.consent : challenge.required) : "");
    if (isEmpty && !first) first = input;
  }
  return first;
}

form.addEventListener("input", ({ target }) => {
  if (target.getAttribute("aria-invalid")) complain(target, "");
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.getAttribute("aria-busy")) return;
  const empty = firstEmpty();
  if (empty) return empty.focus();
  button.setAttribute("aria-busy", "true");
  button.textContent = challenge.sending;
  proof.value = await solved;
  form.submit();
});

form.querySelector('[aria-invalid="true"]')?.focus();
