// A picture file in, probabilities out, in a thread of its own so that the page stays awake.

import { env, InferenceSession, Tensor } from "./onnxruntime.js";
import { kindOf, readPng, sizeOf } from "./depth.js";
import { howKnown, isUnknown, readIndex } from "./known.js";
import { pixels } from "./preprocess.js";

const INDEX = ""; // the name of the training photos' index, where the export has one
const DEFAULT_THRESHOLD = 0.5; // of a box, where the card has none: metrics.py
const MAX_PIXELS = 120_000_000; // decode.py

// More threads than one need memory that is shared, which the server must allow by two headers.
env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
env.wasm.wasmPaths = { wasm: new URL("onnxruntime.wasm", import.meta.url).href };

const canvas = new OffscreenCanvas(1, 1);
// Kept in ordinary memory: a graphics card's colours may be rounded otherwise, and reading them back is slow.
const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
const opened = open();
opened.catch(() => {}); // told to whoever asks

self.addEventListener("message", async ({ data: { id, what, blob } }) => {
  try {
    self.postMessage({ id, result: what === "open" ? about(await opened) : await predict(blob) });
  } catch (error) {
    // The runtime also throws bare numbers, for instance where memory ran out.
    self.postMessage({ id, message: String(error?.message || error), code: error?.code });
  }
});

async function open() {
  const [card, model, index] = await Promise.all([
    load("card.json").then((response) => response.json()),
    load("model.onnx").then((response) => response.arrayBuffer()),
    INDEX ? load(INDEX).then((response) => response.arrayBuffer()).then(readIndex) : null,
  ]);
  try {
    return { card, index, session: await InferenceSession.create(model, { executionProviders: ["wasm"] }) };
  } catch (error) {
    throw failure("", `The model cannot be started: ${String(error.message ?? error).split("\n")[0]}`);
  }
}

async function load(name) {
  // Asked for anew each time: an old model with a new card would give wrong names.
  const response = await fetch(new URL(name, import.meta.url), { cache: "no-cache" }).catch(() => null);
  if (!response?.ok) throw failure("incomplete", `${name} cannot be loaded: copy the whole folder to the server.`);
  return response;
}

function about({ card }) {
  return { name: card.name, task: card.task, classes: card.classes, size: card.preprocess.size, explains: false, local: true };
}

async function predict(blob) {
  const { card, index, session } = await opened;
  const start = performance.now();
  const { size, mode } = card.preprocess;
  const input = (await deepPixels(card.preprocess, blob)) ?? (await shallowPixels(card.preprocess, blob));
  const image = new Tensor("uint8", input, [1, size, size, mode === "L" ? 1 : 3]);
  const given = await session.run({ image });
  if (given.classes) return { objects: found(card, given, input.sides), milliseconds: performance.now() - start };
  const { probabilities } = given;
  const unknown = index !== null && isUnknown(howKnown(index, given));
  const milliseconds = performance.now() - start;
  const top = [...probabilities.data].map((probability, k) => ({ label: card.classes[k], probability }));
  return { top: top.sort((a, b) => b.probability - a.probability), unknown, milliseconds };
}

/** The objects that reach the threshold of their class, `{label, score, box}`, the box in pixels of the upright picture. */
function found(card, { boxes, scores, classes }, [width, height]) {
  const objects = [];
  for (const [i, score] of scores.data.entries()) {
    const number = Number(classes.data[i]);
    if (number < 0 || score < (card.thresholds?.[number] ?? DEFAULT_THRESHOLD)) continue;
    const [x1, y1, x2, y2] = boxes.data.subarray(4 * i, 4 * i + 4);
    objects.push({ label: card.classes[number], score, box: [x1 * width, y1 * height, x2 * width, y2 * height] });
  }
  return objects;
}

/** The network's input of a picture as the browser decodes it, with the picture's `sides`. */
async function shallowPixels(preprocess, blob) {
  const bitmap = await decode(blob);
  try {
    const { width, height } = bitmap;
    return Object.assign(pixels(preprocess, width, height, (...box) => read(bitmap, ...box)), { sides: [width, height] });
  } finally {
    bitmap.close(); // tens of megabytes that the garbage collector does not see
  }
}

/** That of a picture with more than 8 bits a channel, by the range of the model's data set; null where it has not. */
async function deepPixels(preprocess, blob) {
  if (!preprocess.range) return null;
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const kind = kindOf(bytes);
  if (kind === null) return null;
  // A browser that shows TIFF makes 8 bits of it by a range of its own: another picture than the model learned from.
  if (kind === "tiff") throw failure("deep", "This page reads no TIFF files: save the photo as a 16-bit PNG.");
  const [wide, high] = sizeOf(bytes);
  if (wide * high > MAX_PIXELS) throw failure("too-many-pixels", "This photo has too many pixels: use a smaller copy of it.");
  const { width, height, rgba } = await readPng(bytes, preprocess.range).catch((error) => {
    throw failure("damaged-png", error.message);
  });
  const input = pixels(preprocess, width, height, (left, top, across, down) => {
    const part = new Uint8ClampedArray(across * down * 4);
    for (let y = 0; y < down; y++) {
      const start = ((top + y) * width + left) * 4;
      part.set(rgba.subarray(start, start + across * 4), y * across * 4);
    }
    return part;
  });
  return Object.assign(input, { sides: [width, height] });
}

/** The picture upright, its colours and its transparency as they are in the file. */
async function decode(blob) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
  } catch {
    throw failure("not-an-image", "That is no photo this browser can read: use a JPEG, PNG or WebP file.");
  }
  if (bitmap.width * bitmap.height <= MAX_PIXELS) return bitmap;
  bitmap.close();
  throw failure("too-many-pixels", "This photo has too many pixels: use a smaller copy of it.");
}

/** RGBA of a part of the picture, over white where it is transparent: decode.py's background. */
function read(bitmap, left, top, width, height) {
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

function failure(code, message) {
  return Object.assign(new Error(message), { code });
}
