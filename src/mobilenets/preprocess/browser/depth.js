// PNG files of 16 bits a channel in the range of the model's data set, as depth.py reads them.
// A browser reduces them to 8 bits by itself, of which a 12-bit camera fills a sixteenth.

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const CHANNELS = { 0: 1, 2: 3, 4: 2, 6: 4 }; // by colour type: grey, RGB, grey with alpha, RGB with alpha
const WHITE = 255; // decode.py's background

/** What only this module reads right: "png" of 16 bits, "tiff" (not read: some browsers show it in 8 bits), else null. */
export function kindOf(bytes) {
  if (SIGNATURE.every((byte, i) => bytes[i] === byte)) return bytes[24] === 16 ? "png" : null;
  const [a, b, c, d] = bytes;
  const tiff = (a === 0x49 && b === 0x49 && (c === 42 || c === 43)) || (a === 0x4d && b === 0x4d && (d === 42 || d === 43));
  return tiff ? "tiff" : null;
}

/** Width and height as stored. */
export function sizeOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return [view.getUint32(16), view.getUint32(20)];
}

/**
 * `{width, height, rgba}` of a 16-bit PNG, upright, over white: `low` of the range is 0, `high` 255.
 *
 * Throws an Error with one sentence where the file is damaged or interlaced.
 */
export async function readPng(bytes, [low, high]) {
  const { header, data, chunks } = parse(bytes);
  const [width, height] = sizeOf(bytes);
  const [colour, interlace] = [header[9], header[12]];
  const channels = CHANNELS[colour];
  if (!channels || !width || !height) throw new Error("The file is damaged: copy it again.");
  if (interlace) throw new Error("Interlaced PNG files of 16 bits are not read here: save it without interlacing.");
  const stride = width * channels * 2;
  const raw = await inflate(data, height * (stride + 1));
  unfilter(raw, height, stride, channels * 2);

  const hidden = chunks.tRNS && colour !== 4 && colour !== 6 ? words(chunks.tRNS, channels) : null;
  const grey = channels < 3;
  const alphaAt = channels === 2 ? 1 : channels === 4 ? 3 : -1;
  const rgba = new Uint8ClampedArray(width * height * 4);
  let to = 0;
  for (let y = 0; y < height; y++) {
    let from = y * (stride + 1) + 1;
    for (let x = 0; x < width; x++, from += channels * 2, to += 4) {
      const value = (channel) => (raw[from + 2 * channel] << 8) | raw[from + 2 * channel + 1];
      let alpha = alphaAt < 0 ? 255 : raw[from + 2 * alphaAt];
      if (hidden?.every((word, channel) => word === value(channel))) alpha = 0;
      for (let channel = 0; channel < 3; channel++) {
        rgba[to + channel] = toByte(value(grey ? 0 : channel), low, high);
      }
      rgba[to + 3] = alpha;
    }
  }
  overWhite(rgba);
  return upright({ width, height, rgba }, orientation(chunks.eXIf));
}

function parse(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks = {};
  const data = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (name === "IDAT") data.push(content);
    else chunks[name] ??= content;
    if (name === "IEND") break;
    at += 12 + length;
  }
  return { header: chunks.IHDR ?? [], data, chunks };
}

/** The first `wanted` bytes of what was compressed; a file that holds more is not read further. */
async function inflate(parts, wanted) {
  const result = new Uint8Array(wanted);
  const reader = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let filled = 0;
  try {
    while (filled < wanted) {
      const { done, value } = await reader.read();
      if (done) break;
      const some = value.subarray(0, wanted - filled);
      result.set(some, filled);
      filled += some.length;
    }
  } catch {
    filled = -1;
  }
  reader.cancel().catch(() => {});
  if (filled < wanted) throw new Error("The file is damaged or cut off: copy it again.");
  return result;
}

/** PNG, §9: every line is stored as differences to its left, upper and upper left neighbours; undone in place. */
function unfilter(raw, height, stride, step) {
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1) + 1;
    const filter = raw[start - 1];
    for (let i = 0; i < stride; i++) {
      const at = start + i;
      const left = i < step ? 0 : raw[at - step];
      const up = y ? raw[at - stride - 1] : 0;
      if (filter === 1) raw[at] += left;
      else if (filter === 2) raw[at] += up;
      else if (filter === 3) raw[at] += (left + up) >> 1;
      else if (filter === 4) raw[at] += paeth(left, up, i < step || !y ? 0 : raw[at - stride - 1 - step]);
    }
  }
}

function paeth(left, up, corner) {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

/** depth.py, eight_bit: in the same order, so that the doubles are the same. */
function toByte(value, low, high) {
  return Math.trunc(Math.max(0, Math.min(255, ((value - low) / (high - low)) * 255 + 0.5)));
}

/** Blended as Pillow does; where nothing at all is visible the hidden colours are shown, as colours.py says. */
function overWhite(rgba) {
  let most = 0;
  for (let i = 3; i < rgba.length; i += 4) most = Math.max(most, rgba[i]);
  for (let i = 0; i < rgba.length; i += 4) {
    const alpha = most ? rgba[i + 3] : 255;
    for (let k = i; k < i + 3; k++) {
      const sum = rgba[k] * alpha + WHITE * (255 - alpha) + 128;
      rgba[k] = ((sum >> 8) + sum) >> 8;
    }
    rgba[i + 3] = 255;
  }
}

function words(bytes, count) {
  return Array.from({ length: count }, (_, i) => (bytes[2 * i] << 8) | bytes[2 * i + 1]);
}

/** EXIF's orientation, 1 where there is none. */
function orientation(exif) {
  if (!exif || exif.length < 14) return 1;
  const view = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
  const little = exif[0] === 0x49;
  const directory = view.getUint32(4, little);
  if (directory + 2 > exif.length) return 1;
  for (let i = 0; i < view.getUint16(directory, little); i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > exif.length) return 1;
    if (view.getUint16(entry, little) === 0x0112) return view.getUint16(entry + 8, little);
  }
  return 1;
}

/** Turned and mirrored as the orientation says (EXIF 2.32, tag 0x0112). */
function upright(picture, orientation) {
  if (!(orientation >= 2 && orientation <= 8)) return picture;
  const { width, height, rgba } = picture;
  const swapped = orientation >= 5;
  const [across, down] = swapped ? [height, width] : [width, height];
  const mirrored = [2, 3, 7, 8].includes(orientation); // of the columns as they are stored
  const flipped = [3, 4, 6, 7].includes(orientation); // of the rows as they are stored
  const [source, target] = [new Uint32Array(rgba.buffer), new Uint32Array(across * down)];
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      const [column, row] = swapped ? [y, x] : [x, y];
      const from = (flipped ? height - 1 - row : row) * width + (mirrored ? width - 1 - column : column);
      target[y * across + x] = source[from];
    }
  }
  return { width: across, height: down, rgba: new Uint8ClampedArray(target.buffer) };
}
