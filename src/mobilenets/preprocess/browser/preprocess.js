// The model card's preprocess, pixel for pixel as preprocess.py and Pillow do it: resize, then crop, pad or squash.

const PRECISION = 22; // bits after the point of a weight: Pillow's Resample.c, PRECISION_BITS
const PADDING = 114; // the grey beside a padded photograph: fit.py
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
  const { columns, rows, x, y, tall } = plan(preprocess, width, height);
  const [left, top] = [columns[0].first, rows[0].first];
  const [across, down] = [end(columns) - left, end(rows) - top];
  const grey = preprocess.mode === "L";
  const part = (...box) => (grey ? toGrey(read(...box)) : read(...box));

  const result = new Uint8Array(size * size * 3).fill(PADDING);
  const corner = (y * size + x) * 3; // where the photograph begins
  if (tall) {
    const middle = new Uint8Array(across * rows.length * 3);
    const step = Math.max(1, Math.floor(STRIP / down));
    for (let from = 0; from < across; from += step) {
      const count = Math.min(step, across - from);
      const strip = part(left + from, top, count, down);
      for (let i = 0; i < count; i++) resample(strip, i * 4, count * 4, rows, top, middle, (from + i) * 3, across * 3);
    }
    for (let row = 0; row < rows.length; row++) {
      resample(middle, row * across * 3, 3, columns, left, result, corner + row * size * 3, 3);
    }
  } else {
    const breadth = columns.length * 3;
    const middle = new Uint8Array(breadth * down);
    const step = Math.max(1, Math.floor(STRIP / across));
    for (let from = 0; from < down; from += step) {
      const count = Math.min(step, down - from);
      const strip = part(left, top + from, across, count);
      for (let i = 0; i < count; i++) {
        resample(strip, i * across * 4, 4, columns, left, middle, (from + i) * breadth, 3);
      }
    }
    for (let column = 0; column < columns.length; column++) {
      resample(middle, column * 3, breadth, rows, top, result, corner + column * 3, size * 3);
    }
  }
  return grey ? result.filter((_, i) => i % 3 === 0) : result;
}

/**
 * What each column and row of the photograph in the result is made of, where it begins there (`x`, `y`), and whether the
 * picture is resized down before across.
 */
function plan({ size, crop, interpolation, fit = "crop" }, width, height) {
  const filter = FILTERS[interpolation];
  const side = Math.floor(size / crop + 1e-6);
  const given = fit === "pad" ? Math.max(width, height) : Math.min(width, height);
  const resized = (length) => (fit === "squash" ? side : Math.max(1, Math.trunc((side * length) / given)));
  const [wide, high] = [resized(width), resized(height)];
  const [x, y] = [halfToEven(wide - size), halfToEven(high - size)]; // negative where there is padding
  const padding = { x: Math.max(0, -x), y: Math.max(0, -y) };
  // Pillow from version 13 on; up to 12 always across first, which differs in the rounding between the two.
  const tall = (w, h) => height > h && height - h > 2 * (width - w);
  if (Math.max(wide, high) <= LONGEST * side) {
    const columns = axis(width, 0, width, wide, filter).slice(Math.max(0, x), x + size);
    const rows = axis(height, 0, height, high, filter).slice(Math.max(0, y), y + size);
    return { columns, rows, ...padding, tall: tall(wide, high) };
  }
  const boxed = (length, resized, from) => {
    const scale = length / resized;
    return axis(length, from * scale, Math.min((from + size) * scale, length), size, filter);
  };
  return { columns: boxed(width, wide, x), rows: boxed(height, high, y), ...padding, tall: tall(size, size) };
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
  return n % 2 === 0 ? down : down + Math.abs(down % 2);
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
