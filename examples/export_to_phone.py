"""Write a trained network for another runtime and decide by the comparison whether to ship it.

    python examples/export_to_phone.py runs/photos litert --int8

Needs the target's extra, for example `pip install ".[litert]"`; `onnx` needs `".[train]"` only.
"""

import json
import subprocess
import sys
from pathlib import Path

MIN_AGREEMENT = 0.98  # of the photos must get the same class as before
MAX_LOSS = 0.01  # of accuracy


def main(run: str, target: str, *options: str) -> int:
    """Export and say whether the file is good enough; 0 if it is."""
    out = Path(run) / "exports" / "-".join([target, *(option.strip("-") for option in options)])
    command = [sys.executable, "-m", "mobilenets", "export", run, "--to", target, "--out", str(out), *options]
    if subprocess.run(command).returncode:
        return 1
    result = json.loads((out / "verify.json").read_text(encoding="utf-8"))
    print(f"{result['top1_agreement']:.1%} of {result['n']} photos get the same class, in {result['ran']}")
    print(f"{result['bytes'] / 1e6:.1f} MB, {result['latency_ms']:.1f} ms a photo here")
    lost = (result["accuracy_before"] or 0) - (result["accuracy_after"] or 0)
    good = result["top1_agreement"] >= MIN_AGREEMENT and lost <= MAX_LOSS
    print(f"{'ship' if good else 'do not ship'} {out}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
