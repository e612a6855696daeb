// The page: photos come in, answers are shown. Who answers is predictor.js, which comes with the page.

import { draw, showAnswer, spoken } from "./answer.js";
import { drawBoxes } from "./boxes.js";
import { Camera } from "./camera.js";
import { History } from "./history.js";
import { count, problem, switchLanguage, translatePage, words } from "./i18n.js";
import { takeIn } from "./intake.js";
import { smallCopy } from "./picture.js";
import { open, predict } from "./predictor.js";

const find = (id) => document.querySelector(id);
const stage = find("#stage");
const camera = new Camera(find("#video"));
const history = new History(showEntry, () => showEntry(null));
const opened = open();
const LEADS = { detect: "finds", multilabel: "labels", anomaly: "inspects" };
let model = null; // once it is opened
let failures = []; // the errors that are shown, each with the name of its file or ""
let waiting = Promise.resolve(); // photos are looked at one after the other
let before = null; // what the stage showed before the camera

takeIn(look, () => showFailures({ error: Object.assign(new Error("There is no photo in it."), { code: "no-file" }) }));
find("#language").addEventListener("click", () => {
  switchLanguage();
  write();
});
find("#camera").addEventListener("click", () => (Camera.offered ? useCamera(() => camera.start()) : find("#capture").click()));
find("#camera-turn").addEventListener("click", () => useCamera(() => camera.turn()));
find("#camera-close").addEventListener("click", closeCamera);
find("#camera-take").addEventListener("click", async () => {
  const photo = await camera.take();
  closeCamera();
  look([photo]);
});
find("#explain-switch").addEventListener("change", () => showStage(stage.dataset.show));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && stage.dataset.show === "camera") closeCamera();
});
window.addEventListener("pagehide", () => camera.stop());

write();
opened.then((about) => {
  model = about;
  if (model.task === "anomaly") { // where it is strange is half of the answer
    find("#explain-switch").checked = true;
    find("#explain-words").dataset.i18n = "strange";
  }
  write();
}, (error) => showFailures({ error }));

/** Everything that is words, in the current language. */
function write() {
  translatePage();
  find("#language").textContent = words("other");
  find("#language").lang = document.documentElement.lang === "en" ? "zh" : "en";
  find("#model").textContent = model?.name ?? "mobilenets";
  document.title = model ? `${model.name} · mobilenets` : "mobilenets";
  const lead = words(LEADS[model?.task] ?? "knows", { n: count(model?.classes.length ?? 0) });
  find("#known-lead").textContent = model ? lead : failures.length ? "" : words("loading");
  find("#classes").replaceChildren(...(model?.classes ?? []).map(chip));
  find("#privacy").textContent = model ? words(model.local ? "local" : "sent") : "";
  showFailures(...failures);
  draw();
  history.draw();
}

function chip(name) {
  const item = document.createElement("li");
  item.textContent = name;
  return item;
}

/** Have photos answered, in their order; each lands in the history. */
function look(photos) {
  waiting = waiting.then(async () => {
    const several = photos.length > 1;
    const failed = [];
    document.body.classList.add("busy");
    for (const [i, photo] of photos.entries()) {
      find("#live").textContent = several ? words("workingOn", { i: i + 1, n: photos.length }) : words("working");
      const error = await lookAt(photo);
      if (error) failed.push({ name: several ? photo.name : "", error });
    }
    document.body.classList.remove("busy");
    showFailures(...failed);
  });
}

/** Have one answered and show it; what comes back is the error, where there was one. */
async function lookAt(photo) {
  closeCamera();
  const copy = await smallCopy(photo);
  showFailures();
  showPhoto(copy?.url, null, "");
  showAnswer(null);
  try {
    const { size } = await opened;
    const { overlay, objects, ...answer } = await predict(photo);
    const heat = overlay ? URL.createObjectURL(overlay) : null;
    const top = answer.top ?? (objects ?? []).map(({ label, score }) => ({ label, probability: score }));
    const entry = { ...answer, photo: copy?.url, pixels: copy, overlay: heat, top, objects, size };
    history.add(entry);
    showEntry(entry);
    find("#live").textContent = spoken(entry);
    return null;
  } catch (error) {
    showEntry(null);
    if (copy) URL.revokeObjectURL(copy.url);
    return error;
  }
}

/** Show a photo of the history with its answer; null: the invitation. */
function showEntry(entry) {
  closeCamera();
  showFailures();
  history.mark(entry);
  showAnswer(entry, entry?.size);
  find("#known").hidden = entry !== null;
  if (entry) showPhoto(entry.photo, entry.overlay, spoken(entry), entry);
  else showStage("invite");
}

function showPhoto(url, overlay, description, { objects, pixels } = {}) {
  find("#known").hidden = true;
  const photo = find("#photo");
  photo.hidden = !url;
  find("#no-preview").hidden = Boolean(url);
  photo.alt = description || words("photo");
  if (url) photo.src = url;
  if (overlay) find("#overlay").src = overlay;
  else find("#overlay").removeAttribute("src");
  showStage("photo");
  drawBoxes(find("#boxes"), pixels && objects ? objects : [], pixels?.width ?? 1, pixels?.height ?? 1, model?.classes ?? []); // after it is shown: its labels can be read at its size
}

/** Show "invite", "photo" or "camera"; the switch only where it has an overlay to switch. */
function showStage(what) {
  const explained = what === "photo" && find("#overlay").hasAttribute("src");
  stage.dataset.show = what;
  find("#explain").hidden = !explained;
  find("#overlay").hidden = !explained || !find("#explain-switch").checked;
}

/** One sentence on each `{name, error}` that went wrong; without any, the last ones go. */
function showFailures(...shown) {
  failures = shown;
  find("#problem").hidden = !shown.length;
  find("#problem").textContent = shown.map(({ name, error }) => (name ? `${name}: ` : "") + problem(error)).join("\n");
  if (shown.length && !model) find("#known-lead").textContent = "";
}

async function useCamera(start) {
  showFailures();
  before ??= stage.dataset.show;
  showStage("camera");
  find("#camera-take").disabled = true; // until there is a picture to take
  try {
    find("#camera-turn").style.visibility = (await start()) ? "visible" : "hidden";
    find("#camera-take").disabled = false;
    find("#camera-take").focus();
  } catch (error) {
    if (stage.dataset.show !== "camera") return; // closed in the meantime
    closeCamera();
    showFailures({ error });
  }
}

function closeCamera() {
  camera.stop();
  if (stage.dataset.show === "camera") showStage(before ?? "invite");
  before = null;
}
