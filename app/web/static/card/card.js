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
    await navigator.serviceWorker.ready;
    if (navigator.onLine) await keepCopy();
  }
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
