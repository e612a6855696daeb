// The page's answers, computed in the browser: worker.js decodes, resizes and runs the network. Nothing is sent anywhere.

const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
const waiting = new Map(); // number of a question → how to settle it
let asked = 0;

worker.addEventListener("message", ({ data: { id, result, message, code } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (message) reject(Object.assign(new Error(message), { code }));
  else resolve(result);
});
worker.addEventListener("error", (event) => {
  event.preventDefault();
  const error = new Error("A file of this page is missing, or this browser is too old to run it.");
  error.code = "incomplete";
  for (const { reject } of waiting.values()) reject(error);
  waiting.clear();
});

/** `{name, task, classes, size, explains, local}` of the model, once it is ready. */
export async function open() {
  // Once visited, the page also opens without a network. Where the browser has no such store it still runs.
  navigator.serviceWorker?.register(new URL("offline.js", import.meta.url)).catch(() => {});
  return ask("open");
}

/**
 * `{top: [{label, probability}, …], unknown, milliseconds}` of a picture file, best first.
 *
 * Of a detector `{objects: [{label, score, box}, …], milliseconds}`, boxes in pixels of the upright picture.
 */
export async function predict(blob) {
  return ask("predict", blob);
}

function ask(what, blob) {
  return new Promise((resolve, reject) => {
    waiting.set(++asked, { resolve, reject });
    worker.postMessage({ id: asked, what, blob });
  });
}
