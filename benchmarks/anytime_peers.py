"""Other tools' classifiers in so many minutes, in an environment of their own: `anytime.py peers` starts this.

    python -m venv PEERS; PEERS/bin/pip install torch torchvision fastai transformers accelerate ultralytics
    python benchmarks/anytime.py peers --python PEERS/bin/python --keep DIR --minutes 5 --seeds 1
    python -m venv AG; AG/bin/pip install autogluon.multimodal    in another one: it wants other versions
    python benchmarks/anytime.py peers --python AG/bin/python --who autogluon --keep DIR --minutes 5 --seeds 1

The arguments: who, a CSV of `file,label,part` (train or val), the minutes, torchvision's MobileNetV2 weights and a JSON
file to write. Each tool is used as its own documentation begins, with these weights at 224 pixels, and what it measures
on the validation photographs after its best epoch counts. Nothing of this package is imported.
"""

from __future__ import annotations

import csv
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

START = time.monotonic()
SIDE, TIMED = 224, 256  # pixels; photographs or more that tell how long an epoch takes
PARTS = ("train", "val")
ULTRALYTICS_NETWORK = """
nc: 2  # its trainer sets that of the data
backbone:
  - [-1, 1, TorchVision, [1280, mobilenet_v2, IMAGENET1K_V1, True, 1]]
head:
  - [-1, 1, Classify, [nc]]
"""

Rows = list[dict[str, str]]


def fastai(rows: Rows, seconds: float) -> dict[str, Any]:
    """`vision_learner(...).fine_tune(epochs)` for as many epochs as fit by a measurement, which is not counted."""
    import pandas
    from fastai.vision.all import (
        ImageDataLoaders,
        Normalize,
        Resize,
        accuracy,
        aug_transforms,
        imagenet_stats,
        models,
        vision_learner,
    )

    def network(pretrained: bool) -> nn.Module:  # `vision_learner` cuts at a pooling module, torchvision has none here
        features = models.mobilenet_v2(weights="IMAGENET1K_V1" if pretrained else None).features
        return nn.Sequential(features, nn.AdaptiveAvgPool2d(1))

    def learner(some: Rows) -> Any:
        table = pandas.DataFrame(some)
        table["is_valid"] = table["part"] == "val"
        loaders = ImageDataLoaders.from_df(
            table,
            path="/",
            fn_col="file",
            label_col="label",
            valid_col="is_valid",
            item_tfms=Resize(256),
            batch_tfms=[*aug_transforms(size=SIDE, min_scale=0.75), Normalize.from_stats(*imagenet_stats)],
            bs=32,
            num_workers=2,
        )
        return vision_learner(loaders, network, metrics=accuracy)

    train, val = ([row for row in rows if row["part"] == part] for part in PARTS)
    begun_s = time.monotonic()
    timed = train[:: len(train) // TIMED]
    trial = learner(timed + val[:: len(val) // (TIMED // 4)])
    spent = []
    for thaw in (trial.freeze, trial.unfreeze):
        thaw()
        begun = time.monotonic()
        with trial.no_bar():
            trial.fit_one_cycle(1)
        spent.append((time.monotonic() - begun) * len(train) / len(timed))
    started = time.monotonic()
    left = seconds - (begun_s - START)
    epochs = int((left - spent[0]) / spent[1])
    whole = learner(rows)
    with whole.no_bar():
        if epochs >= 1:
            whole.fine_tune(epochs)
        else:
            whole.fit_one_cycle(max(1, int(left / spent[0])))
    values = [float(v[-1]) for v in whole.recorder.values]
    spent_s = begun_s - START + time.monotonic() - started
    return {"accuracy": max(values), "last": values[-1], "epochs": len(values), "seconds": spent_s}


def ultralytics(rows: Rows, seconds: float) -> dict[str, Any]:
    """Its classification trainer and head, with torchvision's network inside and a time of its own."""
    from ultralytics.models.yolo.classify import ClassificationTrainer

    with tempfile.TemporaryDirectory() as name:
        for number, row in enumerate(rows):
            place = Path(name, "data", row["part"], row["label"], f"{number}{Path(row['file']).suffix}")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(row["file"])
        network = Path(name, "network.yaml")  # as its own yolo11-cls-resnet18.yaml
        network.write_text(ULTRALYTICS_NETWORK)
        left = seconds - (time.monotonic() - START)
        trainer = ClassificationTrainer(
            overrides={
                "model": str(network),
                "data": str(Path(name, "data")),
                "imgsz": SIDE,
                "time": left / 3600,
                "device": "cpu",
                "workers": 2,
                "plots": False,
                "project": name,
                "name": "run",
            }
        )
        trainer.train()
        with Path(trainer.csv).open(encoding="utf-8") as file:
            values = [float(row["metrics/accuracy_top1"]) for row in csv.DictReader(file)]
    return {"accuracy": max(values), "last": values[-1], "epochs": len(values)}


def transformers(rows: Rows, seconds: float) -> dict[str, Any]:
    """Its `Trainer` on torchvision's network, for as many steps as fit by a measurement, which is not counted."""
    import numpy as np
    from PIL import Image
    from torch.nn import functional
    from torchvision import models
    from torchvision.transforms import v2
    from transformers import Trainer, TrainingArguments

    classes = sorted({row["label"] for row in rows})
    last = [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ]
    shown = {
        "train": v2.Compose([v2.RandomResizedCrop(SIDE, scale=(0.35, 1)), v2.RandomHorizontalFlip(), *last]),
        "val": v2.Compose([v2.Resize(256), v2.CenterCrop(SIDE), *last]),
    }

    class Photos(torch.utils.data.Dataset[dict[str, Any]]):
        def __init__(self, part: str) -> None:
            self.rows, self.shown = [row for row in rows if row["part"] == part], shown[part]

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, index: int) -> dict[str, Any]:
            row = self.rows[index]
            image = Image.open(row["file"]).convert("RGB")
            return {"images": self.shown(image), "labels": classes.index(row["label"])}

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = models.mobilenet_v2(weights="IMAGENET1K_V1")
            self.net.classifier[1] = nn.Linear(1280, len(classes))

        def forward(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            logits = self.net(images)
            return {"loss": functional.cross_entropy(logits, labels), "logits": logits}

    def trained(folder: str, steps: int) -> Any:
        arguments = TrainingArguments(
            folder, max_steps=steps, per_device_train_batch_size=32, per_device_eval_batch_size=32,
            learning_rate=3e-4, warmup_steps=0.1, dataloader_num_workers=2, remove_unused_columns=False,
            save_strategy="no", report_to=[], use_cpu=True,
        )  # fmt: skip
        trainer = Trainer(
            Network(),
            arguments,
            train_dataset=Photos("train"),
            eval_dataset=Photos("val"),
            compute_metrics=lambda p: {"accuracy": float(np.mean(p.predictions.argmax(1) == p.label_ids))},
        )
        trainer.train()
        return trainer

    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        spent = []
        for steps in (2, 8):  # the difference is steps alone
            started = time.monotonic()
            trained(folder, steps)
            spent.append(time.monotonic() - started)
        step_s, around_s = (spent[1] - spent[0]) / 6, spent[0]
        started = time.monotonic()
        looking_s = 0.35 * step_s * len(Photos("val")) / 32
        steps = int((seconds - (begun - START) - around_s - looking_s) / step_s)
        accuracy = trained(folder, steps).evaluate()["eval_accuracy"]
    spent_s = begun - START + time.monotonic() - started
    return {"accuracy": accuracy, "last": accuracy, "steps": steps, "seconds": spent_s}


def autogluon(rows: Rows, seconds: float) -> dict[str, Any]:
    """`MultiModalPredictor(...).fit(time_limit=...)` on timm's network with torchvision's weights."""
    import pandas
    import timm
    from autogluon.multimodal import MultiModalPredictor
    from torchvision import models

    theirs, network = models.mobilenet_v2(weights="IMAGENET1K_V1"), timm.create_model("mobilenetv2_100")
    layers = zip(network.state_dict(), theirs.state_dict().values(), strict=True)  # both list them from the photo on
    network.load_state_dict(dict(layers))
    photos = torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad():
        if not torch.allclose(network.eval()(photos), theirs.eval()(photos), atol=1e-3):
            raise SystemExit("timm's network with torchvision's weights gives other logits")
    table = pandas.DataFrame(rows).rename(columns={"file": "image"})
    train, val = (table[table["part"] == part][["image", "label"]] for part in PARTS)
    with tempfile.TemporaryDirectory() as name:
        kept = Path(name, "network")
        kept.mkdir()
        network.reset_classifier(0)  # it wants none, and makes its own
        torch.save(network.state_dict(), kept / "pytorch_model.bin")
        told = {"architecture": "mobilenetv2_100", "num_features": 1280, "pretrained_cfg": network.pretrained_cfg}
        (kept / "config.json").write_text(json.dumps(told))
        predictor = MultiModalPredictor(label="label", eval_metric="accuracy", path=str(Path(name, "run")))
        options = {
            "model.names": ["timm_image"],
            "model.timm_image.checkpoint_name": str(kept),
            "env.accelerator": "cpu",
            "env.num_workers": 2,
        }
        left = seconds - (time.monotonic() - START)
        predictor.fit(train, tuning_data=val, time_limit=left, hyperparameters=options)
        spent_s = time.monotonic() - START
        accuracy = float(predictor.evaluate(val, metrics=["accuracy"])["accuracy"])
    return {"accuracy": accuracy, "last": accuracy, "seconds": spent_s}


def main() -> None:
    who, listed, minutes, weights, out = sys.argv[1:]
    place = Path(torch.hub.get_dir(), "checkpoints", Path(weights).name)  # where torchvision looks before it downloads
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(weights, place)
    with Path(listed).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    torch.manual_seed(0)
    tools = {"fastai": fastai, "transformers": transformers, "ultralytics": ultralytics, "autogluon": autogluon}
    found = tools[who](rows, 60 * float(minutes))
    Path(out).write_text(json.dumps({"seconds": time.monotonic() - START, **found}))


if __name__ == "__main__":
    main()
