// The lock screen with one notification of the pass.

import { element, picture } from "./dom.js";
import { sheet } from "./sheet.js";

export const LOCK = sheet(`
.lock { position: relative; width: 375u; height: 525u; border-radius: 36u; overflow: hidden; color: #fff; background: linear-gradient(160deg, #20335e, #7b4a6a 55%, #e39a6b); text-align: center }
.lock .date { padding-top: 54u; font-size: 18u; font-weight: 600; opacity: .9 }
.lock .time { font-size: 84u; font-weight: 600; line-height: 1; letter-spacing: -.03em; opacity: .92 }
.notification { position: absolute; left: 9u; right: 9u; bottom: 96u; display: flex; gap: 10u; align-items: center; text-align: left; padding: 12u 13u; border-radius: 22u; background: #f5f5f7d9; color: #000; backdrop-filter: blur(20px) }
.notification img { width: 38u; height: 38u; border-radius: 9u; flex: none; object-fit: cover }
.notification div { flex: 1; min-width: 0 }
.notification .first { display: flex; justify-content: space-between; gap: 8u; font-size: 15u; font-weight: 600; line-height: 1.3 }
.notification small { font-weight: 400; font-size: 13u; color: #000a }
.notification .message { font-size: 15u; line-height: 1.27; letter-spacing: -.01em; display: -webkit-box; -webkit-line-clamp: 4; -webkit-box-orient: vertical; overflow: hidden }
`);

/** The lock screen: `view.message` under the organization's name, `view.when` at the right. */
export function lock(view) {
  const now = new Date();
  const date = new Intl.DateTimeFormat(view.language, { weekday: "long", day: "numeric", month: "long" }).format(now);
  const time = new Intl.DateTimeFormat(view.language, { hour: "numeric", minute: "2-digit" }).format(now);
  const first = element("p", "first", view.text(view.pass.organizationName ?? ""), element("small", "", view.when));
  const message = element("p", "message", view.message);
  const notification = element("div", "notification", picture(view.images.icon), element("div", "", first, message));
  return element("div", "lock", element("p", "date", date), element("p", "time", time), notification);
}
