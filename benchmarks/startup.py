"""What starting costs: a picture against the same in twelve plain lines, and the help against an empty Python.

    python benchmarks/startup.py [--rounds 30]

Processes in turns, a round of all of them after the other, so that whatever else the machine does meets all alike; of
each the median of its seconds, processor seconds and peak resident memory (of the kernel's account of the process),
and the median of its ratios to its peer of the same round. All with byte code at hand, as pip leaves it. The plain
lines (`PLAIN` in this file) are what onnxruntime's and Pillow's documentation adds up to: open, resize, crop, run,
print; the network's file is the same, and has the normalisation and the softmax in its graph.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import table, write_result
from predict import COMMAND, write_model, write_photos

PLAIN = """
import sys
import numpy as np
import onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
image = Image.open(sys.argv[2]).convert("RGB")
scale = 256 / min(image.size)
image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BILINEAR)
left, top = (image.width - 224) // 2, (image.height - 224) // 2
pixels = np.asarray(image.crop((left, top, left + 224, top + 224)))
probabilities = session.run(None, {"image": pixels[None]})[0][0]
for k in (-probabilities).argsort():
    print(f"class: {k}   prob: {probabilities[k]:.3f}")
"""
# The installed command as pip 26.3 writes it; pip 23.2 imports re in it, which takes longer than the rest of the help.
SCRIPT = """
import sys
from mobilenets.cli.main import main
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit(main())
"""
# Small, so that a process does not begin with the memory of the one that forks it counted as its own peak.
LAUNCHER = """
import os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
sys.exit(status != 0)
"""
Figures = tuple[float, float, float]  # seconds, processor seconds, peak megabytes


def start(command: list[str], environment: dict[str, str]) -> Figures:
    launch = [sys.executable, "-c", LAUNCHER, *command]
    result = subprocess.run(launch, capture_output=True, text=True, env=environment)
    if result.returncode:
        raise SystemExit(f"{command}: {result.stderr}")
    seconds, processor, megabytes = map(float, result.stdout.split())
    return seconds, processor, megabytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "model.onnx", "mobilenet_v3_large", 224)
        picture = write_photos(folder / "photos", 20)[0]
        (folder / "plain.py").write_text(PLAIN)
        (folder / "command.py").write_text(SCRIPT)
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "code"), "MOBILENETS_HOME": str(folder)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        python, given = sys.executable, [str(folder / "model.onnx"), str(picture)]
        script = "imports re itself" if "import re\n" in COMMAND.read_text() else "as pip 26 writes it"
        # What is started, its peer, and how much of the peer's seconds and memory it may take.
        commands: dict[str, tuple[list[str], str, str]] = {
            "twelve plain lines": ([python, str(folder / "plain.py"), *given], "", ""),
            "`predict model.onnx photo.jpg`": ([str(COMMAND), "predict", *given], "twelve plain lines", "1.1×, 1.05×"),
            "the same with `--engine openvino`": (
                [str(COMMAND), "predict", *given, "--engine", "openvino"], "twelve plain lines", "",
            ),
            "`python -c pass`": ([python, "-c", "pass"], "", ""),
            "`python -c 'import re'`": ([python, "-c", "import re"], "`python -c pass`", ""),
            "`python -c 'import argparse'`": ([python, "-c", "import argparse"], "`python -c pass`", ""),
            "`--help`, script as pip 26 writes it": (
                [python, str(folder / "command.py"), "--help"], "`python -c pass`", "1.5×",
            ),
            f"`--help`, installed script ({script})": ([str(COMMAND), "--help"], "`python -c pass`", "1.5×"),
            "`predict --help`": ([str(COMMAND), "predict", "--help"], "`python -c pass`", ""),
        }  # fmt: skip
        figures: dict[str, list[Figures]] = {what: [] for what in commands}
        for i in range(args.rounds + 1):
            for what, (command, _, _) in commands.items():
                measured = start(command, environment)
                if i:  # the first start reads from disk and writes byte code
                    figures[what].append(measured)
    rows: list[list[object]] = []
    for what, (_, peer, wanted) in commands.items():
        seconds, processor, megabytes = (statistics.median(column) for column in zip(*figures[what], strict=True))
        ratios = ["", "", ""]
        if peer:
            pairs = [zip(a, b, strict=True) for a, b in zip(figures[what], figures[peer], strict=True)]
            columns = zip(*([mine / its for mine, its in pair] for pair in pairs), strict=True)
            ratios = [f"{statistics.median(column):.2f}×" for column in columns]
        rows.append(
            [what, f"{seconds:.3f}", f"{processor:.3f}", f"{megabytes:.1f}", peer, *ratios, wanted and f"≤ {wanted}"]
        )
    header = ["process", "s", "processor s", "peak MB", "against", "s", "processor s", "peak MB", "wanted"]
    body = table(header, rows) + "\n\nMobileNetV3-Large at 224 pixels, five classes; a photograph of 640×480.\n\n"
    body += str(__doc__).split("\n\n", 2)[2].strip()
    command = f"python benchmarks/startup.py --rounds {args.rounds}"
    write_result("startup", "Starting", command, body, "numpy", "onnxruntime", "openvino", "pillow")


if __name__ == "__main__":
    main()
