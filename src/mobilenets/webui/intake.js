// Where photos come from besides the camera: the file chooser, dropping, pasting.

/** Call `receive(files)` with every list of files that arrives, `missing()` where something without a file does. */
export function takeIn(receive, missing) {
  for (const input of [document.querySelector("#file"), document.querySelector("#capture")]) {
    input.addEventListener("change", () => {
      const files = [...input.files];
      input.value = ""; // choosing the same file again is a change, too
      if (files.length) receive(files);
    });
  }
  const give = (transfer) => {
    const files = [...(transfer?.files ?? [])];
    if (files.length) receive(files);
    else missing();
  };
  document.addEventListener("paste", (event) => give(event.clipboardData));

  let depth = 0; // dragenter and dragleave also come from every element inside
  const mark = (change) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle("dropping", depth > 0);
  };
  document.addEventListener("dragenter", () => mark(1));
  document.addEventListener("dragleave", () => mark(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    mark(-depth);
    give(event.dataTransfer);
  });
  offerPasting(receive, missing);
}

/** A button for what Ctrl+V does, where the browser lets a page ask for the clipboard. */
function offerPasting(receive, missing) {
  const button = document.querySelector("#paste");
  button.hidden = !navigator.clipboard?.read;
  button.addEventListener("click", async () => {
    try {
      for (const item of await navigator.clipboard.read()) {
        const type = item.types.find((type) => type.startsWith("image/"));
        if (type) return receive([await item.getType(type)]);
      }
    } catch {
      // Refused by the person or the browser: nothing was pasted.
    }
    missing();
  });
}
