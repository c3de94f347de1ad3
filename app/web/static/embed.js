// The brand's own site shows our form: <script src="https://cards.example/static/embed.js" data-form="school" async></script>
// Only sites that the form's definition names may frame it. data-lang and data-src (where from) are optional.
(() => {
  const script = document.currentScript;
  const { form, lang, src = location.hostname, title = document.title } = script.dataset;
  const { origin } = new URL(script.src);
  const url = new URL(`/join/${encodeURIComponent(form)}`, origin);
  url.searchParams.set("src", src);
  if (lang) url.searchParams.set("lang", lang);

  const frame = document.createElement("iframe");
  Object.assign(frame, { src: url.href, title });
  Object.assign(frame.style, { width: "100%", border: "0", height: "40rem" });
  script.after(frame);

  addEventListener("message", ({ origin: from, source, data }) => {
    if (from !== origin || source !== frame.contentWindow || typeof data?.passbellHeight !== "number") return;
    frame.style.height = `${Math.ceil(data.passbellHeight)}px`;
  });
})();
