"""What a repository, its address or its paths may do: nothing beyond being read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.recipe.registry import git
from sparkrun_tui.recipe.registry.cache import safe_path
from sparkrun_tui.recipe.registry.config import check_url, default_name, safe_subpath, url_key
from sparkrun_tui.recipe.registry.registries import add_registry, update_registries
from tests.recipe.upstream import Upstream, names, run


def tree(folder: Path, *entries: tuple[str, str, bytes]) -> str:
    """A tree written entry by entry, since git's own commands refuse hostile names."""
    body = b""
    for mode, name, data in entries:
        kind = "tree" if mode == "40000" else "blob"
        if kind == "blob":
            blob = run(folder, "hash-object", "-w", "--stdin", stdin=data)
        else:
            blob = data.decode()
        body += f"{mode} {name}".encode() + b"\0" + bytes.fromhex(blob)
    return run(folder, "hash-object", "-w", "-t", "tree", "--stdin", "--literally", stdin=body)


def point_to(upstream: Upstream, root: str) -> None:
    commit = run(upstream.folder, "commit-tree", root, "-m", "hostile")
    run(upstream.folder, "update-ref", "refs/heads/main", commit)


def test_a_path_that_climbs_out_is_refused_and_writes_nothing(upstream: Upstream, private_home: Path) -> None:
    add_registry(str(upstream.folder), "mine")
    folder = upstream.folder
    inner = tree(folder, ("100644", "evil.yaml", b"model: evil/one\n"))
    up = tree(folder, ("40000", "..", inner.encode()))
    point_to(upstream, tree(folder, ("40000", "recipes", up.encode())))
    [result] = update_registries(["mine"])
    assert result.error is not None
    assert not list(private_home.rglob("evil.yaml"))
    assert names() == ["one"]


def test_links_and_submodules_are_left_out(upstream: Upstream, tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text("model: the/secret\n")
    os.symlink(secret, upstream.folder / "recipes" / "link.yaml")
    os.symlink(tmp_path, upstream.folder / "recipes" / "folder")
    upstream.commit()
    run(upstream.folder, "update-index", "--add", "--cacheinfo", "160000", "a" * 40, "recipes/sub.yaml")
    run(upstream.folder, "commit", "-q", "-m", "submodule")
    status = add_registry(str(upstream.folder))
    assert names() == ["one"]
    assert status.snapshot is not None and status.snapshot.skipped == 2


def test_large_files_are_left_out_and_a_huge_repository_is_stopped(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.write("recipes/large.yaml", "#" * (git.MAX_BLOB + 10)).commit()
    status = add_registry(str(upstream.folder), "mine")
    assert names() == ["one"] and status.snapshot is not None and status.snapshot.skipped == 1
    (upstream.folder / "noise.bin").write_bytes(os.urandom(900_000))
    upstream.commit()
    monkeypatch.setattr(git, "MAX_CLONE", 1000)
    monkeypatch.setattr(git, "folder_size", lambda folder: 2000)
    monkeypatch.setattr(git, "_TICK", 0.0001)
    [result] = update_registries(["mine"])
    assert result.error is not None and "larger than" in str(result.error)
    assert names() == ["one"]


def test_a_repository_cannot_run_anything(upstream: Upstream, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    hooks = upstream.folder / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-checkout", "post-merge", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {mark}\n")
        (hooks / name).chmod(0o755)
    upstream.write(".gitattributes", "* filter=evil\n").write(".lfsconfig", "[lfs]\n")
    upstream.write(".gitmodules", f'[submodule "x"]\n path = x\n url = "ext::sh -c touch% {mark}"\n').commit()
    add_registry(str(upstream.folder))
    assert not mark.exists() and names() == ["one"]


@pytest.mark.parametrize(
    "url",
    [
        "", "-oProxyCommand=x", "--upload-pack=x", "ext::sh -c x", "http://example.org/r", "git://example.org/r",
        "https://user:secret@example.org/r", "https://token@example.org/r", "a b", "https://", "ssh://-oX/r", "file://host/r",
        "x\ny", "host:-x", "fd::7", "https:///x", "../nowhere",
    ],
)  # fmt: skip
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        check_url(url)


def test_addresses_that_are_taken(tmp_path: Path) -> None:
    assert check_url("owner/name") == "https://github.com/owner/name"
    assert check_url(str(tmp_path)) == tmp_path.as_uri()
    for url in ("https://example.org/r.git", "ssh://git@example.org/r", "git@example.org:o/r.git", "file:///srv/r"):
        assert check_url(url) == url


def test_spellings_of_one_repository() -> None:
    spellings = (
        "https://github.com/Owner/Name", "https://GitHub.com/owner/name.git", "git@github.com:owner/name.git",
        "ssh://git@github.com/owner/name/",
    )  # fmt: skip
    assert {url_key(url) for url in spellings} == {"github.com/owner/name"}
    assert default_name("https://github.com/ada/recipe-registry", []) == "ada"
    assert default_name("https://github.com/ada/tools", []) == "tools"
    assert default_name("https://github.com/ada/tools", ["tools"]) == "ada-tools"
    assert default_name("https://github.com/ada/tools", ["tools", "ada-tools"]) == "tools-2"


def test_paths_from_repositories() -> None:
    assert all(safe_path(path) for path in ("a.yaml", "a/b c/d.yml", "ä/ö.yaml"))
    for path in (
        "",
        "../a",
        "a/../b",
        "/a",
        "a//b",
        ".git/x",
        "a/.GIT/x",
        "a\nb",
        "a\\b",
        "x" * 500,
        "a/./b",
        "\ufffd",
    ):
        assert not safe_path(path)
    assert safe_subpath("./a//b/") == "a/b"
    for path in ("/a", "../a", "a/../..", "~x", "a\0"):
        with pytest.raises(UsageError):
            safe_subpath(path)
