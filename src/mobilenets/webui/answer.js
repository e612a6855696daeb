// The answer: the best class in large letters, bars for the others; of labels and scores with their thresholds.

import { counted } from "./boxes.js";
import { count, figure, percent, words } from "./i18n.js";

const FEW = 5;
const LONG = 24; // characters: a longer name is set smaller

const find = (id) => document.querySelector(id);
let shown = null;
let all = false;

find("#more").addEventListener("click", () => {
  all = !all;
  draw();
});

/** Show `{top, unknown, objects?, labels?, score?, threshold?, milliseconds}` of a network that sees `size` pixels a side; null shows none. */
export function showAnswer(answer, size) {
  shown = answer && { ...answer, size };
  all = false;
  draw();
}

/** The answer in a few words: the best class; the labels; good or not; of objects how many there are of each. */
export function summary({ top: [best], unknown, objects, labels, score, threshold }) {
  if (objects) return counted(objects).map(([name, n]) => (n > 1 ? `${count(n)} × ${name}` : name)).join(", ") || words("nothing");
  if (score !== undefined) return words(score >= threshold ? "defect" : "good");
  if (unknown) return words("unknown");
  return labels ? labels.join(", ") || words("noLabel") : best.label;
}

/** The one figure behind the summary; "" where there is none. */
export function share({ top: [best], unknown, objects, labels, score }) {
  if (score !== undefined) return figure(score);
  return unknown || objects || labels ? "" : percent(best.probability);
}

/** The answer in one spoken line. */
export function spoken(answer) {
  const label = summary(answer);
  return share(answer) ? words("spoken", { label, share: share(answer) }) : label;
}

/** Draw again, for instance in another language. */
export function draw() {
  find("#answer").hidden = !shown;
  if (!shown) return;
  const { top, unknown, objects, labels, score, threshold, milliseconds, size } = shown;
  const isInspected = score !== undefined;
  const best = summary(shown);
  find("#best").textContent = best;
  find("#best").classList.toggle("long", best.length > LONG);
  find("#best").classList.toggle("bad", isInspected && score >= threshold);
  find("#unsure").hidden = Boolean(objects || labels) || isInspected || unknown || top[0].probability >= 0.5;
  find("#unlike").hidden = !unknown;
  const bars = isInspected ? [{ label: words("score"), probability: score, threshold }] : top;
  find("#bars").replaceChildren(...bars.slice(0, all ? bars.length : FEW).map((one) => bar(one, isInspected)));
  find("#more").hidden = top.length <= FEW;
  find("#more").textContent = all ? words("fewer") : words("all", { n: count(top.length) });
  find("#more").setAttribute("aria-expanded", String(all));
  find("#time").textContent = words("took", { ms: count(Math.round(milliseconds)), size });
}

function bar({ label, probability, threshold }, isInspected) {
  const item = document.createElement("li");
  const written = isInspected ? figure : percent;
  const from = threshold === undefined ? "" : words(isInspected ? "defectsFrom" : "from", { limit: written(threshold) });
  for (const [name, text] of [["label", label], ["share", `${written(probability)}${from}`], ["track", ""]]) {
    const part = document.createElement("span");
    part.className = name;
    part.textContent = text; // names of classes are text, whatever they contain
    item.append(part);
  }
  item.lastChild.setAttribute("aria-hidden", "true");
  item.lastChild.style.setProperty("--share", probability);
  if (threshold !== undefined) {
    item.classList.add("limited");
    item.classList.toggle("there", probability >= threshold);
    item.lastChild.style.setProperty("--limit", threshold);
  }
  return item;
}
