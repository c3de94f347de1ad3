// The pass page: draws the card from the very pass.json the phone would get, and copies the link.
const card = document.getElementById("card");
card.data = JSON.parse(document.getElementById("card-data").textContent);

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.copied;
  });
}
