// What is unknown: a photo's features beside those of the training photos, as mobilenets/features compares them.

const ACCEPT = 0.95; // of the known photos

/** An index from the bytes of index.safetensors. */
export function readIndex(buffer) {
  const start = 8 + Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, start - 8)));
  const bytes = (name) => buffer.slice(...header[name].data_offsets.map((offset) => start + offset));
  const width = header.features.shape[1];
  return {
    width,
    rows: roots(new Uint16Array(bytes("features")), width, half),
    distances: new Float32Array(bytes("distances")),
    known: new Float32Array(bytes("known")),
  };
}

/** Which share of known photos is as unlike the training photos as one with these features, or more. */
export function howKnown({ width, rows, distances, known }, features) {
  const asked = roots(features, width);
  let nearest = -1;
  for (let start = 0; start < rows.length; start += width) {
    let cosine = 0;
    for (let i = 0; i < width; i++) cosine += rows[start + i] * asked[i];
    if (cosine > nearest) nearest = cosine;
  }
  const distance = Math.max(0, 1 - nearest);
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

/** Square roots with their signs, of each `width` values at length 1. */
function roots(values, width, read = (value) => value) {
  const rows = new Float32Array(values.length);
  for (let start = 0; start < rows.length; start += width) {
    let length = 0; // of the roots, squared: the sum of the values
    for (let i = start; i < start + width; i++) {
      const value = read(values[i]);
      length += Math.abs(value);
      rows[i] = Math.sign(value) * Math.sqrt(Math.abs(value));
    }
    length = Math.max(Math.sqrt(length), 1e-12);
    for (let i = start; i < start + width; i++) rows[i] /= length;
  }
  return rows;
}

/** The number that 16 bits are. */
function half(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}
