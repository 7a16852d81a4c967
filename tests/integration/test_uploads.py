"""Files that arrive in parts, and content that is stored once, on a real PostgreSQL and a real folder."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from fakes import stored_file
from rasters import RGBN, UTM, write_bands
from wired import Services

from orthoray.contracts import Imagery
from orthoray.database import ALL_ROWS, migrate
from orthoray.errors import NotAnImage, NotFound, TooLarge, Unavailable, WrongState
from orthoray.keys import imagery_key
from orthoray.ports import Upload
from orthoray.storage.local import LocalStorage
from orthoray.storage.local_parts import LocalParts
from orthoray.storage.parts import PART_BYTES, part_store
from orthoray.uploads import PartedUpload, UploadCompletion, UploadWish

pytestmark = pytest.mark.anyio
NOTHING = UploadCompletion()


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A TIFF of three parts: 80 x 80 pixels, and some megabytes behind them that no reader minds."""
    values = np.full((4, 80, 80), 0.2, dtype=np.float32)
    path = write_bands(tmp_path_factory.mktemp("big") / "big.tif", values, RGBN, **UTM)
    return path.read_bytes() + bytes(2 * PART_BYTES)


def wish(content: bytes, **facts: Any) -> UploadWish:
    return UploadWish(filename="big.tif", size=len(content), **facts)


async def send(services: Services, upload: PartedUpload, content: bytes, *numbers: int) -> None:
    """Put these parts, or all."""
    store = part_store(services.storage)
    for part in upload.parts:
        if not numbers or part.number in numbers:
            place = await services.imagery.place_of_part("default", upload.id, part.number)
            start = (part.number - 1) * upload.part_bytes
            with store.writer(place.bucket, place.object_key, place.token, part.number) as target:
                target.write(content[start : start + part.size_bytes])
                target.commit()


async def uploaded(services: Services, content: bytes, **facts: Any) -> Imagery:
    upload = await services.imagery.begin_upload("default", wish(content, **facts))
    await send(services, upload, content)
    return await services.imagery.complete_upload("default", upload.id, NOTHING)


async def test_parts_that_were_broken_off_are_gone_on_with(services: Services, big: bytes) -> None:
    upload = await services.imagery.begin_upload("default", wish(big, bands="R,G,B,N"))
    assert (upload.status, upload.part_count, upload.received_bytes) == ("open", 3, 0)
    await send(services, upload, big, 2)
    again = await services.imagery.get_upload("default", upload.id, 1, 2)
    assert [part.received for part in again.parts] == [False, True]
    assert again.next_part == 3
    with pytest.raises(WrongState, match="2 of 3 parts") as caught:
        await services.imagery.complete_upload("default", upload.id, NOTHING)
    assert caught.value.fields["missing_parts"] == [1, 3]
    await send(services, upload, b"other" + big[5:], 1)
    await send(services, upload, big, 1, 3)
    known = await services.imagery.get_upload("default", upload.id, 1, 1000)
    etags = [{"number": part.number, "etag": part.etag} for part in known.parts]
    completion = UploadCompletion.model_validate({"parts": etags, "sha256": hashlib.sha256(big).hexdigest()})
    imagery = await services.imagery.complete_upload("default", upload.id, completion)
    assert imagery.id == upload.imagery_id
    assert imagery.sha256 == completion.sha256
    assert (imagery.size_bytes, imagery.original_filename) == (len(big), "big.tif")
    assert await services.imagery.complete_upload("default", upload.id, NOTHING) == imagery
    assert services.events("imagery", imagery.id) == ["imagery.created"]
    assert services.objects() == [imagery.object_key, f"thumbnails/{imagery.id}.png"]
    assert (await services.imagery.get_upload("default", upload.id, 1, 10)).status == "completed"
    with pytest.raises(WrongState, match="completed"):
        await services.imagery.place_of_part("default", upload.id, 1)
    await services.imagery.delete("default", imagery.id)
    with pytest.raises(NotFound, match="deleted since"):
        await services.imagery.complete_upload("default", upload.id, NOTHING)
    assert services.objects() == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (LocalParts, "complete"),
        (LocalStorage, "put_bytes"),
        ("serve_app.imagery.service.claim", None),
        ("serve_app.imagery.uploads.Uploads._end", None),
        ("serve_app.imagery.uploads.Uploads._forget", None),
    ],
)
async def test_completing_again_takes_up_what_ended_in_the_middle(
    services: Services, big: bytes, monkeypatch: pytest.MonkeyPatch, module: Any, name: str | None
) -> None:
    upload = await services.imagery.begin_upload("default", wish(big))
    await send(services, upload, big)

    def die(*_: object, **__: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(module, die) if name is None else patched.setattr(module, name, die)
        with pytest.raises(MemoryError):
            await services.imagery.complete_upload("default", upload.id, NOTHING)
    imagery = await services.imagery.complete_upload("default", upload.id, NOTHING)
    assert imagery.sha256 == hashlib.sha256(big).hexdigest()
    assert services.events("imagery", imagery.id) == ["imagery.created"]
    assert services.objects() == [imagery.object_key, f"thumbnails/{imagery.id}.png"]


async def test_joined_parts_need_not_be_sent_again(
    services: Services, big: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await services.imagery.begin_upload("default", wish(big))
    await send(services, upload, big)

    async def away(*_: object) -> None:
        raise Unavailable

    with monkeypatch.context() as patched:
        patched.setattr(services.imagery.uploads, "_register", away)
        with pytest.raises(Unavailable):
            await services.imagery.complete_upload("default", upload.id, NOTHING)
    known = await services.imagery.get_upload("default", upload.id, 1, 10)
    assert (known.status, known.received_bytes) == ("open", len(big))
    assert await services.imagery.complete_upload("default", upload.id, NOTHING)


async def test_only_one_completes_at_a_time(services: Services, big: bytes) -> None:
    upload = await services.imagery.begin_upload("default", wish(big))
    await send(services, upload, big)
    answers = await asyncio.gather(
        *(services.imagery.complete_upload("default", upload.id, NOTHING) for _ in range(4)),
        return_exceptions=True,
    )
    done = [answer for answer in answers if isinstance(answer, Imagery)]
    assert done
    assert all(isinstance(answer, Imagery | WrongState) for answer in answers)
    assert services.events("imagery", upload.imagery_id) == ["imagery.created"]


async def test_what_is_no_image_is_refused_once_and_for_all(services: Services) -> None:
    content = b"not an image at all"
    upload = await services.imagery.begin_upload("default", wish(content))
    await send(services, upload, content)
    for _ in range(2):
        with pytest.raises(NotAnImage):
            await services.imagery.complete_upload("default", upload.id, NOTHING)
    known = await services.imagery.get_upload("default", upload.id, 1, 10)
    assert known.status == "refused"
    assert known.error
    assert services.objects() == []


async def test_another_file_than_was_meant_keeps_its_parts(services: Services, big: bytes) -> None:
    """Whoever says what the parts are is told which are wrong; without that all are there, to be compared by their etags."""
    sha256 = hashlib.sha256(big).hexdigest()
    upload = await services.imagery.begin_upload("default", wish(big, sha256=sha256))
    await send(services, upload, big[:100] + b"!" + big[101:])
    for _ in range(2):
        with pytest.raises(WrongState, match="its SHA-256 is") as caught:
            await services.imagery.complete_upload("default", upload.id, NOTHING)
        assert caught.value.fields["sha256"] != sha256
    with pytest.raises(WrongState, match="begun for a file"):
        await services.imagery.complete_upload("default", upload.id, UploadCompletion(sha256="0" * 64))
    for wrong in (
        {"number": 2, "etag": '"x"'},
        {"number": 2, "sha256": "0" * 64},
        {"number": 4, "etag": "x"},
    ):
        with pytest.raises(WrongState, match=f"the first is part {wrong['number']}"):
            await services.imagery.complete_upload(
                "default", upload.id, UploadCompletion.model_validate({"parts": [wrong]})
            )
    said = digests(upload, big)
    with pytest.raises(WrongState, match="the first is part 1") as caught:
        await services.imagery.complete_upload("default", upload.id, said)
    assert caught.value.fields["missing_parts"] == [1]
    known = await services.imagery.get_upload("default", upload.id, 1, 10)
    assert (known.status, [part.received for part in known.parts]) == ("open", [True] * 3)
    assert services.objects() == []
    await send(services, known, big, 1)
    imagery = await services.imagery.complete_upload("default", upload.id, said)
    assert imagery.sha256 == sha256


def digests(upload: PartedUpload, content: bytes) -> UploadCompletion:
    """What a careful client says of the parts."""
    cut = [
        (part.number, content[(part.number - 1) * upload.part_bytes :][: part.size_bytes])
        for part in upload.parts
    ]
    parts = [{"number": number, "sha256": hashlib.sha256(data).hexdigest()} for number, data in cut]
    return UploadCompletion.model_validate({"parts": parts, "sha256": hashlib.sha256(content).hexdigest()})


@pytest.mark.parametrize("dies", ["before", "after", None])
async def test_parts_that_only_their_object_can_show_to_be_wrong_are_made_again(
    services: Services, big: bytes, monkeypatch: pytest.MonkeyPatch, dies: str | None
) -> None:
    """As on S3, where the digest is known when the parts have been joined."""
    joining = LocalParts.complete
    monkeypatch.setattr(LocalParts, "knows_digests", False)
    monkeypatch.setattr(LocalParts, "complete", lambda *args: joining(*args[:-1]) and None)
    upload = await services.imagery.begin_upload("default", wish(big))
    await send(services, upload, big[:100] + b"!" + big[101:])
    said = digests(upload, big)
    if dies:
        die = {"before": (services.imagery.uploads, "_part_again"), "after": (services.storage, "delete")}
        with monkeypatch.context() as patched:

            def end(*_: object) -> None:
                raise SystemError

            patched.setattr(*die[dies], end)
            with pytest.raises(SystemError):
                await services.imagery.complete_upload("default", upload.id, said)
    if dies != "after":  # for then the bad part is missing already
        with pytest.raises(WrongState, match="the first is part 1") as caught:
            await services.imagery.complete_upload("default", upload.id, said)
        assert caught.value.fields["missing_parts"] == [1]
        assert services.objects() == []
    with pytest.raises(WrongState, match="1 of 3 parts are missing"):
        await services.imagery.complete_upload("default", upload.id, said)
    known = await services.imagery.get_upload("default", upload.id, 1, 10)
    assert [part.received for part in known.parts] == [False, True, True]
    await send(services, known, big, 1)
    imagery = await services.imagery.complete_upload("default", upload.id, said)
    assert imagery.sha256 == said.sha256
    assert services.objects() == [imagery.object_key, f"thumbnails/{imagery.id}.png"]
    assert not list(part_store(services.storage).pending("imagery"))


async def test_limits(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services.imagery.uploads, "_max_open", 2)
    monkeypatch.setattr(services.imagery.uploads, "_max_bytes", 1000)
    with pytest.raises(TooLarge, match="MAX_OBJECT_BYTES"):
        await services.imagery.begin_upload("default", wish(bytes(1001)))
    begun = [await services.imagery.begin_upload("default", wish(bytes(1000))) for _ in range(2)]
    with pytest.raises(WrongState, match="2 uploads"):
        await services.imagery.begin_upload("default", wish(b"x"))
    await services.imagery.begin_upload("other", wish(b"x"))
    await services.imagery.abort_upload("default", begun[0].id)
    await services.imagery.begin_upload("default", wish(b"x"))
    with pytest.raises(NotFound):
        await services.imagery.get_upload("other", begun[1].id, 1, 10)
    with pytest.raises(NotFound, match="parts are 1 to 1"):
        await services.imagery.place_of_part("default", begun[1].id, 2)


async def test_what_nobody_goes_on_with_is_swept(services: Services, big: bytes) -> None:
    upload = await services.imagery.begin_upload("default", wish(big))
    kept = await services.imagery.begin_upload("default", wish(big))
    await send(services, upload, big, 1)
    await send(services, kept, big, 1)
    assert await services.imagery.sweep_uploads() == 0
    old = "update uploads set expires_at = now() - interval '1 s' where id = %s returning id"
    services.query("imagery", old, upload.id)
    assert await services.imagery.sweep_uploads() == 1
    with pytest.raises(NotFound):
        await services.imagery.complete_upload("default", upload.id, NOTHING)
    folders = list((services.storage.root / ".uploads").iterdir())
    assert len(folders) == 1, "the parts of the other"
    services.query("imagery", "delete from uploads returning id")
    assert await services.imagery.sweep_uploads() == 0, "it may just be beginning"
    store = part_store(services.storage)
    (begun,) = store.pending("imagery")
    store.abort("imagery", begun.key, begun.token)


async def test_identical_content_is_stored_once(services: Services, big: bytes) -> None:
    first = await uploaded(services, big)
    second = await uploaded(services, big, bands="N,G,B,R")
    third = await services.register(content=big)
    assert len({first.id, second.id, third.id}) == 3
    assert {one.object_key for one in (first, second, third)} == {first.object_key}
    assert {one.sha256 for one in (first, second, third)} == {hashlib.sha256(big).hexdigest()}
    assert second.bands["N"] == 1
    other = await services.register("other", content=big)
    assert other.object_key != first.object_key
    for number, imagery in enumerate((first, third, second)):
        assert services.storage.exists("imagery", first.object_key), number
        await services.imagery.delete("default", imagery.id)
    assert not services.storage.exists("imagery", first.object_key)
    assert services.objects() == sorted([other.object_key, f"other/thumbnails/{other.id}.png"])
    assert services.query("imagery", "select object_key from stored_objects") == [
        {"object_key": other.object_key}
    ]


async def test_deleting_and_uploading_the_same_content_at_once(services: Services) -> None:
    """Whatever comes first, every record that is there has its object, and there are no others."""
    kept = [await services.register()]
    for _ in range(12):
        doomed, fresh = kept.pop(), [services.register() for _ in range(2)]
        answers = await asyncio.gather(
            fresh[0], services.imagery.delete("default", doomed.id), fresh[1], return_exceptions=True
        )
        assert not [answer for answer in answers if isinstance(answer, BaseException)]
        new = [answer for answer in answers if isinstance(answer, Imagery)]
        kept.append(new[0])
        assert services.storage.exists("imagery", new[0].object_key)
        await services.imagery.delete("default", new[1].id)
        assert services.storage.exists("imagery", new[0].object_key)
    assert services.objects() == sorted([kept[0].object_key, f"thumbnails/{kept[0].id}.png"])


async def test_content_whose_object_was_lost_is_stored_anew(services: Services) -> None:
    first = await services.register()
    services.storage.delete("imagery", first.object_key)
    second = await services.register()
    assert second.object_key != first.object_key
    assert services.storage.exists("imagery", second.object_key)
    third = await services.register()
    assert third.object_key == second.object_key


async def test_files_that_were_cleared_away_meanwhile_get_no_record(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway gave up waiting and cleared up, while the file was still being described."""
    imagery_id = uuid4()
    key = imagery_key("default", imagery_id, "field.tif")
    content = services.image.read_bytes()
    services.storage.put_bytes("imagery", key, content)
    genuine = services.imagery._describe

    def slow(upload: Upload) -> Any:
        found = genuine(upload)
        services.storage.delete("imagery", key)
        return found

    monkeypatch.setattr(services.imagery, "_describe", slow)
    with pytest.raises(WrongState, match="removed"):
        await services.imagery.register(
            "default", Upload(id=imagery_id, files=[stored_file("field.tif", key, content)])
        )
    assert services.objects() == []
    assert services.query("imagery", "select object_key from stored_objects") == []


async def test_rows_from_before_are_shared_and_counted(services: Services) -> None:
    """The fourth step of the schema, on rows of an older installation: two of one content, each with its own object."""
    kept = [await services.register() for _ in range(2)]
    statement = "update imagery set object_key = %s, assets = '[]' where id = %s returning id"
    services.query("imagery", statement, "imagery/old/field.tif", kept[1].id)
    services.storage.put_bytes("imagery", "imagery/old/field.tif", services.image.read_bytes())
    undo = (
        "drop table object_uses, stored_objects, uploads",
        "delete from schema_migrations where name = '0004_uploads'",
        "alter table imagery add constraint imagery_object_key_key unique (object_key)",
    )
    with psycopg.connect(services.dsns["imagery"], options=ALL_ROWS) as connection:
        connection.execute(cast(Any, ";".join(undo)))
    folder = Path(__file__).parents[2] / "serve_app/imagery/migrations"
    assert migrate(services.dsns["imagery"], folder) == ["0004_uploads"]
    rows = services.query("imagery", "select object_key, canonical from stored_objects order by created_at")
    assert rows == [
        {"object_key": kept[0].object_key, "canonical": True},
        {"object_key": "imagery/old/field.tif", "canonical": False},
    ]
    third = await services.register()
    assert third.object_key == kept[0].object_key
    for imagery in (*kept, third):
        await services.imagery.delete("default", imagery.id)
    assert services.objects() == []


async def test_an_upload_that_nobody_has(services: Services) -> None:
    for call in (
        services.imagery.get_upload("default", UUID(int=0), 1, 1),
        services.imagery.complete_upload("default", UUID(int=0), NOTHING),
        services.imagery.abort_upload("default", UUID(int=0)),
        services.imagery.place_of_part("default", UUID(int=0), 1),
    ):
        with pytest.raises(NotFound):
            await call
