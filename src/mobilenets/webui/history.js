// The photos of this visit, newest first: in memory only, gone when the page is.

import { share, summary } from "./answer.js";
import { words } from "./i18n.js";

const MOST = 50;

export class History {
  #list = document.querySelector("#history");
  #section = document.querySelector("#past");
  #entries = [];
  #current = null;
  #open;

  /** `open(entry)` is called when the person picks one; `cleared()` when all are forgotten. */
  constructor(open, cleared) {
    this.#open = open;
    document.querySelector("#forget").addEventListener("click", () => {
      cleared();
      this.#entries.splice(0).forEach(release);
      this.draw();
    });
  }

  /** Keep what `showAnswer` takes with `{photo, overlay}`, whose photo and overlay are URLs or null. */
  add(entry) {
    this.#entries.unshift(entry);
    this.#entries.splice(MOST).forEach(release);
    this.draw();
    this.#list.scrollTo({ left: 0 });
  }

  /** Mark the entry that is shown; null: none is. */
  mark(entry) {
    this.#current = entry;
    for (const [i, button] of this.#list.querySelectorAll("button").entries()) {
      button.setAttribute("aria-current", String(this.#entries[i] === entry));
    }
  }

  /** Draw again, for instance in another language. */
  draw() {
    this.#section.hidden = !this.#entries.length;
    this.#list.replaceChildren(...this.#entries.map((entry) => this.#item(entry)));
  }

  #item(entry) {
    const label = summary(entry);
    const figure = share(entry);
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", figure ? words("photoOf", { label, share: figure }) : label);
    button.setAttribute("aria-current", String(entry === this.#current));
    const picture = document.createElement(entry.photo ? "img" : "span");
    if (entry.photo) Object.assign(picture, { src: entry.photo, alt: "" });
    else picture.className = "blank";
    button.append(picture, text("label", label), text("share", figure));
    button.addEventListener("click", () => this.#open(entry));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }
}

function text(name, content) {
  const part = document.createElement("span");
  part.className = name;
  part.textContent = content;
  return part;
}

function release({ photo, overlay }) {
  for (const url of [photo, overlay]) if (url) URL.revokeObjectURL(url);
}
