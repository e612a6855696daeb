// The page's predictor where a server answers: `mobilenets serve`.

const SHOWN = 20, OBJECTS = 10_000; // classes asked for; objects, of which a photo in tiles may have many
let about = null;

/** What the server's model is. */
export async function open() {
  about = await ask("model");
  return about;
}

/** The server's answer for the bytes of a picture. */
export async function predict(blob) {
  if (blob.size > about.limits.bytes) throw failure("too-large", "The file is larger than the server takes.");
  const query = `top=${about.task === "detect" ? OBJECTS : SHOWN}${about.explains ? "&explain=true" : ""}`;
  const options = { method: "POST", body: blob, headers: { "Content-Type": "application/octet-stream" } };
  const { results: [found], milliseconds } = await ask(`predict?${query}`, options);
  const { label, top, objects, labels, score, threshold } = found;
  if (objects) return { objects, milliseconds };
  const overlay = found.overlay ? picture(found.overlay) : undefined;
  if (about.task === "anomaly") return { score, threshold, milliseconds, overlay };
  if (about.task === "multilabel") {
    return { labels: labels ?? [], top: top.map(withThreshold), unknown: labels === null, milliseconds, overlay };
  }
  return { top, unknown: label === null, milliseconds, overlay };
}

function withThreshold(one) {
  return { ...one, threshold: about.thresholds[about.classes.indexOf(one.label)] };
}

/** What the server answers, as JSON; an error has the `code` of what went wrong. */
export async function ask(path, options) {
  let answer;
  let content;
  try {
    answer = await fetch(path, options);
    content = await answer.json();
  } catch {
    throw failure("offline", "The server cannot be reached.");
  }
  if (!answer.ok) throw failure(content.code, content.error);
  return content;
}

function failure(code, message) {
  return Object.assign(new Error(message), { code });
}

function picture(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}
