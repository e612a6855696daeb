"""Write a trained network for another runtime and decide by the comparison whether to ship it.

    python examples/export_to_phone.py runs/photos litert --int8

Needs the target's extra, for example `pip install ".[litert]"`; `onnx` needs `".[train]"` only.
"""

import sys

import mobilenets as mn

MIN_AGREEMENT = 0.98  # of the photos must get the same class as before


def main(run: str, target: str, *options: str) -> int:
    """Export and say whether the file is good enough; 0 if it is."""
    asked = {option.removeprefix("--"): True for option in options}  # they have the same names in Python
    exported = mn.export(run, target, **asked)
    result = exported.verification
    if not result.ran:
        print(f"{exported.path} is written; this system has no runtime for it, so nothing is known of its answers")
        return 1
    print(f"{result.top1_agreement:.1%} of {result.n} photos get the same class")
    print(f"{result.bytes / 1e6:.1f} MB, {result.latency_ms:.1f} ms a photo here, in {result.runtime}")
    good = exported.accepted and result.top1_agreement >= MIN_AGREEMENT  # and loses at most a point of accuracy
    print(f"{'ship' if good else 'do not ship'} {exported.path}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
