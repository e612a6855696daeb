"""How much work the batcher takes at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mobilenets.runtime.opening import load
from mobilenets.serving.batcher import Batcher
from mobilenets.serving.limits import Limits, Refusal
from mobilenets.serving.metrics import Metrics
from serving.service import picture, write_model
from small import CLASSES


def test_pictures_are_taken_while_there_is_room_for_all_of_a_request_and_again_when_some_are_answered(
    tmp_path: Path,
) -> None:
    predictor = load(write_model(tmp_path / "model.onnx"), "onnxruntime", threads=1)

    async def ask() -> None:
        batcher = Batcher(predictor, Limits(waiting=3), Metrics("test"))
        for _ in range(2):  # what was answered takes no room any more
            first = batcher.submit([picture()] * 2)
            with pytest.raises(Refusal) as refused:
                batcher.submit([picture()] * 2)
            assert refused.value.code == "busy"
            rows = await asyncio.gather(*first, *batcher.submit([picture()]))
            assert [row.outputs.shape for row in rows] == [(len(CLASSES),)] * 3
        await asyncio.to_thread(batcher.close)

    asyncio.run(ask())
