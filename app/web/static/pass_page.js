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
