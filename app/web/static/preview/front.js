// The front of a pass: one function for each of Apple's styles.

import { drawing, element, glyph, picture } from "./dom.js";
import { TRANSIT } from "./transit.js";
import { readableOn, shown, styleOf } from "./values.js";

const ALIGNMENTS = {
  PKTextAlignmentLeft: "to-left",
  PKTextAlignmentCenter: "to-center",
  PKTextAlignmentRight: "to-right",
};

/** The card. `view` is {pass, images, barcode, language, text}, where text() looks a string up. */
export function front(view) {
  const style = styleOf(view.pass);
  const card = element("div", `card ${style}`);
  card.classList.toggle("voided", Boolean(view.pass.voided));
  paint(card, view.pass);
  if (style === "posterGeneric") return poster(view, card);
  backdropOf(view, card, style);
  card.append(header(view, view.images.logo));
  BODIES[style](view, card, view.pass[style]);
  if (view.images.footer && style === "boardingPass") card.append(picture(view.images.footer, "footer-image"));
  card.append(code(view) ?? "");
  return card;
}

/** The colours of the pass, for its style sheet. */
export function paint(node, pass) {
  const background = pass.backgroundColor ?? "rgb(255, 255, 255)";
  const readable = readableOn(background);
  node.style.setProperty("--background", background);
  node.style.setProperty("--foreground", pass.foregroundColor ?? readable);
  node.style.setProperty("--label", pass.labelColor ?? pass.foregroundColor ?? readable);
}

function backdropOf(view, card, style) {
  const { images } = view;
  const hasStrip = ["storeCard", "coupon", "eventTicket"].includes(style) && images.strip;
  if (style === "eventTicket" && images.background) card.append(picture(images.background, "backdrop"));
  if (hasStrip) {
    card.append(picture(images.strip, "strip"));
    card.classList.add("on-strip");
  } else {
    card.append(element("div", "sheen"));
  }
  if (images.thumbnail && (style === "generic" || (style === "eventTicket" && !hasStrip))) {
    card.append(picture(images.thumbnail, "thumbnail"));
    card.classList.add("with-thumbnail");
  }
}

function header(view, logo) {
  const { pass } = view;
  const fields = (pass[styleOf(pass)].headerFields ?? []).slice(0, 3);
  return element(
    "div",
    "header",
    element("div", "brand", picture(logo), pass.logoText ? element("b", "", view.text(pass.logoText)) : null),
    element("div", "header-fields", ...fields.map((each) => field(view, each))),
  );
}

/** Store card and coupon: the value first and large, its label below; all other fields in one row. */
function valueCard(view, card, fields) {
  const [first] = fields.primaryFields ?? [];
  if (first) {
    const value = element("div", "value", view.text(shown(first, view.language)));
    card.append(element("div", "primary", value, element("div", "label", view.text(first.label ?? ""))));
  }
  const rest = [...(fields.secondaryFields ?? []), ...(fields.auxiliaryFields ?? [])].slice(0, 4);
  card.append(row(view, rest, "secondary") ?? "");
}

/** Generic and event ticket: the first field labelled above, then two rows. */
function labelledCard(view, card, fields) {
  const [first] = fields.primaryFields ?? [];
  if (first) card.append(element("div", "primary", field(view, first)));
  card.append(row(view, fields.secondaryFields, "secondary") ?? "", row(view, fields.auxiliaryFields, "auxiliary") ?? "");
}

/** From here to there. */
function boardingCard(view, card, fields) {
  const places = (fields.primaryFields ?? []).slice(0, 2);
  card.append(element("div", "primary", ...places.map((each) => field(view, each))));
  card.append(glyph(TRANSIT[fields.transitType] ?? TRANSIT.PKTransitTypeGeneric, "transit"));
  card.append(row(view, fields.auxiliaryFields, "auxiliary") ?? "", row(view, fields.secondaryFields, "secondary") ?? "");
}

const BODIES = {
  storeCard: valueCard,
  coupon: valueCard,
  generic: labelledCard,
  eventTicket: labelledCard,
  boardingPass: boardingCard,
};

/** The poster of iOS 27: a picture to the edges; a first field without a label is the title. */
function poster(view, card) {
  const { pass, images } = view;
  const fields = pass.posterGeneric;
  const [first, ...others] = fields.primaryFields ?? [];
  const lower = element("div", "lower");
  const hasTitle = first && !first.label;
  if (hasTitle) lower.append(element("div", "big", view.text(shown(first, view.language))));
  const pairs = hasTitle ? others : (fields.primaryFields ?? []);
  if (pairs.length) lower.append(element("div", "pairs", ...pairs.map((each) => field(view, each))));
  lower.append(code(view, { small: true }) ?? "");
  card.append(picture(images.background, "poster") ?? "", element("div", "shade-above"), element("div", "shade-below"));
  card.append(header(view, images.primaryLogo ?? images.logo), lower);
  const [footer] = fields.footerFields ?? [];
  if (footer) card.append(element("div", "footer-field", view.text(shown(footer, view.language))));
  const actions = (pass.featuredActions ?? []).slice(0, 2);
  if (!actions.length) return card;
  const buttons = actions.map((each) => element("div", "", element("i"), view.text(each.title ?? each.type)));
  return element("div", "", card, element("div", "actions", ...buttons));
}

function field(view, each) {
  const label = view.text(each.label ?? "") || "\u00a0";
  const value = view.text(shown(each, view.language)) || "\u00a0";
  const alignment = ALIGNMENTS[each.textAlignment] ?? "";
  return element("div", `field ${alignment}`, element("div", "label", label), element("div", "value", value));
}

function row(view, fields, className) {
  if (!fields?.length) return null;
  return element("div", `row ${className}`, ...fields.map((each) => field(view, each)));
}

function code(view, { small = false } = {}) {
  const barcode = view.pass.barcodes?.[0] ?? view.pass.barcode;
  if (!barcode || !view.barcode) return null;
  const isSquare = /QR|Aztec/.test(barcode.format);
  const box = element("div", `code ${isSquare ? "square" : "wide"}${small ? " small" : ""}`);
  box.append(element("div", "drawing", drawing(view.barcode, { stretch: !isSquare })));
  if (barcode.altText && !small) box.append(element("div", "alternative", view.text(barcode.altText)));
  return box;
}
