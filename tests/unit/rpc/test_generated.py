"""What protoc has written is what it would write now: make proto."""

from __future__ import annotations

from pathlib import Path

import grpc_tools
import pytest
from grpc_tools import protoc

ROOT = Path(__file__).parents[3]
FOLDER = Path("serve_app") / "rpc"


@pytest.mark.slow
def test_generated_code_is_fresh(tmp_path: Path) -> None:
    out = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    of_google = Path(grpc_tools.__file__).parent / "_proto"
    assert protoc.main(["", f"-I{ROOT}", f"-I{of_google}", *out, str(ROOT / FOLDER / "orthoray.proto")]) == 0
    made = sorted(path.name for path in (tmp_path / FOLDER).iterdir())
    assert made == ["orthoray_pb2.py", "orthoray_pb2.pyi", "orthoray_pb2_grpc.py"]
    for name in made:
        kept = (ROOT / FOLDER / name).read_text(encoding="utf-8")
        assert (tmp_path / FOLDER / name).read_text(encoding="utf-8") == kept, f"{name}: run `make proto`"
