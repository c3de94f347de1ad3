// Text that is too wide shrinks as it does in Wallet: first the size, then the end is cut.

const PASSES = 4; // Inter's optical axis changes widths as sizes change, so one division does not hit the mark
const ROW_SHARE_MIN = 0.42;

/** Fit every text of a drawn card. `unit` is the width of one point in pixels. */
export function fitTexts(root, unit) {
  for (const value of root.querySelectorAll(".primary .value, .big")) fitAlone(value, unit);
  for (const row of root.querySelectorAll(".row")) fitRow(row, unit);
  for (const pair of root.querySelectorAll(".boardingPass .primary")) fitPair(pair, unit);
  const headers = root.querySelectorAll(".header-fields .value");
  const limit = (headers.length > 1 ? 96 : 122) * unit;
  for (const value of headers) {
    value.style.fontSize = "";
    shrink([value], () => limit / naturalWidth(value), 11 * unit);
  }
}

function fitAlone(value, unit) {
  value.style.fontSize = "";
  if (value.closest(".boardingPass")) return;
  shrink([value], () => value.clientWidth / naturalWidth(value), 11 * unit);
}

/** Both airports keep one size. */
function fitPair(pair, unit) {
  const values = [...pair.querySelectorAll(".value")];
  for (const value of values) value.style.fontSize = "";
  shrink(values, () => Math.min(...values.map((value) => (147 * unit) / naturalWidth(value))), 11 * unit);
}

/** Fields of a row share one size; each gets the width its value needs, labels what is left. */
function fitRow(row, unit) {
  const values = [...row.querySelectorAll(".value")];
  const labels = values.map((value) => value.previousElementSibling);
  for (const value of values) value.style.fontSize = "";
  const gaps = (parseFloat(getComputedStyle(row).columnGap) || 0) * (values.length - 1);
  const available = row.clientWidth - gaps;
  const wanted = (share) =>
    values.reduce((sum, value, index) => {
      const width = naturalWidth(value) * share;
      return sum + Math.max(width, Math.min(naturalWidth(labels[index]), width + 16 * unit));
    }, 0);

  let share = 1;
  while (share > ROW_SHARE_MIN && wanted(share) > available) share -= 0.02;
  if (share < 1) for (const value of values) scale(value, share, 0);

  const widths = values.map((value) => naturalWidth(value) + 1);
  const extras = labels.map((label, index) => Math.max(0, naturalWidth(label) + 1 - widths[index]));
  const sum = (numbers) => numbers.reduce((left, right) => left + right, 0);
  const given = sum(extras) ? Math.min(1, Math.max(0, (available - sum(widths)) / sum(extras))) : 1;
  values.forEach((value, index) => {
    value.parentNode.style.flex = `0 1 ${widths[index] + extras[index] * given}px`;
  });
}

function shrink(values, ratio, least) {
  for (let pass = 0; pass < PASSES; pass += 1) {
    const share = ratio();
    if (!(share < 1)) return;
    for (const value of values) scale(value, share * 0.998, least);
  }
}

function scale(value, share, least) {
  value.style.fontSize = `${Math.max(parseFloat(getComputedStyle(value).fontSize) * share, least)}px`;
}

function naturalWidth(node) {
  const range = document.createRange();
  range.selectNodeContents(node);
  return range.getBoundingClientRect().width;
}
