"""A search under way, as its folder remembers it: nothing that was paid for is lost, whenever it stops."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from mobilenets.errors import ModelFileError, UsageError
from mobilenets.nn.io import read_network
from mobilenets.nn.model import MobileNet
from mobilenets.searching.config import SearchConfig
from mobilenets.system.files import write_atomic

FOLDER = "checkpoint"  # of a run folder
FILE = "search.json"
# Fields whose names in the file are those that the first searches wrote.
_JSON_NAMES = {"config": "ask", "base": "seed", "evaluated": "judged"}


@dataclass
class SearchState:
    """What is known so far; written after every step.

    `base`: latency_ms, accuracy and log_loss (validation) of the base network and, as `holdout`, the expected accuracy
    on the part held out of what the steps begin with; `fit`: the numbers and the errors of the latency model; `plan`:
    what fits into the time, in the method's terms; `steps`: one object per accepted step; `evaluated`: one per network
    that evolve evaluated; `epochs` of the last training once planned; `cwd`: the folder that relative paths of `config`
    go with.
    """

    folder: Path
    config: SearchConfig
    base: dict[str, float] = field(default_factory=dict)
    fit: dict[str, float] = field(default_factory=dict)
    plan: dict[str, float] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    evaluated: list[dict[str, Any]] = field(default_factory=list)
    searched: bool = False
    epochs: int | None = None
    cwd: str = ""

    def save(self) -> None:
        """Write everything but networks."""
        (self.folder / FOLDER).mkdir(parents=True, exist_ok=True)
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "folder"}
        values["config"] = asdict(self.config)
        content = {_JSON_NAMES.get(name, name): value for name, value in values.items()}
        text = json.dumps(content, indent=1, ensure_ascii=False)
        write_atomic(self.folder / FOLDER / FILE, text + "\n")

    def network_file(self, step: int | None = None) -> Path:
        """Where the network after a step (default: the last one) is kept."""
        return self.folder / FOLDER / f"step-{len(self.steps) if step is None else step}.safetensors"

    def network(self) -> tuple[MobileNet, int] | None:
        """The network after the last step and the side of its input; None before there is one."""
        if not self.network_file().exists():
            return None
        found = read_network(self.network_file())
        return found.model, found.card.preprocess.size

    @classmethod
    def read(cls, folder: Path) -> SearchState:
        """The state of a search that was interrupted.

        Raises
        ------
        UserError
            There is none, or it cannot be read.
        """
        path = folder / FOLDER / FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            names = {json_name: name for name, json_name in _JSON_NAMES.items()}
            content = {names.get(name, name): value for name, value in content.items()}
            config = SearchConfig(**content.pop("config"))
            cwd = content.get("cwd")
            if cwd and Path(cwd) != Path.cwd():
                config = replace(config, data=str(Path(cwd, config.data)), run=str(Path(cwd, config.run)))
                content["cwd"] = str(Path.cwd())
            return cls(folder, config, **content)
        except FileNotFoundError:
            raise UsageError(f"{folder}: holds no search to go on with; leave --resume out") from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelFileError(f"{path}: is damaged ({type(error).__name__}); search into a new --out") from error
