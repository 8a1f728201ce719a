{{ config(materialized='view') }}

{#- The models of these are in Python, with columns of their own. -#}
{%- set learned = {
    'collaborative': {'is_repeat': 'is_repeat', 'kind': "'user'", 'id': 'cast(null as string)', 'value': 'cast(null as double)'},
    'content': {
        'is_repeat': 'false', 'kind': "case when evidence_item_id is null then 'history' else 'item' end",
        'id': 'evidence_item_id', 'value': 'score',
    },
} %}

with users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

candidates as (
    {#- An unknown name stops the run in check_config, which comes later than this. -#}
    {% for source in var('sources') if source in source_names() %}
        {% if source in learned %}
            select
                user_key,
                item_id,
                source,
                cast(score as double) as score,
                {{ learned[source].is_repeat }} as is_repeat,
                {{ learned[source].kind }} as evidence_kind,
                {{ learned[source].id }} as evidence_id,
                cast(null as bigint) as evidence_count,
                cast({{ learned[source].value }} as double) as evidence_value
            from {{ ref(source ~ '_candidates') }}
        {% else %}
            select
                user_key,
                item_id,
                source,
                score,
                is_repeat,
                evidence_kind,
                evidence_id,
                evidence_count,
                evidence_value
            from {{ ref(source ~ '_candidates') }}
        {% endif %}
        {{ "union all" if not loop.last }}
    {% endfor %}
),

-- A user who did not consent gets nothing personal.
final as (
    select
        candidates.user_key,
        candidates.item_id,
        candidates.source,
        candidates.score,
        candidates.is_repeat,
        candidates.evidence_kind,
        candidates.evidence_id,
        candidates.evidence_count,
        candidates.evidence_value,
        users.user_number,
        item_stats.item_number
    from candidates
    inner join users
        on candidates.user_key = users.user_key
    inner join item_stats
        on candidates.item_id = item_stats.item_id
    where users.has_consent or candidates.source = 'popular'
)

select * from final
