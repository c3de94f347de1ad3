// The pass page: draws the card from the very pass.json the phone would get, and copies the link.
const card = document.getElementById("card");
card.data = JSON.parse(document.getElementById("card-data").textContent);

// The page takes on the colour of its card.
document.documentElement.style.setProperty("--card", card.data.pass.backgroundColor ?? "");

for (const button of document.querySelectorAll("[data-copy]")) {
  const link = document.getElementById("link");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = button.dataset.copied;
    } catch {
      link.focus(); // an app's own window may not let us copy: then the person does
      link.select();
    }
  });
}

// A card issued a moment ago is not at Google yet: ask until it is, then show the button.
const ASK_EVERY_MS = 2000;
const ASK_MOST = 60;

async function showWhenReady(waiting, asked = 0) {
  const answer = await fetch(waiting.dataset.waiting, { cache: "no-store" });
  if (answer.status === 200) {
    const button = document.querySelector(".google-button");
    button.href = (await answer.json()).save_link;
    button.hidden = false;
    waiting.remove();
  } else if (asked < ASK_MOST) {
    setTimeout(() => showWhenReady(waiting, asked + 1), ASK_EVERY_MS);
  }
}

for (const waiting of document.querySelectorAll("[data-waiting]")) showWhenReady(waiting);
