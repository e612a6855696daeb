// The boxes of found objects, drawn over the photo: an SVG of the photo's proportions, which lies on it as the photo does.

import { percent } from "./i18n.js";

const COLOURS = ["#d55e00", "#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#0072b2", "#f0e442"]; // all eyes tell them apart
const DEEP = "#0072b2"; // the one of them on which white is read better than black
const TEXT = 1 / 36; // height of a label, of the photo's longer side
const LEAST = 15; // pixels of the screen that a label is high, also on a phone
const GOLDEN = 137.5; // degrees from one further class to the next

/** Draw `objects`, the surest first, over a photo of `width` × `height` pixels; without any the drawing is empty. */
export function drawBoxes(svg, objects, width, height, classes) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const shown = Math.min(svg.clientWidth / width, svg.clientHeight / height) || Infinity; // Infinity: not on the page yet
  const unit = Math.max(Math.max(width, height) * TEXT, LEAST / shown);
  const labels = [];
  const boxes = objects.map(({ label, score, box: [left, top, right, bottom] }) => {
    const colour = colourOf(classes.indexOf(label));
    const text = fitted(classes.length > 1 ? label : "", percent(score), width / unit);
    const wide = widthOf(text) * unit;
    const area = { x: Math.max(0, Math.min(left, width - wide)), y: top > unit ? top - unit : top, width: wide, height: unit };
    // Of labels that would cover each other the surest one stands.
    if (!labels.some((other) => overlap(area, other.area))) labels.push({ area, text, colour });
    return element(svg, "rect", { x: left, y: top, width: right - left, height: bottom - top, stroke: colour, "stroke-width": unit / 7 });
  });
  svg.replaceChildren(...boxes.reverse(), ...labels.flatMap(({ area, text, colour }) => {
    const middle = { x: area.x + area.width / 2, y: area.y + 0.76 * unit };
    const stretched = { textLength: 0.92 * area.width, lengthAdjust: "spacingAndGlyphs" };
    const written = element(svg, "text", { ...middle, ...stretched, "font-size": 0.8 * unit });
    written.textContent = text; // names of classes are text, whatever they contain
    if (colour === DEEP) written.style.fill = "#fff";
    return [element(svg, "rect", { ...area, fill: colour, class: "label" }), written];
  }));
}

/** How many objects there are of each class, as `[name, number]`. */
export function counted(objects) {
  const counts = new Map();
  for (const { label } of objects) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts];
}

/** Name and figure, the name shortened to so many heights of a label. */
function fitted(name, figure, room) {
  let text = name ? `${name} ${figure}` : figure;
  for (let kept = [...name]; kept.length > 1 && widthOf(text) > room; text = `${kept.join("")}… ${figure}`) kept.pop();
  return text;
}

/** In heights of a label: Chinese, Japanese and Korean characters are square. */
function widthOf(text) {
  return [...text].reduce((sum, character) => sum + (character >= "\u2e80" ? 0.9 : 0.5), 0);
}

function colourOf(number) {
  return COLOURS[number] ?? `hsl(${(number * GOLDEN) % 360} 75% 70%)`; // light enough for black text
}

function overlap(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function element(svg, name, attributes) {
  const made = document.createElementNS(svg.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
