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
