"""Overlays: where the network looked, in the photograph's own proportions."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenets.explaining.gradcam import Explainer
from mobilenets.explaining.overlay import heat_layer
from mobilenets.model_card import write_safetensors
from mobilenets.nn.io import open_network
from mobilenets.preprocess import Preprocess
from serving.service import picture, serving
from small import card_of, network


@pytest.mark.parametrize("photo", [(400, 300), (300, 400), (300, 300), (30, 20), (3000, 100)])
@pytest.mark.parametrize("crop", [0.875, 1.0])
def test_an_overlay_has_the_photographs_proportions_and_heat_only_where_the_network_looked(
    photo: tuple[int, int], crop: float
) -> None:
    preprocess = Preprocess(size=224, crop=crop)
    image = heat_layer(np.ones((224, 224), np.float32), photo, preprocess)
    assert image.width / image.height == pytest.approx(photo[0] / photo[1], rel=0.02)
    alpha = np.asarray(image)[..., 3]
    seen = crop * min(image.size)  # the side of the square that is cropped
    rows, columns = np.nonzero(alpha.max(1))[0], np.nonzero(alpha.max(0))[0]
    assert (len(columns), len(rows)) == pytest.approx((seen, seen), abs=2)
    assert columns.mean() == pytest.approx((image.width - 1) / 2, abs=1)
    assert rows.mean() == pytest.approx((image.height - 1) / 2, abs=1)


def test_heat_lies_where_it_was_in_the_crop() -> None:
    heat = np.zeros((100, 100), np.float32)
    heat[10:20, 70:80] = 1
    alpha = np.asarray(heat_layer(heat, (200, 100), Preprocess(size=100, crop=1.0)))[..., 3]
    rows, columns = np.nonzero(alpha)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 19, 120, 129)


@pytest.mark.parametrize("fit", ["pad", "squash"])
@pytest.mark.parametrize("photo", [(400, 100), (100, 400)])
def test_where_the_whole_photograph_is_seen_heat_may_lie_anywhere_on_it(fit: str, photo: tuple[int, int]) -> None:
    preprocess = Preprocess(size=80, crop=1.0, fit=fit)
    heat = preprocess.photo_part(np.ones((80, 80), np.float32), *photo)
    image = heat_layer(heat, photo, preprocess)
    assert image.size == (80, 20) if photo[0] > photo[1] else image.size == (20, 80)
    assert np.asarray(image)[..., 3].min() > 150


def test_a_run_folder_explains_itself(tmp_path: Path) -> None:
    model = network()
    write_safetensors(
        tmp_path / "model.safetensors",
        {name: tensor.numpy() for name, tensor in model.state_dict().items()},
        card_of(model, 64, crop=1.0),
    )
    data = picture(size=(64, 64))
    with serving(tmp_path, engine="auto") as service:
        assert service.get("/model").json()["explains"]
        assert "overlay" not in service.post(data).json()["results"][0]
        (result,) = service.post(data, params={"explain": "true"}).json()["results"]
        (refused,) = [service.post(data[:900], params={"explain": "true"})]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(result["overlay"]))))
    heat = Explainer(open_network(tmp_path / "model.safetensors")).explain(data).heat
    assert shown.shape == (64, 64, 4)
    assert np.corrcoef(shown[..., 3].ravel(), heat.ravel())[0, 1] > 0.99
    assert refused.status_code == 422
