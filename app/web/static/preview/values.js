// What a field shows: its value as iOS would write it. The server formats most values already, as text.

const DATE_STYLES = {
  PKDateStyleShort: "short",
  PKDateStyleMedium: "medium",
  PKDateStyleLong: "long",
  PKDateStyleFull: "full",
};

export const STYLES = ["posterGeneric", "storeCard", "coupon", "generic", "eventTicket", "boardingPass"];

/** The style of a pass: the first of Apple's keys it has. */
export function styleOf(pass) {
  return STYLES.find((style) => pass[style]);
}

/** A field's value as text. */
export function shown(field, language) {
  const { value } = field;
  if (value === null || value === undefined) return "";
  if (field.dateStyle || field.timeStyle) return shownDate(field, language);
  if (field.currencyCode) {
    return new Intl.NumberFormat(language, {
      style: "currency",
      currency: field.currencyCode,
      currencyDisplay: "narrowSymbol",
      minimumFractionDigits: 0,
    }).format(Number(value));
  }
  if (field.numberStyle === "PKNumberStylePercent") {
    return new Intl.NumberFormat(language, { style: "percent" }).format(Number(value));
  }
  if (field.numberStyle) return new Intl.NumberFormat(language).format(Number(value));
  return String(value);
}

function shownDate(field, language) {
  const date = new Date(field.value);
  if (Number.isNaN(date.getTime())) return String(field.value);
  const options = {};
  if (DATE_STYLES[field.dateStyle]) options.dateStyle = DATE_STYLES[field.dateStyle];
  if (DATE_STYLES[field.timeStyle]) options.timeStyle = DATE_STYLES[field.timeStyle];
  if (field.ignoresTimeZone) options.timeZone = "UTC";
  return new Intl.DateTimeFormat(language, options).format(date);
}

/** Black or white, whichever reads better on this colour, as iOS chooses where the pass names none. */
export function readableOn(color) {
  const [red, green, blue] = (color.match(/\d+/g) ?? [255, 255, 255]).map((part) => {
    const share = Number(part) / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5 ? "#000" : "#fff";
}
