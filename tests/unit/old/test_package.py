import ast
import subprocess
import sys
from pathlib import Path

import pytest

import OLD

ROOT = Path(OLD.__file__).parent
MODULES = ["image_processing", "analysis", "problematic_ndvi", "utils", "styles"]
ALLOWED = {"OLD", "cv2", "numpy", "rawpy", "orthoray"} | sys.stdlib_module_names
ALLOWED_OF_OURS = {"errors", "reporting", "spectral"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.stem)
def test_only_allowed_packages_are_imported(path):
    for name in imported(path):
        assert name.split(".")[0] in ALLOWED
        if name.startswith("orthoray"):
            assert name.split(".")[1] in ALLOWED_OF_OURS


@pytest.mark.slow
def test_nothing_heavy_comes_with_it():
    code = f"""
import importlib, sys
for module in {MODULES}:
    importlib.import_module("OLD." + module)
heavy = {{"ray", "fastapi", "starlette", "httpx", "psycopg", "sqlalchemy", "redis", "procrastinate"}}
heavy |= {{"PyQt5", "PyQt6", "PySide2", "PySide6"}}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
