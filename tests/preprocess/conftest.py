"""The browser of `tests/browser`, for what is to be the same there."""

from browser.conftest import chromium, launch, serve_folder

__all__ = ["chromium", "launch", "serve_folder"]
