"""What the service stands: many clients at once, against predicting the same files in bulk.

    python benchmarks/serve.py [--clients 64] [--seconds 60] [--photos 3000]

`mobilenets serve` answers clients that each send one JPEG of about 100 KB after the other over a connection of
their own, on loopback. The same files are predicted by `mobilenets predict`, before and after, whole process. The
clients run on the same cores as the server: their processor time is measured and told. Network: MobileNetV3-Small
at 224 pixels, five classes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import table, write_result
from PIL import Image
from predict import our_run, write_model

ENGINE = "onnxruntime"
DIFFERENT = 20  # photographs; the files are copies of these
KILOBYTES = 100


def write_photos(folder: Path, count: int) -> None:
    """JPEGs of 640×480 with the detail of a photograph, each at the quality that makes it about 100 KB."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    contents = []
    for i in range(DIFFERENT):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(
            (640, 480), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(coarse, np.int16) + rng.normal(0, 12, (480, 640, 3)).astype(np.int16)
        photo = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
        path = folder / f"{i:06d}.jpg"
        for quality in range(70, 97):
            photo.save(path, quality=quality)
            if path.stat().st_size >= 1000 * KILOBYTES:
                break
        contents.append(path.read_bytes())
    for i in range(DIFFERENT, count):
        (folder / f"{i:06d}.jpg").write_bytes(contents[i % DIFFERENT])


async def client(
    port: int, bodies: list[bytes], first: int, end: float, seconds: list[float], wrong: list[str]
) -> None:
    """One keep-alive connection that asks until `end`; bare sockets, as an HTTP library costs as much as the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    i = first
    while time.perf_counter() < end:
        body = bodies[i % len(bodies)]
        i += 1
        start = time.perf_counter()
        writer.write(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
        writer.write(body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        answer = await reader.readexactly(length)
        seconds.append(time.perf_counter() - start)
        if not head.startswith(b"HTTP/1.1 200") or b'"label"' not in answer:
            wrong.append(answer.decode())
    writer.close()


async def load(port: int, photos: list[Path], clients: int, duration: float) -> dict[str, object]:
    """Requests per second, percentiles in milliseconds, errors, and the processor time of the clients."""
    bodies = [path.read_bytes() for path in photos[:DIFFERENT]]
    seconds: list[float] = []
    wrong: list[str] = []
    start, cpu = time.perf_counter(), time.process_time()
    tasks = [client(port, bodies, i, start + duration, seconds, wrong) for i in range(clients)]
    failed = [repr(e) for e in await asyncio.gather(*tasks, return_exceptions=True) if e is not None]
    took = time.perf_counter() - start
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {
        "rate": len(seconds) / took, "requests": len(seconds), "p50": p50, "p99": p99, "max": 1000 * max(seconds),
        "errors": wrong + failed, "cpu": (time.process_time() - cpu) / took,
        "kb": statistics.mean(map(len, bodies)) / 1000,
    }  # fmt: skip


def served(model: Path, folder: Path, clients: int, duration: float) -> dict[str, object]:
    """The figures of `load`, run in a process of its own, with the server's processor time and memory."""
    command = [sys.executable, "-m", "mobilenets", "serve", str(model), "--port", "0", "--engine", ENGINE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().split("127.0.0.1:")[1].split()[0]
            for length in (3.0, duration):  # warm, then measured
                before = processor_seconds(server.pid)
                start = time.perf_counter()
                asked = ["--load", port, str(folder), "--clients", str(clients), "--seconds", str(length)]
                asking = [sys.executable, __file__, *asked]
                out = subprocess.run(asking, capture_output=True, text=True, check=True).stdout
                took = time.perf_counter() - start
            status = Path(f"/proc/{server.pid}/status").read_text()
            peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
            return {**json.loads(out), "server_cpu": (processor_seconds(server.pid) - before) / took, "peak": peak}
        finally:
            server.terminate()


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--photos", type=int, default=3000)
    parser.add_argument("--load", nargs=2, metavar=("PORT", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        photos = sorted(Path(args.load[1]).iterdir())
        print(json.dumps(asyncio.run(load(int(args.load[0]), photos, args.clients, args.seconds))))
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "model.onnx", "mobilenet_v3_small", 224)
        write_photos(folder / "photos", args.photos)
        bulk = [our_run(folder / "model.onnx", folder / "photos", args.photos, ENGINE)]
        figures = served(folder / "model.onnx", folder / "photos", args.clients, args.seconds)
        bulk.append(our_run(folder / "model.onnx", folder / "photos", args.photos, ENGINE))
    rate = statistics.mean(bulk)
    errors = figures["errors"]
    assert isinstance(errors, list)
    rows: list[list[object]] = [
        [f"`predict` over {args.photos:,} files, before, after", f"{bulk[0]:.0f}, {bulk[1]:.0f} images/s", ""],
        ["`serve`", f"{figures['rate']:.0f} images/s = {figures['rate'] / rate:.2f} of bulk", "≥ 0.7"],
        ["requests, errors", f"{figures['requests']:,}, {len(errors)}", "no error"],
        ["p50, p99, longest", f"{figures['p50']:.0f}, {figures['p99']:.0f}, {figures['max']:.0f} ms", ""],
        ["processor time, of 2 cores: server, clients", f"{figures['server_cpu']:.2f}, {figures['cpu']:.2f}", ""],
        ["peak memory of the server", f"{figures['peak']:.0f} MB", ""],
    ]  # fmt: skip
    command = f"python benchmarks/serve.py --clients {args.clients} --seconds {args.seconds:g} --photos {args.photos}"
    body = table(["what", "measured", "wanted"], rows) + f"\n\n{args.clients} clients for {args.seconds:g} s, JPEGs of "
    body += f"{figures['kb']:.0f} KB.\n\n" + str(__doc__).split("\n\n", 2)[2].strip()
    write_result("serve", "Service under load", command, body, "onnxruntime", "fastapi", "uvicorn", "h11", "pillow")


if __name__ == "__main__":
    main()
