"""Names and texts of clustered segments by a language model; without rows unless llm_enabled."""

from manyfaces.frames import previous_rows
from manyfaces.language.cache import CachedLanguageModel
from manyfaces.language.client import Endpoint, LanguageModel
from manyfaces.language.segment_texts import Wording, empty_texts, write_segment_texts
from manyfaces.store import ArtifactStore


def model(dbt, session):
    segments = dbt.ref("cluster_names").select("segmentation, segment_id, name").pl()
    evidence = dbt.ref("segment_text_evidence").pl()
    words, banned = dbt.ref("name_words").pl(), dbt.ref("banned_name_words").pl()
    overrides = dbt.ref("segment_name_overrides").select("segment_id, name").pl()
    wall = dbt.ref("wall").select("as_of").fetchall()
    if not dbt.config.meta_get("llm_enabled") or not wall:
        return empty_texts()
    endpoint = Endpoint(
        base_url=str(dbt.config.meta_get("llm_base_url")),
        model=str(dbt.config.meta_get("llm_model")),
        key_variable=str(dbt.config.meta_get("llm_key_variable")),
        timeout_seconds=float(dbt.config.meta_get("llm_timeout_seconds")),
        max_retries=int(dbt.config.meta_get("llm_max_retries")),
    )
    store = ArtifactStore(str(dbt.config.meta_get("store_dir")))
    return write_segment_texts(
        CachedLanguageModel(LanguageModel(endpoint), store),
        segments,
        evidence,
        words,
        banned,
        overrides,
        as_of=wall[0][0],
        previous=previous_rows(session, dbt.this),
        wording=Wording(
            language=str(dbt.config.meta_get("llm_language")),
            min_users=int(dbt.config.meta_get("min_users_per_cell")),
            rename=bool(dbt.config.meta_get("llm_rename")),
        ),
    )
