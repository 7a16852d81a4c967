# Everything happens in .venv; nothing but python3 (with venv and pip) and make is needed on the machine.
PYTHON ?= python3
UV_VERSION := 0.13.9
BIN := .venv/bin
READY := .venv/.ready

# Tests wait for processes more than they compute: two installations at once take little longer than one. What shares one stays together,
# and the long ones come first.
LANES := -n 2 --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast test-faults trials bench lint format proto clean

help:  ## show what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## install everything into .venv

$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "The venv module is missing: apt install python3-venv"; exit 1; }
	@echo "Installing OrthoRay into .venv (a minute or two the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=true $(BIN)/uv sync --frozen --inexact --extra s3-server --compile-bytecode --no-progress --quiet
	@$(BIN)/python -c "from orthoray.spectral.loops import load_compiled; load_compiled()"
	@touch $(READY)

run: $(READY)  ## start everything, analyse two sample images, and serve until Ctrl-C
	@exec $(BIN)/orthoray up --demo

test: lint  ## run all tests, with real servers, Ray and processes
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n auto tests/unit
	@$(BIN)/python -m pytest $(LANES) tests/acceptance tests/integration
	@$(BIN)/python -m pytest tests/cluster

test-faults: $(READY)  ## break running installations in all ways, and see that nothing is lost (half an hour)
	@$(BIN)/python -m pytest $(LANES) tests/faults

test-fast: $(READY)  ## run the quick tests, which need neither Ray nor servers
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n auto -m "not slow" tests/unit

trials: $(READY)  ## kill nodes under large batches, and spread large rasters over hosts (a quarter of an hour)
	@$(BIN)/python -m pytest -m trials tests/trials

bench: $(READY)  ## measure beside GDAL, Orfeo ToolBox and numpy (about 7 GB of inputs, a quarter of an hour)
	@$(BIN)/python -m benchmarks

lint: $(READY)  ## check style, types and the direction of imports
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

proto: $(READY)  ## write the Python of the gRPC messages and stubs anew, after a change of the .proto file
	@$(BIN)/python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. serve_app/rpc/orthoray.proto

format: $(READY)  ## bring the code into its style
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

clean:  ## remove what setup and tests have made
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
