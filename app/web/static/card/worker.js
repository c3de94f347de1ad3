// The service worker of one web card: the newest page where there is a network, the kept copy where there is none.

const CACHE = "card";
const home = new URL("card", self.registration.scope);

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (url.pathname === `${home.pathname}/version`) return; // only true when it is fresh
  event.respondWith(url.searchParams.has("v") ? keptFirst(request) : freshFirst(request));
});

/** What is named by its content never changes. */
async function keptFirst(request) {
  return (await caches.match(request)) ?? (await freshFirst(request));
}

async function freshFirst(request) {
  const findKept = () => caches.match(request, { ignoreSearch: request.mode === "navigate" });
  if (!navigator.onLine) {
    const kept = await findKept();
    if (kept) return kept;
  }
  try {
    const answer = await fetch(request);
    if (answer.ok) await (await caches.open(CACHE)).put(request, answer.clone());
    return answer;
  } catch (error) {
    const kept = await findKept();
    if (kept) return kept;
    throw error;
  }
}

self.addEventListener("push", (event) => event.waitUntil(tell(event.data?.json() ?? {})));

/** Keep the newest page, have open ones read themselves again, and say what changed. */
async function tell({ title, body }) {
  const pages = await self.clients.matchAll({ type: "window" });
  for (const page of pages) page.postMessage("changed");
  await freshFirst(new Request(home)).catch(() => null); // without a network the old copy stays
  await self.registration.showNotification(title ?? "", {
    body: body ?? "",
    icon: `${home.pathname}/icon-192.png`,
    tag: "card", // the newest takes the place of the one before
    renotify: true,
  });
}

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open());
});

async function open() {
  const [page] = await self.clients.matchAll({ type: "window" });
  if (page) await page.focus();
  else await self.clients.openWindow(home);
}
