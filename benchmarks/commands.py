"""The peers that are programs: GDAL's utilities and Orfeo ToolBox, and the start of our own command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.child import Finding, Prepared

PACKAGES = {
    "gdal_calc.py": ("gdal-bin", "python3-gdal"),
    "gdal_translate": ("gdal-bin",),
    "otbcli_BandMath": ("otb-bin",),
}
_NODATA = "-9999"
_RAMP = "-9999 0 0 0 0\n0.1 165 0 38 255\n0.4 255 255 191 255\n0.7 0 104 55 255\nnv 0 0 0 0\n"
_FLOAT_COG = (
    *("-co", "COMPRESS=ZSTD", "-co", "LEVEL=1", "-co", "PREDICTOR=YES"),
    *("-co", "NUM_THREADS=ALL_CPUS", "-co", "OVERVIEW_RESAMPLING=AVERAGE"),
)


def install() -> dict[str, str]:
    """Install the peers' Debian packages where that is possible; why a program is missing, by its name."""
    reason = ""
    wanted = sorted(
        {package for name, names in PACKAGES.items() if not shutil.which(name) for package in names}
    )
    if wanted:
        if not shutil.which("apt-get"):
            reason = "there is no apt-get here"
        elif os.geteuid() != 0:
            reason = f"as root, run: apt-get install -y {' '.join(wanted)}"
        else:
            quiet = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=60"]
            options = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run([*quiet, "update"], env=options, capture_output=True, check=False)
            done = subprocess.run(
                [*quiet, "install", "-y", *wanted], env=options, capture_output=True, text=True, check=False
            )
            reason = (done.stderr.strip().splitlines() or ["apt-get did not bring it"])[-1]
    return {name: reason for name in PACKAGES if not shutil.which(name)}


def chain(path: str, red: int, nir: int, out: str) -> Prepared:
    """gdal_calc, a COG, gdalinfo's statistics, and a heatmap from the COG's overviews by gdaldem."""
    folder = Path(out)
    ramp, plain, cog = folder / "ramp.txt", folder / "plain.tif", folder / "cog.tif"
    small, picture = folder / "small.tif", folder / "heatmap.png"
    ramp.write_text(_RAMP)
    formula = "(A.astype(float32)-B.astype(float32))/(A.astype(float32)+B.astype(float32))"

    def work() -> Finding:
        _run(
            *("gdal_calc.py", "--quiet", "-A", path, f"--A_band={nir}", "-B", path, f"--B_band={red}"),
            *("--calc", formula, "--type", "Float32", f"--NoDataValue={_NODATA}"),
            *("--co", "TILED=YES", "--outfile", str(plain)),
        )
        _run("gdal_translate", "-q", "-of", "COG", *_FLOAT_COG, str(plain), str(cog))
        told = json.loads(_run("gdalinfo", "-json", "-stats", "-hist", str(cog)))["bands"][0]
        _run("gdal_translate", "-q", "-outsize", "2500", "0", "-r", "average", str(cog), str(small))
        _run("gdaldem", "color-relief", "-q", "-alpha", "-of", "PNG", str(small), str(ramp), str(picture))
        return {
            "valid": sum(told["histogram"]["buckets"]),
            "mean": float(told["metadata"][""]["STATISTICS_MEAN"]),
        }

    return Prepared(work)


def decode(path: str, red: int, nir: int) -> Prepared:
    """gdal_translate of two bands into memory: GDAL's decoding without Python."""

    def work() -> Finding:
        _run("gdal_translate", "-q", "-of", "MEM", "-b", str(red), "-b", str(nir), path, "memory")
        return {}

    return Prepared(work)


def band_math(path: str, red: int, nir: int, out: str) -> Prepared:
    """Orfeo ToolBox's BandMath: the NDVI alone, as float32 with the same codec, without statistics."""
    raster = Path(out) / "otb.tif"
    codec = ("COMPRESS=ZSTD", "ZSTD_LEVEL=1", "PREDICTOR=3", "TILED=YES", "NUM_THREADS=ALL_CPUS")
    target = f"{raster}?" + "".join(f"&gdal:co:{option}" for option in codec)

    def work() -> Finding:
        expression = f"(im1b{nir}-im1b{red})/(im1b{nir}+im1b{red})"
        _run(
            *("otbcli_BandMath", "-il", path, "-out", target, "float"),
            *("-exp", expression, "-ram", "1024"),
        )
        return {}

    def after() -> Finding:
        # It knows no nodata: where there is none its NDVI is that of 65535 and 65535, exactly 0.
        import numpy as np
        import rasterio

        with rasterio.open(raster) as made:
            values = made.read(1)
        values = values[values != 0]
        return {"valid": int(values.size), "mean": float(values.mean(dtype=np.float64))}

    return Prepared(work, after)


def importing() -> Prepared:
    """A Python process that imports the two libraries that any of this needs."""

    def work() -> Finding:
        _run(sys.executable, "-c", "import cv2, rasterio")
        return {}

    return Prepared(work)


def analyze(path: str, out: str) -> Prepared:
    """`orthoray analyze` on a photo, the whole process."""
    program = Path(sys.executable).with_name("orthoray")

    def work() -> Finding:
        _run(str(program), "analyze", path, "--index", "NDVI_emp", "--out", out)
        return {}

    return Prepared(work)


def _run(*words: str) -> str:
    """Run a program and return what it prints. Raises OSError with its last words where it fails."""
    environment = {**os.environ, "GDAL_NUM_THREADS": "ALL_CPUS"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{Path(words[0]).name}: {done.stderr.strip()[-300:] or done.returncode}")
    return done.stdout
