"""`embed` writes what a network sees, `similar` finds what is most like a picture; both the same again each time."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mobilenets as mn
from conftest import Cli, is_one_line_error
from mobilenets.errors import UserError
from mobilenets.features.files import read_features, write_features

ENGINE = "--engine", "onnxruntime"  # without a measurement of which is fastest


@pytest.fixture(scope="module")
def files(trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same features in each form."""
    folder = tmp_path_factory.mktemp("features")
    made = {form: folder / f"features.{form}" for form in ("npy", "parquet")}
    for path in made.values():
        assert mn.embed(*trained, out=path, engine="onnxruntime", threads=1).images == 40
    return made


def test_each_form_has_a_row_of_length_1_for_every_picture(trained: tuple[Path, Path], files: dict[str, Path]) -> None:
    run, data = trained
    npy, parquet = (read_features(path) for path in files.values())
    assert npy.paths == parquet.paths == tuple(str(path) for path in sorted(data.rglob("*.jpg")))
    assert np.array_equal(npy.features, parquet.features)
    assert npy.features.dtype == np.float32
    assert np.abs(np.linalg.norm(npy.features, axis=1) - 1).max() < 1e-5
    assert np.array_equal(np.load(files["npy"]), npy.features)  # as anybody reads it
    engine = mn.load(run, "onnxruntime")._engine
    pixels = mn.load(run, "onnxruntime").pixels(npy.paths[7])[None]
    assert np.abs(engine.with_features(pixels)[1].features[0] - npy.features[7]).max() < 1e-4


@pytest.mark.parametrize("form", ["npy", "parquet"])
def test_the_same_pictures_give_the_same_bytes(cli: Cli, trained: tuple[Path, Path], tmp_path: Path, form: str) -> None:
    for name in ("one", "two"):
        result = cli("embed", *ENGINE, "--threads", "1", *trained, "--out", tmp_path / f"{name}.{form}")
        assert result.stdout == f"wrote the features of 40 photos to {tmp_path / name}.{form}\n"
    assert (tmp_path / f"one.{form}").read_bytes() == (tmp_path / f"two.{form}").read_bytes()


def test_a_picture_is_most_like_itself_wherever_it_is_looked_for(
    cli: Cli, trained: tuple[Path, Path], files: dict[str, Path]
) -> None:
    run, data = trained
    photo = data / "rose" / "003.jpg"
    answers = []
    for among in (data, *files.values()):
        result = cli("similar", *ENGINE, run, photo, "--among", among, "--top", "5", "--json")
        answers.append(json.loads(result.stdout))
    for answer in answers:
        assert answer["path"] == str(photo)
        assert [found["path"] for found in answer["similar"]] == [f["path"] for f in answers[0]["similar"]]
        assert answer["similar"][0]["path"] == str(photo)
        assert answer["similar"][0]["similarity"] == pytest.approx(1, abs=1e-4)
        similarities = [found["similarity"] for found in answer["similar"]]
        assert similarities == sorted(similarities, reverse=True)


def test_without_a_place_to_look_the_training_photographs_are_looked_at(
    cli: Cli, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    run, data = trained
    result = cli("similar", *ENGINE, run, data / "daisy" / "000.jpg", "--top", "3", "--save", tmp_path / "sheet.png")
    assert result.returncode == 0, result.stderr
    lines = [line.split("  ", 1) for line in result.stdout.splitlines()]
    assert len(lines) == 3
    assert all(Path(path).is_file() and data in Path(path).parents for _, path in lines)
    assert Image.open(tmp_path / "sheet.png").size == (640, 728)
    moved = shutil.copytree(run, tmp_path / "run")
    listed = (moved / "data.csv").read_text().replace(str(data), "/gone")
    (moved / "data.csv").write_text(listed)
    gone = cli("similar", *ENGINE, moved, data / "daisy" / "000.jpg", "--top", "3", "--save", tmp_path / "alone.png")
    assert [line.split("  ")[1].count("/") for line in gone.stdout.splitlines()] == [1, 1, 1]
    assert "3 of the photos are no longer there" in gone.stderr


def test_features_of_another_width_are_of_another_model(
    cli: Cli, trained: tuple[Path, Path], files: dict[str, Path], tmp_path: Path
) -> None:
    run, data = trained
    shutil.copy(files["npy"].with_suffix(".json"), tmp_path / "narrow.json")
    np.save(tmp_path / "narrow.npy", np.load(files["npy"])[:, :-1])
    result = cli("similar", *ENGINE, run, data / "rose" / "003.jpg", "--among", tmp_path / "narrow.npy")
    assert is_one_line_error(result, "narrow.npy", "embed the photos with it again")


def test_what_cannot_be_read_is_left_out_and_said(cli: Cli, trained: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = trained
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no")
    result = cli("embed", *ENGINE, run, tmp_path / "broken.jpg", data / "rose", "--out", tmp_path / "f.npy")
    assert result.returncode == 1
    assert "1 of 21 could not be read" in result.stderr
    assert read_features(tmp_path / "f.npy").features.shape[0] == 20
    nothing = cli("embed", *ENGINE, run, tmp_path / "broken.jpg", "--out", tmp_path / "g.npy")
    assert nothing.returncode == 2
    assert "none of the 1 photos can be read" in nothing.stderr
    assert not (tmp_path / "g.npy").exists()
    found = cli("similar", *ENGINE, run, data / "rose" / "003.jpg", "--among", tmp_path, "--among", data / "rose")
    assert (found.returncode, len(found.stdout.splitlines())) == (1, 12)
    assert "1 of 21 could not be read" in found.stderr
    asked = cli("similar", *ENGINE, run, tmp_path / "broken.jpg", "--among", data)
    assert asked.returncode == 2
    assert "broken.jpg" in asked.stderr


def test_what_does_not_fit_is_refused(
    cli: Cli, trained: tuple[Path, Path], files: dict[str, Path], tmp_path: Path
) -> None:
    run, data = trained
    photo = data / "rose" / "000.jpg"

    def refused(*args: str | Path, named: str) -> bool:
        return is_one_line_error(cli(args[0], *ENGINE, *args[1:]), named)

    assert refused("embed", run, data, "--out", files["npy"], named="exists already")
    assert refused("embed", run, data, "--out", tmp_path / "f.csv", named="ends in .npy or .parquet")
    (tmp_path / "f.json").write_text("mine")
    assert refused("embed", run, data, "--out", tmp_path / "f.npy", named="f.json: exists already")
    assert refused("similar", run, photo, "--top", "0", named="--top: 0 is too few")
    assert refused("similar", run, photo, "--among", tmp_path / "no.npy", named="not what 'mobilenets embed' wrote")
    write_features(tmp_path / "other.npy", [("a.jpg", np.eye(4, dtype=np.float32)[0])], 4, "another")
    assert refused("similar", run, photo, "--among", tmp_path / "other.npy", named="features of another model")
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("index.safetensors"))
    assert refused("similar", tmp_path / "run", photo, named="no index.safetensors beside it")
    assert refused("similar", tmp_path / "run", photo, named="say where to look, as --among DIR")


@pytest.mark.parametrize(
    ("features", "content"),
    [
        (np.zeros((2, 4), np.float64), {"model": "m", "paths": ["a", "b"]}),
        (np.zeros((2, 4), np.float32), {"model": "m", "paths": ["a"]}),
        (np.zeros((2, 4), np.float32), {"paths": ["a", "b"]}),
        (np.full((2, 4), np.nan, np.float32), {"model": "m", "paths": ["a", "b"]}),
        (np.zeros(8, np.float32), {"model": "m", "paths": ["a"] * 8}),
        (np.array([object()]), {"model": "m", "paths": ["a"]}),
    ],
)
def test_a_damaged_file_of_features_is_refused(tmp_path: Path, features: np.ndarray, content: object) -> None:
    np.save(tmp_path / "f.npy", features)
    (tmp_path / "f.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="embed again"):
        read_features(tmp_path / "f.npy")
    (tmp_path / "f.parquet").write_bytes((tmp_path / "f.npy").read_bytes())
    with pytest.raises(UserError, match="embed again"):
        read_features(tmp_path / "f.parquet")
