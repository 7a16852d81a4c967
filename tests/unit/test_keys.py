"""Object keys."""

from __future__ import annotations

from uuid import UUID

from orthoray import keys

IMAGERY = UUID("11111111-1111-4111-8111-111111111111")
RUN = UUID("22222222-2222-4222-8222-222222222222")


def test_keys_of_the_default_tenant_keep_the_legacy_shape() -> None:
    assert keys.imagery_key("default", IMAGERY, "field.jpg") == f"imagery/{IMAGERY}/field.jpg"
    assert keys.heatmap_key("default", RUN) == f"heatmaps/{RUN}.png"
    assert keys.report_key("default", RUN) == f"reports/{RUN}.pdf"


def test_keys_of_another_tenant_begin_with_it() -> None:
    for key in (
        keys.imagery_key("farm", IMAGERY, "field.jpg"),
        keys.imagery_prefix("farm", IMAGERY),
        keys.thumbnail_key("farm", IMAGERY),
        keys.heatmap_key("farm", RUN),
        keys.index_key("farm", RUN),
        keys.report_key("farm", RUN),
    ):
        assert key.startswith("farm/")


def test_a_prefix_is_a_folder() -> None:
    prefix = keys.imagery_prefix("default", IMAGERY)
    assert prefix.endswith("/")
    assert keys.imagery_key("default", IMAGERY, "a.png") == f"{prefix}a.png"


def test_a_report_is_known_by_its_run_and_language() -> None:
    ids = {keys.report_id(run, language) for run in (IMAGERY, RUN) for language in ("ru", "ro", "en")}
    assert len(ids) == 6
    assert keys.report_id(RUN, "ru") == keys.report_id(RUN, "ru")
