// A pass as Google Wallet shows it: logo and issuer, the programme, rows, the barcode, the hero; details below.

import { drawing, element, linked, picture } from "./dom.js";
import { sheet } from "./sheet.js";

const WORDS = {
  en: { details: "Details", done: "Done", messages: "Messages", remove: "Remove", inactive: "Expired passes" },
  ru: { details: "Подробности", done: "Готово", messages: "Сообщения", remove: "Удалить", inactive: "Неактивные карты" },
};
const ROWS_DEFAULT = [["object.loyaltyPoints.balance", "object.secondaryLoyaltyPoints.balance"], ["object.accountName", "object.accountId"]];

export const GOOGLE = sheet(`
.google { font-family: "Google Sans", Roboto, Inter, system-ui, sans-serif }
.google .g-pass { width: 375u; border-radius: 26u; overflow: hidden; background: var(--background); color: var(--foreground) }
.google .g-inactive { filter: grayscale(1); opacity: .75 }
.google .g-issuer { display: flex; align-items: center; gap: 12u; padding: 18u 20u 0; font-size: 16u; font-weight: 500 }
.google .g-issuer img { width: 42u; height: 42u; border-radius: 50%; object-fit: cover; flex: none; background: #fff }
.google .g-issuer img.g-wide { width: auto; height: 34u; max-width: 250u; border-radius: 0; background: none; object-fit: contain }
.google .g-issuer span { white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
.google .g-title { padding: 16u 20u 6u; font-size: 25u; line-height: 1.22; font-weight: 400 }
.google .g-line { display: flex; justify-content: space-between; gap: 14u; padding: 9u 20u }
.google .g-item { flex: 1 1 0; min-width: 0; }
.google .g-item + .g-item { text-align: right }
.google .g-item:nth-child(2):nth-last-child(2) { text-align: center }
.google .g-name { font-size: 12.5u; opacity: .85; line-height: 1.35; font-weight: 500; white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
.google .g-shown { font-size: 17u; line-height: 1.3; font-weight: 500; white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
.google .g-code { display: flex; flex-direction: column; align-items: center; padding: 16u 0 20u }
.google .g-code .g-white { background: #fff; border-radius: 16u; padding: 15u; width: 198u; height: 198u }
.google .g-code .g-white.g-wide { width: 300u; height: 102u }
.google .g-code svg { display: block; width: 100%; height: 100% }
.google .g-code small { margin-top: 10u; font-size: 14u; font-weight: 500; letter-spacing: .02em }
.google .g-hero-picture { display: block; width: 100%; aspect-ratio: 1032 / 336; object-fit: cover }
.google .g-sheet { width: 375u; min-height: 525u; background: #fff; color: #1f1f1f; font-size: 15u; padding-bottom: 24u }
.google .g-sheet .g-bar { display: flex; justify-content: space-between; align-items: center; padding: 14u 20u; font-size: 17u; font-weight: 500 }
.google .g-sheet :is(.done, .remove) { font: inherit; font-weight: 500; border: 0; background: none; color: #0b57d0; padding: 8u; cursor: pointer; border-radius: 8u }
.google .g-sheet .remove { display: block; margin: 10u auto 0; color: #b3261e }
.google .g-sheet h4 { font-size: 13u; font-weight: 500; color: #5f6368; padding: 12u 20u 4u }
.google .g-module { padding: 9u 20u }
.google .g-module .g-name { color: #5f6368; font-size: 13u; opacity: 1; white-space: normal }
.google .g-module .g-words { white-space: pre-line; line-height: 1.4; overflow-wrap: anywhere }
.google .g-module a { color: #0b57d0 }
.google .g-news { margin: 4u 14u; padding: 11u 14u; border-radius: 16u; background: #eef3fd }
.google hr { border: 0; border-top: 1px solid #dadce0; margin: 6u 20u }
`);

/** The card itself. */
export function googleFront(view) {
  const { ofClass, ofObject, images } = view;
  const card = element("div", `g-pass${ofObject.state === "ACTIVE" ? "" : " g-inactive"}`);
  const background = ofObject.hexBackgroundColor ?? ofClass.hexBackgroundColor ?? "#ffffff";
  card.style.setProperty("--background", background);
  card.style.setProperty("--foreground", isLight(background) ? "#1f1f1f" : "#ffffff");
  const logo = images.programLogo ?? images.titleImage ?? images.logo;
  const head = images.wideProgramLogo
    ? [picture(images.wideProgramLogo, "g-wide")]
    : [picture(logo), element("span", "", written(view, ofClass, "issuerName") || written(view, ofObject, "cardTitle"))];
  card.append(element("div", "g-issuer", ...head), element("div", "g-title", title(view)));
  for (const row of rows(ofClass)) {
    const items = row.map((path) => item(view, path)).filter(Boolean);
    if (items.length) card.append(element("div", "g-line", ...items));
  }
  const code = barcode(view);
  if (code) card.append(code);
  const hero = picture(images.heroImage, "g-hero-picture");
  if (hero) card.append(hero);
  return card;
}

/** What stands below the card: messages, text modules, links; and the way to remove it. */
export function googleBack(view) {
  const words = WORDS[view.language] ?? WORDS.en;
  const { ofClass, ofObject } = view;
  const root = element("div", "g-sheet", element("div", "g-bar", words.details, button(view, "done", words.done, "wallet-done")));
  const messages = [...(view.messages ?? [])].reverse();
  if (messages.length) {
    root.append(element("h4", "", words.messages));
    for (const each of messages) {
      root.append(element("div", "g-news", element("b", "", written(view, each, "header")), element("div", "", written(view, each, "body"))));
    }
    root.append(element("hr"));
  }
  for (const each of [...(ofObject.textModulesData ?? []), ...(ofClass.textModulesData ?? [])]) {
    root.append(element("div", "g-module", element("div", "g-name", written(view, each, "header")), element("div", "g-words", linked(written(view, each, "body")))));
  }
  root.append(button(view, "remove", words.remove, "wallet-remove"));
  return root;
}

function button(view, className, words, event) {
  const made = element(view.interactive ? "button" : "span", className, words);
  if (view.interactive) {
    made.type = "button";
    made.addEventListener("click", () => view.tell(event));
  }
  return made;
}

/** A text that may be plain or localised: "header", or "localizedHeader" in the phone's language. */
function written(view, body, name) {
  const localised = body[`localized${name[0].toUpperCase()}${name.slice(1)}`] ?? (typeof body[name] === "object" ? body[name] : null);
  if (!localised) return body[name] ?? "";
  const translated = [localised.defaultValue, ...(localised.translatedValues ?? [])].find((each) => each?.language?.startsWith(view.language));
  return (translated ?? localised.defaultValue)?.value ?? "";
}

function title(view) {
  const { ofClass, ofObject } = view;
  for (const [body, name] of [[ofClass, "programName"], [ofClass, "title"], [ofClass, "eventName"], [ofClass, "merchantName"], [ofObject, "header"]]) {
    const words = written(view, body, name);
    if (words) return words;
  }
  return "";
}

function rows(ofClass) {
  const given = ofClass.classTemplateInfo?.cardTemplateOverride?.cardRowTemplateInfos;
  if (!given) return ROWS_DEFAULT;
  return given.map((row) => Object.values(Object.values(row)[0]).map((each) => each.firstValue?.fields?.[0]?.fieldPath ?? ""));
}

function item(view, path) {
  const [owner, name, rest] = path.split(".");
  const body = owner === "class" ? view.ofClass : view.ofObject;
  const module = /^textModulesData\['(.+)'\]$/.exec(name ?? "");
  if (module) {
    const found = (body.textModulesData ?? []).find((each) => each.id === module[1]);
    return found ? labelled(written(view, found, "header"), written(view, found, "body")) : null;
  }
  const value = body[name];
  if (value === undefined) return null;
  if (rest === "balance" || value.balance) return labelled(written(view, value, "label"), balance(view, value.balance));
  const label = written(view, view.ofClass, `${name}Label`);
  return labelled(label, typeof value === "object" ? written(view, body, name) : String(value));
}

function labelled(label, words) {
  return words ? element("div", "g-item", element("div", "g-name", label), element("div", "g-shown", words)) : null;
}

function balance(view, given = {}) {
  if (given.string !== undefined) return given.string;
  if (given.money) {
    const amount = Number(given.money.micros) / 1e6;
    return new Intl.NumberFormat(view.language, { style: "currency", currency: given.money.currencyCode }).format(amount);
  }
  const number = given.int ?? given.double;
  return number === undefined ? "" : new Intl.NumberFormat(view.language).format(number);
}

function barcode(view) {
  const given = view.ofObject.barcode;
  if (!given || !view.barcode) return null;
  const isSquare = /QR|AZTEC|DATA_MATRIX/.test(given.type);
  const white = element("div", `g-white${isSquare ? "" : " g-wide"}`, drawing(view.barcode, { stretch: !isSquare }));
  return element("div", "g-code", white, given.alternateText ? element("small", "", given.alternateText) : null);
}

function isLight(hex) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.6;
}
