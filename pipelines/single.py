"""One imagery, from its files to a heatmap, an index raster and the findings; needs neither Ray nor servers."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orthoray.contracts import Findings, Language
from orthoray.spectral.calibration import Calibration, calibrate, refuse_mixture
from orthoray.spectral.encoding import encoding_for
from orthoray.spectral.engine import analyse_bands
from orthoray.spectral.formats import TIFF
from orthoray.spectral.integrity import check_complete
from orthoray.spectral.maskfiles import split_masks
from orthoray.spectral.orientation import UPRIGHT, orientation_of, upright_copy
from orthoray.spectral.raw import prepared
from orthoray.spectral.stack import Stack, inspect_stack
from orthoray.spectral.survey import Blocks
from orthoray.spectral.work import BandWork
from pipelines.drawing import draw
from pipelines.findings import account, cuts_of, findings, resolved
from pipelines.old_way import analyse_photo, refuses_incomplete
from pipelines.planning import Plan

Progress = Callable[[float], None]

# Shares of the time: computing the index, drawing it.
_COMPUTED = 0.9


def analyse_files(
    sources: Sequence[Path],
    filenames: Sequence[str],
    plan: Plan,
    *,
    language: Language,
    heatmap_path: Path,
    index_path: Path,
    progress: Progress,
    preview_path: Path | None = None,
    elsewhere: Callable[[BandWork], Blocks] | None = None,
) -> Findings:
    """Analyse the files of one imagery; writes the heatmap (PNG), the index raster (COG) and a small picture of the heatmap
    (PNG, see `pipelines.small`) to the given paths.

    A photo is analysed as it stands upright by its EXIF orientation, so both have its upright size. `filenames`
    are the names that people know the files by; a file called as another with `.msk` behind it is that one's mask.
    `elsewhere` is that of `orthoray.spectral.engine.analyse_bands`, for imagery without `obstacle`; of the sources only
    what describes them is read here then.

    Raises:
        NotAnImage: not an image, or an incomplete one.
        Impossible: the index cannot be computed from such pixels, or the files do not fit together, or bands in
            reflectance would be mixed with plain camera numbers.
        TooLarge: more pixels than the way of this index can take.
    """
    files, names, masks = split_masks(sources, filenames)
    described = inspect_stack(files, names, masks=masks)  # first: it knows the limits
    # to see that a JPEG is whole takes a third of a decode
    if not refuses_incomplete(described, plan):
        for source in sources:
            check_complete(source)
    with contextlib.ExitStack() as opened:
        ready = [opened.enter_context(prepared(file)) for file in files]
        stack = inspect_stack(ready, names, masks=masks)
        calibration = plan.calibration or calibrate(stack.info, recognition=plan.recognition)
        refuse_mixture(plan.calibrated_bands, stack.dtypes, calibration)
        if plan.via_old:
            return analyse_photo(
                stack,
                plan,
                calibration,
                language=language,
                heatmap_path=heatmap_path,
                index_path=index_path,
                preview_path=preview_path,
                progress=progress,
            )
        return _by_bands(
            opened.enter_context(_upright(stack)),
            plan,
            calibration,
            language=language,
            heatmap_path=heatmap_path,
            index_path=index_path,
            preview_path=preview_path,
            progress=progress,
            elsewhere=elsewhere,
        )


def obstacle(sources: Sequence[Path], filenames: Sequence[str], plan: Plan) -> str | None:
    """Why an imagery cannot be analysed block by block elsewhere; None where it can. Raises as `analyse_files`."""
    files, names, masks = split_masks(sources, filenames)
    stack = inspect_stack(files, names, masks=masks)
    if plan.via_old or plan.index is None:
        return "the index is computed of whole photos"
    if plan.blend is not None:
        return "the heatmap is laid over the photo"
    if any(info.driver != TIFF.driver for info in stack.infos):
        return "only TIFFs are read by windows"
    if orientation_of(files[0], stack.info) != UPRIGHT:
        return "the photo has to be turned upright"
    work = BandWork(stack, plan.index, plan.band_map, calibrate(stack.info), plan.soil_mask)
    return None if work.reads_by_windows else "its strips are too large to be read by windows"


def _by_bands(
    stack: Stack,
    plan: Plan,
    calibration: Calibration,
    *,
    language: Language,
    heatmap_path: Path,
    index_path: Path,
    preview_path: Path | None,
    progress: Progress,
    elsewhere: Callable[[BandWork], Blocks] | None,
) -> Findings:
    assert plan.index is not None, "only OLD's own indices are not in the catalogue"
    provenance = account(plan, stack.info.dtype, calibration)
    found = analyse_bands(
        stack,
        plan.index,
        band_map=plan.band_map,
        cuts=cuts_of(plan),
        index_path=index_path,
        calibration=calibration,
        background=plan.soil_mask,
        encoding=encoding_for(plan.raster, plan.index.value_range, plan.index_name),
        provenance=provenance,
        progress=lambda fraction: progress(_COMPUTED * fraction),
        elsewhere=elsewhere,
    )
    legend = draw(
        found.picture,
        plan,
        found.statistics,
        resolved(plan, found.statistics),
        photos=stack.files,
        masks=stack.masks,
        band_map=plan.band_map,
        language=language,
        target=heatmap_path,
        small=preview_path,
    )
    progress(1.0)
    return findings(plan, found, language, calibration=calibration, legend=legend, provenance=provenance)


@contextlib.contextmanager
def _upright(stack: Stack) -> Iterator[Stack]:
    """The stack itself, or its only file turned upright."""
    orientation = orientation_of(stack.files[0], stack.info)
    if orientation == UPRIGHT:
        yield stack
        return
    with tempfile.TemporaryDirectory(prefix="orthoray-upright-") as folder:
        copy, mask = Path(folder) / "upright.tif", Path(folder) / "mask.tif"
        upright_copy(stack.files[0], orientation, copy)
        if stack.masks[0] is not None:
            upright_copy(stack.masks[0], orientation, mask)
        yield inspect_stack([copy], stack.filenames, masks=[mask if stack.masks[0] else None])
