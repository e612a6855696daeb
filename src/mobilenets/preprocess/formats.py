"""What a file is, by its first bytes and not by its name: the formats that are read, and those that are known."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError, features

from mobilenets.preprocess.opening import open_unlimited

SNIFFED = 64  # bytes of a file that say what it is

# Only formats that photographs come in. Pillow knows forty more, some of which start other programs (EPS)
# or nest further files (ICO, PSD): an image folder from strangers has no business reaching those.
SUFFIXES_OF = {  # what a file of each format is called
    "JPEG": frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"}),
    "PNG": frozenset({".png", ".apng"}),
    "GIF": frozenset({".gif"}),
    "BMP": frozenset({".bmp", ".dib"}),
    "PPM": frozenset({".ppm", ".pgm", ".pbm", ".pnm"}),
    "WEBP": frozenset({".webp"}),
    "TIFF": frozenset({".tif", ".tiff"}),
    "AVIF": frozenset({".avif", ".avifs"}),
    "JPEG2000": frozenset({".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"}),
    "HEIF": frozenset({".heic", ".heif", ".hif", ".heics", ".heifs"}),
}
_PLUGINS = {  # the modules that read them
    "JPEG": "PIL.JpegImagePlugin",
    "PNG": "PIL.PngImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
    "PPM": "PIL.PpmImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
    "JPEG2000": "PIL.Jpeg2KImagePlugin",
}
# Parts of Pillow that a build may lack.
_FEATURES = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}

# Brands of the ISO base media format (ISO/IEC 23008-12, annex B; AV1 Image File Format, §6).
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2"}

# In front of two letters, a digit and white space there may be any text; a picture goes on with its width.
_PPM = re.compile(rb"P[1-6]\s(?:\s|#[^\n]*(?:\n|\Z))*(?:\d|\Z)|Pf\n\d")
_SVG = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*(?:>|\Z))?\s*(?:<!--|<!DOCTYPE\s+svg|<svg)", re.IGNORECASE)
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}  # bytes of the second header, of every version there is

# Camera raw files are TIFF inside: read as such they would give a thumbnail in place of the photograph.
_RAW = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".dcr", ".dng", ".erf", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf",
     ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)  # fmt: skip

_CONVERT = "convert to JPEG or PNG"
_NO_TIFF = (
    "holds values that are not read here (floating point of 16 or 64 bits, or of several channels), or is damaged; "
    "save it in 8 or 16 bits, or as 32-bit floating point of one channel"
)
_BEGINNINGS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    *((start, "TIFF") for start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"MM*\0", b"II\0*")),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
    (b"FOVb", "camera raw"),
    (b"IIRO", "camera raw"),
    (b"IIRS", "camera raw"),
    (b"IIU\0", "camera raw"),
    (b"8BPS", "Photoshop"),
    (b"8BPB", "Photoshop"),
    (b"gimp xcf", "GIMP"),
    (b"\0\0\1\0", "icon"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "PDF"),
    (b"PK\3\4", "archive"),
    (b"PK\5\6", "archive"),
    (b"Rar!\x1a\7", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"\x1f\x8b", "archive"),
    (b"BZh", "archive"),
    (b"\xfd7zXZ\0", "archive"),
    (b"\x28\xb5\x2f\xfd", "archive"),
    (b"\x1a\x45\xdf\xa3", "video"),
    (b"\0\0\1\xba", "video"),
    (b"\0\0\1\xb3", "video"),
    (b"FLV\1", "video"),
    (b"0&\xb2u\x8ef\xcf\x11", "video"),
)
# Where content tells nothing: formats without a mark at their beginning, and what people put beside photographs.
_BY_SUFFIX = {
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".3gp", ".mts", ".mpg", ".wmv"), "video"),
    **dict.fromkeys((".tga", ".pcx", ".dds"), "photo of another kind"),
    **dict.fromkeys((".dcm", ".dicom"), "DICOM"),
    ".svg": "SVG",
    ".svgz": "SVG",
    ".tar": "archive",
}


@dataclass(frozen=True)
class Kind:
    """Files that are not read: what one and many of them are called, and what one can do (empty: nothing).

    `unread`: they are pictures all the same.
    """

    one: str
    many: str
    remedy: str = ""
    unread: bool = False


OTHER, EMPTY, CLOSED = "other", "empty", "closed"


def _unread(remedy: str) -> Kind:
    return Kind("file of a kind that is not read here", "files of a kind that is not read here", remedy, unread=True)


KINDS = {  # what is not read
    **dict.fromkeys(
        ("JPEG XL", "camera raw", "Photoshop", "GIMP", "icon", "OpenEXR", "Radiance HDR", "FITS", "PostScript", "SVG",
         "DICOM", "photo of another kind"),
        _unread(_CONVERT),
    ),
    "HEIF": _unread("pip install 'mobilenets[heic]'"),
    **dict.fromkeys(("AVIF", "JPEG2000", "WEBP"), _unread("pip install --upgrade pillow")),
    "video": Kind("video", "videos", "take photos out of videos first"),
    "PDF": Kind("PDF document", "PDF documents", "take the photos out first"),
    "archive": Kind("archive", "archives", "unpack archives first"),
    EMPTY: Kind("empty file, of 0 bytes,", "empty files, of 0 bytes,", "copy them again from where they came"),
    CLOSED: Kind("file that cannot be opened", "files that cannot be opened", "check their permissions and links"),
    OTHER: Kind("file that is no photo", "files that are no photos"),
}  # fmt: skip


@cache
def reads(format: str) -> bool:
    """Whether pictures of a format (a key of `SUFFIXES_OF`) are read by what is installed."""
    if format in _FEATURES:
        return bool(features.check(_FEATURES[format]))  # imports that part of Pillow
    return format in SUFFIXES_OF and (format != "HEIF" or find_spec("pillow_heif") is not None)


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    """The formats that are read here."""
    return tuple(filter(reads, SUFFIXES_OF))


@lru_cache(maxsize=1)
def suffixes() -> frozenset[str]:
    """What files are called that are taken for pictures unopened; what they are is found out by decoding them."""
    return frozenset().union(*(SUFFIXES_OF[name] for name in _formats()))


def is_image(path: str | Path) -> bool:
    """Whether the file name is that of a picture: by suffix, in any case; macOS' `._` companions are not."""
    name = os.path.basename(path)  # noqa: PTH119 - of a million paths, none is taken apart
    return os.path.splitext(name)[1].lower() in suffixes() and not name.startswith("._")  # noqa: PTH122


def sniff(beginning: bytes, suffix: str = "") -> str:
    """What a file is by its first `SNIFFED` bytes: a key of `SUFFIXES_OF` or of `KINDS`.

    `suffix` (lower case, with its dot) decides where the content tells nothing.
    """
    if not beginning:
        return EMPTY
    format = next((kind for start, kind in _BEGINNINGS if beginning.startswith(start)), "")
    if format == "TIFF" and (suffix in _RAW or beginning[8:10] == b"CR"):
        return "camera raw"
    if format:
        return format
    if beginning[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": "video"}.get(beginning[8:12], OTHER)
    if beginning[4:8] == b"ftyp":
        return _ftyp(beginning)
    if beginning[4:8] in (b"moov", b"mdat", b"wide"):  # QuickTime before it had brands
        return "video"
    if beginning[:2] == b"BM" and int.from_bytes(beginning[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if _PPM.match(beginning):
        return "PPM"
    if _SVG.match(beginning) and (suffix in (".svg", "") or b"<svg" in beginning):
        return "SVG"
    return "camera raw" if suffix in _RAW else _BY_SUFFIX.get(suffix, OTHER)


def _ftyp(beginning: bytes) -> str:
    """The kind of an ISO base media file: pictures by their brands, the rest are films (and sound)."""
    brands = [beginning[8:12], *(beginning[k : k + 4] for k in range(16, len(beginning) - 3, 4))]
    listed = brands[: 1 + max(0, int.from_bytes(beginning[:4], "big") - 16) // 4]
    if _AVIF_BRANDS.intersection(listed):
        return "AVIF"
    if listed[0] == b"crx ":
        return "camera raw"
    return "HEIF" if listed[0] in _HEIF_BRANDS else "video"


def kind_of(path: str | Path) -> str:
    """What the file is, as `sniff` says; `CLOSED` where it cannot be opened or is no regular file."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
    try:
        # A pipe would be waited for.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return CLOSED
    try:
        return sniff(os.read(handle, SNIFFED), suffix) if stat.S_ISREG(os.fstat(handle).st_mode) else CLOSED
    except OSError:
        return CLOSED
    finally:
        os.close(handle)


def open_image(file: BinaryIO) -> Image.Image:
    """The picture in a file, by the one decoder that its content asks for; no pixel is decoded yet.

    Raises
    ------
    UnidentifiedImageError
        None of a kind read here; the message says what the file is and what to do.
    """
    kind = sniff(file.read(SNIFFED))
    file.seek(0)
    if kind in SUFFIXES_OF and not reads(kind):
        raise UnidentifiedImageError(f"is a photo of the format {kind}, which is not read here; {KINDS[kind].remedy}")
    # Pillow accepts a little more than what is taken for a picture unasked.
    formats = (kind,) if reads(kind) else ("BMP", "PPM")
    for format in formats:
        _load(format)
    try:
        return open_unlimited(file, formats)
    except UnidentifiedImageError:
        if kind == "TIFF":
            raise UnidentifiedImageError(f"is a TIFF, but {_NO_TIFF}") from None
        known = kind in KINDS and kind not in (OTHER, EMPTY) and not reads(kind)
        raise UnidentifiedImageError(
            f"is no photo of a kind read here ({', '.join(_formats())}), "
            f"{f'but of the kind {kind}' if known else 'or its beginning is damaged'}; {_CONVERT}"
        ) from None


@cache
def _load(format: str) -> None:
    """Import what reads a format; Pillow would import five to read one, and for some all it has."""
    if format in _PLUGINS:
        import_module(_PLUGINS[format])
    elif format == "HEIF":
        import_module("pillow_heif").register_heif_opener()
