// The labelling page: one photo after another, one key for each class. Every answer is sent at once.

import { count, problem, switchLanguage, translatePage, words } from "./i18n.js";
import { ask } from "./predictor.js";

const WHY = { typical: "labelTypical", unsure: "labelUnsure" }; // of a photo that label-next chose
const KEYS = "1234567890qwertyuiopasdfghjklzxcvbnm";
const find = (id) => document.querySelector(id);
let list = null; // what the server knows: file, classes, photos with their labels
let at = 0; // the number of the photo that is shown
let failure = null;
let sending = Promise.resolve(); // answers arrive in the order in which they were given

find("#language").addEventListener("click", () => {
  switchLanguage();
  draw();
});
find("#back").addEventListener("click", () => go(at - 1));
find("#skip").addEventListener("click", () => go(at + 1));
find("#undo").addEventListener("click", () => give(null));
find("#new-class").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = find("#new").value.trim();
  find("#new").value = "";
  find("#new").blur();
  if (name) give(name);
});
document.addEventListener("keydown", (event) => {
  if (list === null || event.ctrlKey || event.metaKey || event.altKey || event.target === find("#new")) return;
  const name = list.classes[KEYS.indexOf(event.key.toLowerCase())];
  if (event.key === "ArrowLeft") go(at - 1);
  else if (event.key === "ArrowRight") go(at + 1);
  else if (event.key === "Backspace") give(null);
  else if (event.key.length === 1 && name !== undefined) give(name);
  else return;
  event.preventDefault();
});

draw();
ask("label/list").then((found) => {
  list = found;
  const first = list.photos.findIndex((photo) => photo.label === null);
  at = first < 0 ? 0 : first;
  draw();
}, fail);

/** Show photo `number`, if there is one. */
function go(number) {
  if (list === null || number < 0 || number >= list.photos.length) return;
  at = number;
  draw();
}

/** Give the photo that is shown this label (null: take it back), and show the next. */
function give(label) {
  if (list === null) return;
  const number = at;
  if (label !== null && !list.classes.includes(label)) list.classes.push(label);
  list.photos[number].label = label;
  if (label !== null) go(number + 1);
  draw();
  const options = { method: "PUT", body: JSON.stringify({ label }), headers: { "Content-Type": "application/json" } };
  sending = sending.then(() => ask(`label/photo/${number}`, options)).then(() => {
    failure = null;
    draw();
  }, (error) => {
    list.photos[number].label = null;
    fail(error);
  });
}

function fail(error) {
  failure = error;
  draw();
}

/** Everything that is shown. */
function draw() {
  translatePage();
  find("#language").textContent = words("other");
  find("#language").lang = document.documentElement.lang === "en" ? "zh" : "en";
  find("#problem").hidden = failure === null;
  find("#problem").textContent = failure === null ? "" : problem(failure);
  if (list === null) return;
  const photo = list.photos[at];
  const done = list.photos.filter((one) => one.label !== null).length;
  const source = `label/photo/${at}`;
  if (find("#photo").getAttribute("src") !== source) find("#photo").src = source;
  find("#photo").alt = photo.name;
  find("#name").textContent = photo.name;
  find("#why").textContent = Object.hasOwn(WHY, photo.why) ? `(${words(WHY[photo.why])})` : "";
  const where = { i: count(at + 1), n: count(list.photos.length), done: count(done) };
  find("#progress").textContent = words(done === list.photos.length ? "labelAll" : "labelProgress", where);
  find("#file").textContent = words("labelFile", { file: list.file });
  find("#back").disabled = at === 0;
  find("#skip").disabled = at === list.photos.length - 1;
  find("#undo").disabled = photo.label === null;
  find("#classes").replaceChildren(...list.classes.map((name, i) => button(name, KEYS[i], photo.label === name)));
  if (at + 1 < list.photos.length) new Image().src = `label/photo/${at + 1}`; // so that it is there when it is asked for
}

function button(name, key, chosen) {
  const item = document.createElement("li");
  const element = document.createElement("button");
  element.type = "button";
  element.className = "button";
  element.setAttribute("aria-pressed", String(chosen));
  if (key !== undefined) {
    const hint = document.createElement("kbd");
    hint.textContent = key.toUpperCase();
    element.append(hint, " ");
  }
  element.append(name);
  element.addEventListener("click", () => give(name));
  item.append(element);
  return item;
}
