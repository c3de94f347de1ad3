// The back of a pass: the sheet that iOS opens behind the "⋯" of a card.

import { element, linked, picture } from "./dom.js";
import { paint } from "./front.js";
import { sheet } from "./sheet.js";
import { shown, styleOf } from "./values.js";

const WORDS = {
  en: {
    title: "Pass Details",
    done: "Done",
    updates: "Automatic Updates",
    notifications: "Allow Notifications",
    remove: "Remove Pass",
    updated: "Updated just now",
    refresh: "Pull down to check for updates",
  },
  ru: {
    title: "Сведения о карте",
    done: "Готово",
    updates: "Автообновление",
    notifications: "Уведомления",
    remove: "Удалить карту",
    updated: "Обновлено только что",
    refresh: "Потяните вниз, чтобы проверить обновления",
  },
};

export const BACK = sheet(`
.back { width: 375u; min-height: 525u; background: #f2f2f7; border-radius: 11u; padding-bottom: 18u; color: #000; font-size: 16u; letter-spacing: -.01em; overflow: hidden }
.back button { font: inherit; letter-spacing: inherit; color: inherit; background: none; border: 0; text-align: left; cursor: pointer }
.back button:focus-visible { outline: 2.5u solid #007aff; outline-offset: -2u; border-radius: 6u }
.bar { display: grid; grid-template-columns: 1fr auto 1fr; align-items: center; height: 52u; padding: 0 16u; font-size: 17u; font-weight: 600 }
.bar .done { grid-column: 3; justify-self: end; color: #0066d6; font-weight: 600; padding: 6u }
.hero { display: flex; flex-direction: column; align-items: center; gap: 8u; padding: 4u 0 16u; text-align: center }
.hero .mini { position: relative; width: 118u; height: 76u; overflow: hidden; border-radius: 6u; background: var(--background); box-shadow: 0 1u 4u #0003 }
.hero .mini img { position: absolute; left: 0; top: 20u; width: 100%; height: 44u; object-fit: cover }
.hero b { font-size: 20u } .hero span { font-size: 13u; color: #636366 }
.group { background: #fff; border-radius: 11u; margin: 0 16u 18u; overflow: hidden }
.item { display: block; position: relative; width: 100%; padding: 10u 16u }
.item + .item::before { content: ""; position: absolute; left: 16u; right: 0; top: 0; height: max(.5u, .5px); background: #c6c6c8 }
.item .name { font-size: 13u; color: #636366; line-height: 1.3 } .item .words { white-space: pre-line; line-height: 1.3 }
.item .link { color: #0066d6 }
.back .switch { display: flex; justify-content: space-between; align-items: center }
.switch i { flex: none; width: 46u; height: 28u; border-radius: 20u; background: #34c759; position: relative }
.switch i::after { content: ""; position: absolute; right: 2u; top: 2u; width: 24u; height: 24u; border-radius: 50%; background: #fff; box-shadow: 0 1u 3u #0004 }
.switch[aria-checked=false] i { background: #d1d1d6 } .switch[aria-checked=false] i::after { right: auto; left: 2u }
.back .remove { color: #c9241b; text-align: center }
`);

/** The back. Where the view is `interactive` its buttons tell the host: wallet-done, -remove, -updates. */
export function back(view) {
  const words = WORDS[view.language] ?? WORDS.en;
  const root = element("div", "back");
  paint(root, view.pass);
  const mini = element("div", "mini", picture(view.images.strip ?? view.images.background));
  const organization = element("b", "", view.text(view.pass.organizationName ?? ""));
  root.append(
    element("div", "bar", element("span"), element("span", "", words.title), button(view, "done", words.done, "wallet-done")),
    element("div", "hero", mini, organization, element("span", "", words.updated)),
    element(
      "div",
      "group",
      toggle(view, words.updates, view.automaticUpdates, "wallet-updates"),
      toggle(view, words.notifications, view.notifications, "wallet-notifications"),
    ),
  );
  const fields = view.pass[styleOf(view.pass)].backFields ?? [];
  if (fields.length) root.append(element("div", "group", ...fields.map((each) => item(view, each))));
  root.append(element("div", "group", button(view, "item remove", words.remove, "wallet-remove")));
  return root;
}

function item(view, field) {
  const words = linked(view.text(shown(field, view.language)));
  const name = field.label ? element("div", "name", view.text(field.label)) : null;
  return element("div", "item", name, element("div", "words", words));
}

function button(view, className, words, event) {
  const made = element(view.interactive ? "button" : "span", className, words);
  if (view.interactive) {
    made.type = "button";
    made.addEventListener("click", () => view.tell(event));
  }
  return made;
}

function toggle(view, words, isOn, event) {
  const made = button(view, "item switch", words, event);
  if (view.interactive) {
    made.setAttribute("role", "switch");
    made.setAttribute("aria-checked", String(isOn));
  }
  made.append(element("i"));
  return made;
}
