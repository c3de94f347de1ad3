// Making nodes without a line of HTML: whatever a pass says is text, never markup.

/** An element with a class and children; null and undefined children are left out. */
export function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A picture, or null where the pass has none in this slot. */
export function picture(address, className) {
  if (!address) return null;
  const made = new Image();
  made.src = address;
  made.alt = "";
  if (className) made.className = className;
  return made;
}

/** A drawing from SVG text with a viewBox, scaled by its box. The parser runs no script, and only shapes are taken over. */
export function drawing(svgText, { stretch = false } = {}) {
  const root = new DOMParser().parseFromString(svgText, "image/svg+xml").documentElement;
  if (root.nodeName !== "svg") return null;
  root.setAttribute("preserveAspectRatio", stretch ? "none" : "xMidYMid meet");
  root.setAttribute("shape-rendering", "crispEdges");
  root.setAttribute("aria-hidden", "true");
  return document.importNode(root, true);
}

/** Our own drawing from path data. */
export function glyph(path, className) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(namespace, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

/** Text in which addresses, e-mails and phone numbers look like links, as on the back of a pass. */
export function linked(text) {
  const found = document.createDocumentFragment();
  const links = /(https?:\/\/[^\s<]+|[\w.+-]+@[\w-]+\.[\w.]+|\+\d[\d ()-]{8,}\d)/g;
  let rest = 0;
  for (const match of text.matchAll(links)) {
    found.append(text.slice(rest, match.index), element("span", "link", match[0]));
    rest = match.index + match[0].length;
  }
  found.append(text.slice(rest));
  return found;
}
