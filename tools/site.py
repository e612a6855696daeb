"""What the documentation site has beyond the files of docs/: hooks of mkdocs.yml.

Pages link to results, scripts and sources as they lie in the repository, so that they read well there too. Here the
results and the repository's own pages become pages of the site, and what else is linked to is copied into it. The
Python reference lists what `mobilenets.__all__` names.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, Files, InclusionLevel

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
RESULTS = "benchmarks/results"
OWN_PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md", "SECURITY.md": "security.md"}
FOLDERS = {"benchmarks": "benchmarks.md", RESULTS: "benchmarks.md", "examples": "python.md"}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")
PUBLIC_NAMES = "<!-- every name of mobilenets.__all__ -->"


def on_config(config: MkDocsConfig) -> None:
    """A navigation entry that ends in "/" lists the pages of that folder."""
    config.nav = _with_folders(config.nav)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the benchmarks' results and the repository's own pages."""
    for source in [*(ROOT / RESULTS).glob("*.md"), *map(ROOT.joinpath, OWN_PAGES)]:
        name = source.relative_to(ROOT).as_posix()
        files.append(File.generated(config, _site_path(name), abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links out of docs/ to where the site has what they mean, and list the public names."""
    here = page.file.src_uri
    source = Path(page.file.abs_src_path or "").relative_to(ROOT).as_posix()

    def moved(link: re.Match[str]) -> str:
        target = normpath(join(dirname(source), link[1]))
        path = _site_path(target)
        if files.get_file_from_path(path) is None and (ROOT / target).is_file():
            files.append(
                File.generated(config, path, abs_src_path=str(ROOT / target), inclusion=InclusionLevel.INCLUDED)
            )
        return relpath(path, dirname(here) or ".")

    return LINK.sub(moved, markdown).replace(PUBLIC_NAMES, _public_names())


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    """Say which language a Chinese page is in: browsers choose their fonts and offer translations by it."""
    if page.file.src_uri.startswith("zh/"):
        return output.replace('<html lang="en"', '<html lang="zh-CN"', 1)
    return output


def _site_path(repository_path: str) -> str:
    """Where the site has a file of the repository."""
    folder, name = os.path.split(repository_path)
    if repository_path.startswith("docs/"):
        return repository_path.removeprefix("docs/")
    if folder == RESULTS:
        return f"benchmarks/{name}"
    return OWN_PAGES.get(repository_path) or FOLDERS.get(repository_path) or f"files/{repository_path}"


def _with_folders(entries: Any) -> Any:
    if isinstance(entries, list):
        return [_with_folders(entry) for entry in entries]
    if isinstance(entries, dict):
        return {title: _with_folders(entry) for title, entry in entries.items()}
    if not entries.endswith("/"):
        return entries
    folder = ROOT / (RESULTS if entries == "benchmarks/" else f"docs/{entries}")
    names = sorted(page.name for page in folder.glob("*.md"))
    return [entries + name for name in sorted(names, key=lambda name: name != "index.md")]


def _public_names() -> str:
    sys.path.insert(0, str(ROOT / "src"))
    try:
        import mobilenets
    finally:
        sys.path.pop(0)
    return "\n".join(f"::: mobilenets.{name}" for name in mobilenets.__all__)
