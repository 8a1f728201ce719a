{# What the models of sources have in common: which there are, whether they are stored, and how their rows end. #}

{# Every source. A new one is a name here and a model <name>_candidates. #}
{% macro source_names() -%}
    {{ return([
        'buy_again', 'collaborative', 'content', 'segment', 'popular', 'context', 'category', 'distinctive', 'rising',
        'item_neighbours', 'social', 'attribute', 'new_item'
    ] + fitted_sources()) }}
{%- endmacro %}

{# A source that is not in use is a view: it can be asked, and costs nothing until it is. #}
{% macro stored_if_used(source) -%}
    {{ return('table' if source in var('sources') else 'view') }}
{%- endmacro %}

{#
    Of a list that many users share, those with a history of their own need no more than fits a list of theirs: what is
    further down hardly ever comes first for them, and every row costs.
#}
{% macro enough_of_shared_list(list, users) -%}
(
    {{ list }}.rank <= {{ var('top_n') }}
    or {{ users }}.positive_events < {{ var('candidates_per_source') }}
    or not {{ users }}.has_consent
)
{%- endmacro %}

{# The model of a source that gives each user a list of the user's segment: the one of that name in segment_items. #}
{% macro segment_list_candidates(source, list) -%}
with assignments as (
    select * from {{ ref('segment_assignments') }}
    where segmentation = '{{ var("default_segmentation") }}' and not is_unassigned
),

users as (
    select * from {{ ref('user_attributes') }}
),

segment_list as (
    select * from {{ ref('segment_items') }}
    where
        segmentation = '{{ var("default_segmentation") }}'
        and list = '{{ list }}'
        and rank <= {{ var('candidates_per_source') }}
),

listed as (
    select
        assignments.user_key,
        segment_list.item_id,
        segment_list.score,
        'segment' as evidence_kind,
        segment_list.segment_id as evidence_id,
        segment_list.users as evidence_count,
        segment_list.lift as evidence_value
    from assignments
    inner join users
        on assignments.user_key = users.user_key
    inner join segment_list
        on assignments.segment_id = segment_list.segment_id
    where {{ enough_of_shared_list('segment_list', 'users') }}
),

{{ listed_candidates(source, 'segment_list') }}

select * from final
{%- endmacro %}

{#
    The last steps of a source that gives each user a whole list. `listed` holds the candidates without source and
    is_repeat; `list` is the step with the items of the lists, few enough for a small join.
#}
{% macro listed_candidates(source, list) -%}
met as (
    select
        user_key,
        item_id
    from {{ ref('user_item_affinity') }}
    where item_id in (select {{ list }}.item_id from {{ list }})
),

final as (
    select
        listed.user_key,
        listed.item_id,
        '{{ source }}' as source,
        listed.score,
        met.user_key is not null as is_repeat,
        listed.evidence_kind,
        listed.evidence_id,
        cast(listed.evidence_count as bigint) as evidence_count,
        cast(listed.evidence_value as double) as evidence_value
    from listed
    left join met
        on
            listed.user_key = met.user_key
            and listed.item_id = met.item_id
)
{%- endmacro %}

{#
    The last steps of a source that scores items for each user by itself: `scored` holds user_number, item_number,
    score and the evidence, of which the strongest candidates_per_source items that are new to the user are kept.
#}
{% macro strongest_new_candidates(source) -%}
met as (
    select
        users.user_number,
        item_stats.item_number
    from {{ ref('user_item_affinity') }} as affinity
    inner join users
        on affinity.user_key = users.user_key
    inner join item_stats
        on affinity.item_id = item_stats.item_id
),

unmet as (
    select
        scored.*,
        -scored.item_number as use_order
    from scored
    left join met
        on
            scored.user_number = met.user_number
            and scored.item_number = met.item_number
    where scored.score > 0 and met.item_number is null
),

strongest as (
    select
        user_number,
        {{ top_rows(
            ['score', 'use_order', 'item_number', 'evidence_kind', 'evidence_id', 'evidence_count', 'evidence_value'],
            var('candidates_per_source')
        ) }} as items
    from unmet
    group by user_number
),

exploded as (
    select
        user_number,
        {{ explode('items') }} as item
    from strongest
),

final as (
    select
        users.user_key,
        item_stats.item_id,
        '{{ source }}' as source,
        exploded.item['score'] as score,
        false as is_repeat,
        exploded.item['evidence_kind'] as evidence_kind,
        exploded.item['evidence_id'] as evidence_id,
        cast(exploded.item['evidence_count'] as bigint) as evidence_count,
        cast(exploded.item['evidence_value'] as double) as evidence_value
    from exploded
    inner join users
        on exploded.user_number = users.user_number
    inner join item_stats
        on exploded.item['item_number'] = item_stats.item_number
)
{%- endmacro %}
