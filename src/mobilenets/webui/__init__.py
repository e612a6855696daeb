"""The page that `serve` and the web export share: plain files, no build step, nothing from elsewhere.

It gets its answers from `predictor.js`, which whoever gives the page out adds to it:

* `async open()` → `{name, task?, classes, size, explains, local?}`: the model's name, its task ("classify",
  the default, "detect", "multilabel" or "anomaly"), its class names, the side of its input in pixels, whether `predict`
  draws overlays, and whether photographs stay on the device (default: they do not).
* `async predict(blob)` → `{top: [{label, probability}, …], milliseconds, overlay?}`: best first; `overlay` is a Blob
  of a picture of the photograph's proportions that is laid over it. Of a model that finds objects
  `{objects: [{label, score, box: [left, top, right, bottom]}, …], milliseconds}`, in pixels of the upright photograph.
  Of one of several labels also `labels`, the names of those that are there, and in `top` the `threshold` of each. Of
  one of good ones only `{score, threshold, milliseconds, overlay}`.
* Both throw an `Error` whose message is one sentence; its property `code`, if it has one, names a translation of it in
  `i18n.js`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

# What the page may load and reach: its own files, and pictures it made itself (blob:).
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "media-src": "blob:",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
}
_PLACE = "CONTENT-SECURITY-POLICY"


def policy(more: Mapping[str, str] | None = None) -> str:
    """The content security policy, with directives of `more` in place of or beside the page's own."""
    return "; ".join(f"{name} {value}" for name, value in {**POLICY, **(more or {})}.items())


def assets(more: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Every file of the page by name, except `predictor.js`; the policy, widened by `more`, stands in `index.html`."""
    names = sorted(file.name for file in files(__name__).iterdir() if f".{file.name.rpartition('.')[2]}" in MEDIA_TYPES)
    contents = {name: files(__name__).joinpath(name).read_bytes() for name in names}
    contents["index.html"] = contents["index.html"].replace(_PLACE.encode(), policy(more).encode())
    return contents
