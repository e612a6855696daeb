// The model card's preprocess, pixel for pixel as preprocess.py and Pillow do it: resize the short side, crop the centre.

const PRECISION = 22; // bits after the point of a weight: Pillow's Resample.c, PRECISION_BITS
const LONGEST = 8; // sides: a longer strip is resized and cropped in one step; preprocess.py, _LONGEST
const STRIP = 1 << 20; // pixels read at a time: browsers limit a canvas, on phones to 16 million pixels

// Pillow's filters, and how far from their centre they reach in pixels of the smaller picture.
const FILTERS = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: cubic },
};

/**
 * The network's input: uint8 size × size × channels, row by row.
 *
 * `preprocess`: of the model card. `width`, `height`: of the picture. `read(left, top, width, height)`: its opaque
 * pixels there, RGBA row by row; it is asked for one strip after the other, and only of the part that counts.
 */
export function pixels(preprocess, width, height, read) {
  const { size } = preprocess;
  const { columns, rows, tall } = plan(preprocess, width, height);
  const [left, top] = [columns[0].first, rows[0].first];
  const [across, down] = [end(columns) - left, end(rows) - top];
  const grey = preprocess.mode === "L";
  const part = (...box) => (grey ? toGrey(read(...box)) : read(...box));

  const result = new Uint8Array(size * size * 3);
  if (tall) {
    const middle = new Uint8Array(across * size * 3);
    const step = Math.max(1, Math.floor(STRIP / down));
    for (let x = 0; x < across; x += step) {
      const count = Math.min(step, across - x);
      const strip = part(left + x, top, count, down);
      for (let i = 0; i < count; i++) resample(strip, i * 4, count * 4, rows, top, middle, (x + i) * 3, across * 3);
    }
    for (let y = 0; y < size; y++) resample(middle, y * across * 3, 3, columns, left, result, y * size * 3, 3);
  } else {
    const middle = new Uint8Array(size * down * 3);
    const step = Math.max(1, Math.floor(STRIP / across));
    for (let y = 0; y < down; y += step) {
      const count = Math.min(step, down - y);
      const strip = part(left, top + y, across, count);
      for (let i = 0; i < count; i++) resample(strip, i * across * 4, 4, columns, left, middle, (y + i) * size * 3, 3);
    }
    for (let x = 0; x < size; x++) resample(middle, x * 3, size * 3, rows, top, result, x * 3, size * 3);
  }
  return grey ? result.filter((_, i) => i % 3 === 0) : result;
}

/** What each column and row of the result is made of, and whether the picture is resized down before across. */
function plan({ size, crop, interpolation }, width, height) {
  const filter = FILTERS[interpolation];
  const side = Math.floor(size / crop + 1e-6);
  const short = Math.min(width, height);
  const [wide, high] = [width, height].map((length) => Math.trunc((side * length) / short));
  const [x, y] = [halfToEven(wide - size), halfToEven(high - size)];
  // Pillow from version 13 on; up to 12 always across first, which differs in the rounding between the two.
  const tall = (w, h) => height > h && height - h > 2 * (width - w);
  if (Math.max(wide, high) <= LONGEST * side) {
    const columns = axis(width, 0, width, wide, filter).slice(x, x + size);
    return { columns, rows: axis(height, 0, height, high, filter).slice(y, y + size), tall: tall(wide, high) };
  }
  const boxed = (length, resized, from) => {
    const scale = length / resized;
    return axis(length, from * scale, Math.min((from + size) * scale, length), size, filter);
  };
  return { columns: boxed(width, wide, x), rows: boxed(height, high, y), tall: tall(size, size) };
}

/** For each of `count` pixels that cover `start` to `end`: the first source pixel it is made of, and weights from there on. */
function axis(length, start, end, count, { support, weight }) {
  [start, end] = [Math.fround(start), Math.fround(end)]; // Pillow takes boxes in single precision
  if (count === length && start === 0 && end === length) {
    return Array.from({ length }, (_, first) => ({ first, weights: [1 << PRECISION] })); // Pillow leaves this pass out
  }
  const scale = Math.fround(end - start) / count;
  const stretch = Math.max(scale, 1); // antialiasing: the filter grows with the pixels it covers
  const inverse = 1 / stretch;
  return Array.from({ length: count }, (_, i) => {
    const centre = start + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support * stretch + 0.5));
    const after = Math.min(length, Math.trunc(centre + support * stretch + 0.5));
    const exact = [];
    for (let x = first; x < after; x++) exact.push(weight((x - centre + 0.5) * inverse));
    const sum = exact.reduce((a, b) => a + b, 0) || 1;
    return { first, weights: exact.map((w) => fixed(w / sum)) };
  });
}

function fixed(weight) {
  return Math.trunc(weight * (1 << PRECISION) + (weight < 0 ? -0.5 : 0.5));
}

function cubic(x) {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

/** n / 2 as a whole number, halves to the even one, as Python rounds. */
function halfToEven(n) {
  const down = Math.floor(n / 2);
  return n % 2 === 0 ? down : down + (down % 2);
}

function end(taps) {
  const { first, weights } = taps[taps.length - 1];
  return first + weights.length;
}

/**
 * One line of pixels, three channels: from `source`, where pixel `base` of the picture lies at `at` and the next one
 * `step` further, to `target` from `to` on, `stride` apart.
 */
function resample(source, at, step, taps, base, target, to, stride) {
  for (const { first, weights } of taps) {
    let [red, green, blue] = [HALF, HALF, HALF];
    let from = at + (first - base) * step;
    for (let i = 0; i < weights.length; i++, from += step) {
      const weight = weights[i];
      red += source[from] * weight;
      green += source[from + 1] * weight;
      blue += source[from + 2] * weight;
    }
    target[to] = clip(red);
    target[to + 1] = clip(green);
    target[to + 2] = clip(blue);
    to += stride;
  }
}

const HALF = 1 << (PRECISION - 1);

function clip(sum) {
  return Math.max(0, Math.min(255, sum >> PRECISION));
}

/** RGBA with grey in R, G and B, in place: ITU-R 601-2 luma in 16 bits, as Pillow's conversion to L. */
function toGrey(rgba) {
  for (let i = 0; i < rgba.length; i += 4) {
    rgba.fill((rgba[i] * 19595 + rgba[i + 1] * 38470 + rgba[i + 2] * 7471 + 0x8000) >> 16, i, i + 3);
  }
  return rgba;
}
