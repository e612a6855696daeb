"""The limit on pixels counts what is decoded, and `--max-pixels` raises it."""

from __future__ import annotations

import io
import random
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.cli.main import main
from mobilenets.preprocess import decode
from mobilenets.preprocess.opening import MAX_PIXELS, max_pixels, pixel_limit
from small import card_of, network


def jpeg(width: int, height: int, **options: object) -> bytes:
    """Black above, white below."""
    image = Image.new("RGB", (width, height))
    image.paste((255, 255, 255), (0, height // 2, width, height))
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def claiming(data: bytes, width: int, height: int) -> bytes:
    """The JPEG with another size in its header."""
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: frame + 5] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[frame + 9 :]


def refused(data: bytes, **options: int) -> str:
    with pytest.raises(decode.TooManyPixels) as caught:
        decode.read(data, **options)
    return str(caught.value)


def test_a_jpeg_over_the_limit_is_read_where_its_reduced_decode_is_not() -> None:
    image = decode.read(jpeg(800, 600), min_side=30, max_pixels=100_000)
    assert image.size == (100, 75)
    assert image.getpixel((50, 10)) == (0, 0, 0)
    assert image.getpixel((50, 65)) == (255, 255, 255)


def test_a_photograph_of_200_megapixels_is_read_at_an_eighth_and_refused_whole() -> None:
    claimed = claiming(jpeg(64, 64), 16320, 12240)  # a decoder fills up what is missing
    assert decode.read(claimed, min_side=256).size == (2040, 1530)
    assert "16320×12240" in refused(claimed)


def test_a_panorama_is_judged_by_its_reduced_size_too() -> None:
    assert decode.read(jpeg(3200, 400), min_side=50, max_pixels=200_000).size == (800, 100)


def test_one_that_the_reduction_leaves_too_large_is_refused() -> None:
    assert "800×600" in refused(jpeg(800, 600), min_side=300, max_pixels=100_000)


def test_more_than_eight_times_the_limit_is_refused_as_it_takes_too_long() -> None:
    assert "8 times" in refused(jpeg(1600, 1200), min_side=30, max_pixels=100_000)


def test_a_progressive_jpeg_counts_the_coefficients_that_are_held_at_once() -> None:
    data = jpeg(800, 600, progressive=True)  # 4:2:0: 1.5 coefficients of 2 bytes a pixel, so 3/4 of a pixel of 4
    assert "0.36 million" in refused(data, min_side=30, max_pixels=359_999)
    assert decode.read(data, min_side=30, max_pixels=360_000).size == (100, 75)


def test_a_baseline_jpeg_in_several_scans_counts_likewise() -> None:
    data = jpeg(800, 600)
    start = data.index(b"\xff\xda")
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"  # of the first component alone
    assert "0.36 million" in refused(data[:start] + scan + data[start + 14 :], min_side=30, max_pixels=200_000)


def test_headers_that_cannot_be_followed_are_read_or_refused_but_never_fatal() -> None:
    draw = random.Random(0)
    for _ in range(300):
        damaged = bytearray(jpeg(200, 160, progressive=draw.random() < 0.5)[:700])
        for _ in range(3):
            damaged[draw.randrange(2, 640)] = draw.randrange(256)
        with suppress(decode.UnreadableImage):
            assert decode.read(bytes(damaged), min_side=10, max_pixels=5_000).mode == "RGB"


def test_pillows_own_limit_is_neither_met_nor_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # a program that uses this one may have set it
    assert decode.read(jpeg(100, 100)).size == (100, 100)
    assert decode.header(io.BytesIO(jpeg(100, 100))) == ("JPEG", 100, 100)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_the_limit_of_the_process_holds_in_every_thread_and_ends_with_its_block() -> None:
    found: list[int] = []
    with max_pixels(5_000):
        thread = threading.Thread(target=lambda: found.append(pixel_limit()))
        thread.start()
        thread.join()
        assert "raise the limit with --max-pixels" in refused(jpeg(100, 100))
        with max_pixels(None):
            assert pixel_limit() == 5_000
    assert found == [5_000]
    assert pixel_limit() == MAX_PIXELS


def test_the_command_line_lowers_and_raises_it(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from mobilenets.nn.io import write_network

    model = network()
    write_network(tmp_path / "model.safetensors", model, card_of(model))
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(picture)
    asked = ["predict", str(tmp_path / "model.safetensors"), str(picture), "--format", "jsonl"]
    assert main([*asked, "--max-pixels", "1999"]) == 1
    assert "50×40 pixels is more than the limit of 0.001999 million" in capfd.readouterr().out
    assert main([*asked, "--max-pixels", "0.002M"]) == 0
    assert pixel_limit() == MAX_PIXELS


@pytest.mark.parametrize("value", ["many", "0", "-5", "nan", "1e99"])
def test_what_is_no_number_of_pixels_is_refused_in_one_line(value: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["predict", "model", "a.jpg", f"--max-pixels={value}"])
    assert ended.value.code == 2
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert "--max-pixels" in told
