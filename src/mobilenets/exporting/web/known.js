// What is unknown: what was seen in a photo beside the training photos, as mobilenets/features/unlike.py compares them.

const ACCEPT = 0.95; // of the known photos
const POWER = 0.75; // unlike.py

/** An index from the bytes of index.safetensors. */
export function readIndex(buffer) {
  const start = 8 + Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)));
  const bytes = (name) => buffer.slice(...header[name].data_offsets.map((offset) => start + offset));
  const width = header.features.shape[1];
  const floats = (name) => new Float32Array(bytes(name));
  const [features, lengths] = [new Uint16Array(bytes("features")), floats("lengths")];
  return {
    rows: Array.from(lengths, (length, i) => roots(features.subarray(i * width, (i + 1) * width), length, half)),
    spread: header.centre ? { centre: floats("centre"), whitening: floats("whitening") } : null,
    levels: floats("levels"),
    distances: floats("distances"),
    known: floats("known"),
  };
}

/** Which share of known photos is as unlike the training photos as one with these outputs of the model, or more. */
export function howKnown({ rows, spread, levels, distances, known }, { features, length, means }) {
  const asked = roots(features.data, length.data[0]);
  let [cosine, nearest] = [-Infinity, null];
  for (const row of rows) {
    const found = product(row.unit, asked.unit);
    if (found > cosine) [cosine, nearest] = [found, row];
  }
  const apart = Math.max(0, 1 - cosine);
  const euclidean = Math.sqrt((asked.length - nearest.length) ** 2 + 2 * asked.length * nearest.length * apart);
  const measures = spread ? [euclidean, fromCentre(spread, means.data)] : [apart * asked.length ** POWER];
  const distance = Math.max(...measures.map((measure, i) => measure / levels[i]));
  let [low, high] = [0, distances.length]; // the first that is as far or farther
  while (low < high) {
    const middle = (low + high) >> 1;
    if (distances[middle] < distance) low = middle + 1;
    else high = middle;
  }
  return known[low];
}

/** Whether that is too little for an answer. */
export function isUnknown(known) {
  return known <= 1 - ACCEPT + 1e-6;
}

/** Square roots with their signs at length 1, and the length they have where the values have `length`. */
function roots(values, length, read = (value) => value) {
  const unit = Float32Array.from(values, (value) => root(read(value)));
  const own = Math.max(Math.sqrt(product(unit, unit)), 1e-12);
  return { unit: unit.map((value) => value / own), length: own * Math.sqrt(length) };
}

/** How far means are from those of the training photos, where these spread alike in all directions. */
function fromCentre({ centre, whitening }, means) {
  const apart = centre.map((value, i) => root(means[i]) - value);
  let squares = 0;
  for (let start = 0; start < whitening.length; start += apart.length) {
    squares += product(whitening.subarray(start, start + apart.length), apart) ** 2;
  }
  return Math.sqrt(squares);
}

function root(value) {
  return Math.sign(value) * Math.sqrt(Math.abs(value));
}

function product(some, others) {
  let sum = 0;
  for (let i = 0; i < some.length; i++) sum += some[i] * others[i];
  return sum;
}

/** The number that 16 bits are. */
function half(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}
