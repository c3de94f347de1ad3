"use strict";
// The reference below the fold, and the button that copies the request above it.
const place = document.getElementById("reference");
SwaggerUIBundle({
  url: place.dataset.openapi,
  domNode: place,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: false,
  tryItOutEnabled: false,
  validatorUrl: null,
});

const button = document.getElementById("copy");
button.addEventListener("click", async () => {
  const code = document.getElementById("curl");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    // Without https the clipboard is closed to pages: select it, so that one key press copies it.
    getSelection().selectAllChildren(code);
    return;
  }
  const before = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => { button.textContent = before; }, 2000);
});
