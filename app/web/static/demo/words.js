// What the server wrote into the page: texts in its language, and the API keys of the demo's programmes.

export const setup = JSON.parse(document.getElementById("setup").textContent);

/** The text of a key with its {names} filled in. */
export function say(key, values = {}) {
  return setup.words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

export const numbers = new Intl.NumberFormat(setup.language);
