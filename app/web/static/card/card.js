// The web card: keeps a copy of itself for when there is no network, and shows the newest version when there is.

const card = document.querySelector("[data-card]");
const address = card.dataset.card;
const away = document.querySelector("[data-away]");
const keep = document.querySelector("[data-keep]");
const installButton = document.querySelector("[data-install]");
const installHint = document.querySelector("[data-install-hint]");

const CACHE = "card";

function show(element) {
  element.hidden = false;
  keep.hidden = false;
}

/** Everything this page was made of, as the worker will look for it. */
function parts() {
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  const images = [...document.images].map((image) => image.src);
  const links = [...document.querySelectorAll("link[href]")].map((link) => link.href);
  return new Set([location.href, ...links, ...images, ...loaded.filter((each) => !each.endsWith("/card/version"))]);
}

async function keepCopy() {
  const cache = await caches.open(CACHE);
  const wanted = [...parts()].filter((each) => each.startsWith(location.origin));
  await Promise.allSettled(wanted.map((each) => cache.add(each)));
  document.documentElement.dataset.kept = "true";
}

/** Is there a newer version? Without an answer, the page says from when it is. */
async function refresh() {
  if (!navigator.onLine) {
    away.hidden = false;
    return;
  }
  try {
    const answer = await fetch(`${address}/card/version`, { cache: "no-store" });
    away.hidden = answer.ok;
    if (answer.ok && (await answer.text()) !== card.dataset.version) location.reload();
  } catch {
    away.hidden = false;
  }
}

async function start() {
  if ("serviceWorker" in navigator) {
    await navigator.serviceWorker.register(`${address}/worker.js`, { scope: `${address}/` });
    await offerBell(await navigator.serviceWorker.ready);
    if (navigator.onLine) await keepCopy();
  }
}

/** The bell: a browser that can be pushed to is asked, and told no more when the person has enough. */
async function offerBell(registration) {
  if (!("PushManager" in window) || !("Notification" in window)) return;
  const bell = document.querySelector("[data-bell]");
  const note = document.querySelector("[data-bell-note]");

  const draw = async () => {
    const subscription = await registration.pushManager.getSubscription();
    bell.textContent = subscription ? bell.dataset.on : bell.dataset.off;
    bell.classList.toggle("quiet", subscription !== null);
    note.hidden = subscription === null;
    return subscription;
  };
  bell.addEventListener("click", async () => {
    bell.disabled = true;
    const subscription = await draw();
    try {
      await (subscription ? stopTelling(subscription) : startTelling(registration));
      await draw();
    } catch {
      note.textContent = note.dataset.refused;
      note.hidden = false;
    }
    bell.disabled = false;
  });
  await draw();
  show(bell);
}

async function startTelling(registration) {
  const key = card.dataset.pushKey.replaceAll("-", "+").replaceAll("_", "/");
  const applicationServerKey = Uint8Array.from(atob(key), (each) => each.charCodeAt(0));
  const subscription = await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey });
  const answer = await send("POST", subscription);
  if (!answer.ok) {
    await subscription.unsubscribe();
    throw new Error(`the server answered ${answer.status}`);
  }
}

async function stopTelling(subscription) {
  await send("DELETE", { endpoint: subscription.endpoint });
  await subscription.unsubscribe();
}

function send(method, body) {
  const headers = { "Content-Type": "application/json" };
  return fetch(`${address}/card/subscription`, { method, headers, body: JSON.stringify(body) });
}

const isInstalled = matchMedia("(display-mode: standalone)").matches || navigator.standalone === true;
const isApplePhone = /iPhone|iPad|iPod/.test(navigator.userAgent);

window.addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  show(installButton);
  installButton.addEventListener("click", () => event.prompt(), { once: true });
});
window.addEventListener("appinstalled", () => {
  installButton.hidden = true;
});
if (isApplePhone && !isInstalled) show(installHint);

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") refresh();
});
window.addEventListener("online", refresh);
window.addEventListener("offline", refresh);
navigator.serviceWorker?.addEventListener("message", refresh); // the worker got a push

start();
refresh();
