"""`--precision`: what the commands that predict compute in."""

from __future__ import annotations

from typing import Any

OPTIONS: dict[str, Any] = {
    "choices": ("float32", "half", "auto"),
    "default": "float32",
    "help": "float32 (default); half: bfloat16 or float16, in openvino on processors that have it; auto: half where "
    "that is faster here, which is then told",
}
