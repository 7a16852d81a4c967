"""What tells of a whole batch: the table, the STAC collection with its items, and the summary. Written from the rows, of which no
more than a page is held at once."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from orthoray.batches import COLLECTION, SUMMARY, TABLE, BatchRequest, ItemResult, ItemRow
from pipelines.ledger import Ledger
from pipelines.output import RESULT_FOLDERS, FolderOutput, Output, content_type_of
from pipelines.stac import Collection, item_dict, item_file
from pipelines.summary import Summary
from pipelines.table import TableFile

# Small files that are on their way to storage at once, and rows that are held until these are there.
_WRITING = 8
_PAGE = 200


def write_results(
    request: BatchRequest, ledger: Ledger, output: Output, check: Callable[[], None]
) -> Counter[str]:
    """Write all of it, and leave nothing of results that are no more; how many rows there are by state. May be repeated.

    `check` raises where the batch is another driver's by now: nothing is replaced or removed then.
    """
    states: Counter[str] = Counter()
    folder = output.folder if isinstance(output, FolderOutput) else None
    collection, summary = Collection(ledger.batch_id), Summary(request, ledger.batch_id)
    names: set[str] = set()

    def put_item(result: ItemResult) -> None:
        output.put_bytes(item_file(result), _json(item_dict(result, folder)), content_type_of(COLLECTION))

    with tempfile.TemporaryDirectory(prefix="orthoray-batch-") as scratch:
        local = Path(scratch) / TABLE
        with TableFile(local, ledger.batch_id) as table, ThreadPoolExecutor(_WRITING) as pool:
            for page in _pages(ledger.rows()):
                check()
                new = []
                for row in page:
                    states[row.status] += 1
                    table.add(row)
                    summary.add(row)
                    # images of equal content share their result
                    if row.result is not None and row.result.name not in names:
                        names.add(row.result.name)
                        collection.add(row.result)
                        new.append(row.result)
                list(pool.map(put_item, new))
        check()
        output.move_file(TABLE, local, content_type_of(TABLE))
    if names:
        output.put_bytes(COLLECTION, _json(collection.to_dict()), content_type_of(COLLECTION))
    else:
        output.remove(COLLECTION)
    if request.report:
        pdf = summary.pdf(output, datetime.now(UTC))
        check()
        output.put_bytes(SUMMARY, pdf, content_type_of(SUMMARY))
    else:
        output.remove(SUMMARY)
    output.keep_only(RESULT_FOLDERS, names, check)
    return states


def remove_results(output: Output) -> None:
    """What tells of the whole batch goes before something of it changes: should the job be killed, nobody takes it for the
    state of the batch."""
    for name in (SUMMARY, COLLECTION, TABLE):
        output.remove(name)


def _pages(rows: Iterable[ItemRow]) -> Iterator[list[ItemRow]]:
    following = iter(rows)
    while page := list(islice(following, _PAGE)):
        yield page


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False).encode()
