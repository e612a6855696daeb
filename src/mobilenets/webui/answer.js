// The answer: the best class in large letters, bars for the others.

import { counted } from "./boxes.js";
import { count, percent, words } from "./i18n.js";

const FEW = 5;
const LONG = 24; // characters: a longer name is set smaller

const find = (id) => document.querySelector(id);
let shown = null;
let all = false;

find("#more").addEventListener("click", () => {
  all = !all;
  draw();
});

/** Show `{top, unknown, objects?, milliseconds}` of a network that sees `size` pixels a side; null shows none. */
export function showAnswer(answer, size) {
  shown = answer && { ...answer, size };
  all = false;
  draw();
}

/** The answer in a few words: the best class; of objects how many there are of each. */
export function summary({ top: [best], unknown, objects }) {
  if (objects) return counted(objects).map(([name, n]) => (n > 1 ? `${count(n)} × ${name}` : name)).join(", ") || words("nothing");
  return unknown ? words("unknown") : best.label;
}

/** The answer in one spoken line. */
export function spoken(answer) {
  const { top: [best], unknown, objects } = answer;
  if (objects) return summary(answer);
  return unknown ? words("unknown") : words("spoken", { label: best.label, share: percent(best.probability) });
}

/** Draw again, for instance in another language. */
export function draw() {
  find("#answer").hidden = !shown;
  if (!shown) return;
  const { top, unknown, objects, milliseconds, size } = shown;
  const best = summary(shown);
  find("#best").textContent = best;
  find("#best").classList.toggle("long", best.length > LONG);
  find("#unsure").hidden = Boolean(objects) || unknown || top[0].probability >= 0.5;
  find("#unlike").hidden = !unknown;
  find("#bars").replaceChildren(...top.slice(0, all ? top.length : FEW).map(bar));
  find("#more").hidden = top.length <= FEW;
  find("#more").textContent = all ? words("fewer") : words("all", { n: count(top.length) });
  find("#more").setAttribute("aria-expanded", String(all));
  find("#time").textContent = words("took", { ms: count(Math.round(milliseconds)), size });
}

function bar({ label, probability }) {
  const item = document.createElement("li");
  for (const [name, text] of [["label", label], ["share", percent(probability)], ["track", ""]]) {
    const part = document.createElement("span");
    part.className = name;
    part.textContent = text; // names of classes are text, whatever they contain
    item.append(part);
  }
  item.lastChild.setAttribute("aria-hidden", "true");
  item.lastChild.style.setProperty("--share", probability);
  return item;
}
