// Small copies of photos, so that a visit of many holds none at full size.

const SIDE = 1024; // pixels: sharp on the stage of a phone and of a desk

/** `{url, width, height}`: a copy at most SIDE pixels long, and the photo's size; null where the browser cannot show it. */
export async function smallCopy(blob) {
  try {
    const bitmap = await createImageBitmap(blob);
    const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.fillStyle = "#fff"; // what shows through where a picture is transparent, as the network sees it
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const { width, height } = bitmap;
    bitmap.close();
    const copy = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
    return { url: URL.createObjectURL(copy), width, height };
  } catch {
    return null;
  }
}
