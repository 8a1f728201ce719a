{# Fails for each row that a source must not give: no score, another kind of evidence, or more than its share. #}
{% test candidate_rows(model, source, kind) %}

select
    user_key,
    item_id,
    source,
    score,
    is_repeat,
    evidence_kind,
    evidence_id
from {{ model }}
qualify
    source <> '{{ source }}'
    or score is null
    or score <= 0
    or is_repeat is null
    or evidence_kind <> '{{ kind }}'
    or (evidence_id is null) <> {{ 'true' if kind in ['everyone', 'user'] else 'false' }}
    or row_number() over (partition by user_key order by score desc) > {{ var('candidates_per_source') }}

{% endtest %}
