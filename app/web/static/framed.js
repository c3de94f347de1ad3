// Inside a page of the brand's own site: tells it how tall we are, so that the frame needs no scroll bar.
if (parent !== window) {
  document.documentElement.classList.add("framed");
  const tell = () => parent.postMessage({ passbellHeight: document.documentElement.offsetHeight }, "*"); // no secret
  new ResizeObserver(tell).observe(document.documentElement);
}
