// The camera: its live picture in a <video>, and photos out of it.

export class Camera {
  #video;
  #stream = null;
  #facing = "environment";
  #starts = 0;

  constructor(video) {
    this.#video = video;
  }

  /** Whether the browser gives this page a camera at all: only over https, or from this very machine. */
  static get offered() {
    return Boolean(navigator.mediaDevices?.getUserMedia);
  }

  /** Show the camera's picture; the answer is whether there is another camera to turn to. */
  async start() {
    this.stop();
    const start = this.#starts;
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        video: { facingMode: this.#facing, width: { ideal: 1280 }, height: { ideal: 960 } },
      });
    } catch (error) {
      const code = error.name === "NotAllowedError" ? "camera-refused" : "camera-missing";
      throw Object.assign(new Error(`The camera cannot be used: ${error.message}`), { code });
    }
    if (start !== this.#starts) { // closed while the person was asked for permission
      for (const track of stream.getTracks()) track.stop();
      return false;
    }
    this.#stream = stream;
    const [track] = stream.getVideoTracks();
    this.#video.classList.toggle("mirrored", track.getSettings().facingMode === "user");
    this.#video.srcObject = stream;
    await this.#video.play();
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter((device) => device.kind === "videoinput").length > 1;
  }

  /** Start the other one: front for back. */
  turn() {
    this.#facing = this.#facing === "environment" ? "user" : "environment";
    return this.start();
  }

  /** The picture of this moment as a JPEG. */
  async take() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.#video.videoWidth, this.#video.videoHeight];
    canvas.getContext("2d").drawImage(this.#video, 0, 0);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
  }

  /** Switch the camera, and its light, off. */
  stop() {
    this.#starts += 1;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.#video.srcObject = null;
  }
}
