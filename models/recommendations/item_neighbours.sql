{%- set similarity = var('item_similarity') %}
{%- set saturation, length_share = 1.2, 0.75 %}
{#- Pulled towards zero where few users stand behind it. -#}
{%- set cosine = 'counted.weight / (counted.norm * counted.neighbour_norm) '
    ~ '* counted.together_users / (counted.together_users + 3.0e0)' %}
{#- Log-likelihood ratio of Dunning (1993), of having the one and having the other; 0 where they avoid each other. -#}
{%- set both = 'counted.together_users' %}
{%- set cells = [
    both,
    'counted.users - ' ~ both,
    'counted.neighbour_users - ' ~ both,
    'counted.all_users - counted.users - counted.neighbour_users + ' ~ both,
] %}
{%- set margins = [
    'counted.users',
    'counted.all_users - counted.users',
    'counted.neighbour_users',
    'counted.all_users - counted.neighbour_users',
] %}
{%- set terms = ['counted.all_users * ln(counted.all_users)'] %}
{%- for cell in cells %}{% do terms.append('+ (' ~ cell ~ ') * ln(greatest(' ~ cell ~ ', 1))') %}{% endfor %}
{%- for margin in margins %}{% do terms.append('- (' ~ margin ~ ') * ln(greatest(' ~ margin ~ ', 1))') %}{% endfor %}
{%- set log_likelihood = 'case when ' ~ both ~ ' * counted.all_users > counted.users * counted.neighbour_users '
    ~ 'then 1 - 1 / (1 + 2 * (' ~ terms | join(' ') ~ ')) else 0 end' %}
{%- set scores = {'cosine': cosine, 'bm25': cosine, 'log_likelihood': log_likelihood} %}
{%- set pair_weight = 'count(*)' %}
{%- if similarity == 'bm25' %}
    {%- set pair_weight = stable_sum('round(left_items.weight * right_items.weight, 6)') %}
{%- endif %}

with top_items as (
    select * from {{ ref('user_top_items') }}
),

matrix_items as (
    select * from {{ ref('matrix_items') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

{% if similarity == 'bm25' %}
    -- A user's entries weigh less the more items the user and the item have (Robertson and Zaragoza 2009).
    lengths as (
        select
            item_index,
            {{ stable_sum('round(affinity, 6)') }} as item_length,
            avg({{ stable_sum('round(affinity, 6)') }}) over () as mean_length
        from top_items
        group by item_index
    ),

    breadths as (
        select
            user_index,
            ln(1 + (max(count(*)) over ()) / cast(count(*) as double)) as rarity
        from top_items
        group by user_index
    ),

    entries as (
        select
            top_items.user_index,
            top_items.item_index,
            round(
                breadths.rarity * top_items.affinity * ({{ saturation }} + 1) / (
                    top_items.affinity
                    + {{ saturation }} * (
                        1 - {{ length_share }} + {{ length_share }} * lengths.item_length / lengths.mean_length
                    )
                ), 6
            ) as weight
        from top_items
        inner join lengths
            on top_items.item_index = lengths.item_index
        inner join breadths
            on top_items.user_index = breadths.user_index
    ),
{% else %}
    entries as (
        select
            user_index,
            item_index,
            1 as weight
        from top_items
    ),
{% endif %}

item_users as (
    select
        item_index,
        cast(count(*) as double) as users,
        sqrt({{ stable_sum('round(weight * weight, 6)') }}) as norm
    from entries
    group by item_index
),

everyone as (
    select cast(count(distinct user_index) as double) as users
    from top_items
),

pairs as (
    select
        left_items.item_index as left_index,
        right_items.item_index as right_index,
        count(*) as together_users,
        {{ pair_weight }} as weight
    from entries as left_items
    inner join entries as right_items
        on
            left_items.user_index = right_items.user_index
            and left_items.item_index < right_items.item_index
    group by left_items.item_index, right_items.item_index
    having count(*) >= 2
),

directed as (
    select
        left_index as item_index,
        right_index as neighbour_index,
        together_users,
        weight
    from pairs
    union all
    select
        right_index as item_index,
        left_index as neighbour_index,
        together_users,
        weight
    from pairs
),

counted as (
    select
        directed.*,
        item_users.users,
        item_users.norm,
        neighbour_users.users as neighbour_users,
        neighbour_users.norm as neighbour_norm,
        everyone.users as all_users
    from directed
    inner join item_users
        on directed.item_index = item_users.item_index
    inner join item_users as neighbour_users
        on directed.neighbour_index = neighbour_users.item_index
    cross join everyone
),

scored as (
    select
        counted.item_index,
        counted.neighbour_index,
        counted.together_users,
        round({{ scores[similarity] }}, 6) as score,
        round(counted.together_users * counted.all_users / (counted.users * counted.neighbour_users), 4) as lift
    from counted
    inner join matrix_items
        on counted.neighbour_index = matrix_items.item_index
    inner join item_stats
        on matrix_items.item_id = item_stats.item_id
    where item_stats.is_active
),

ordered as (
    select
        item_index,
        score,
        -neighbour_index as use_order,
        neighbour_index,
        together_users,
        lift
    from scored
    where score > 0
),

nearest as (
    select
        item_index,
        {{ top_rows(
            ['score', 'use_order', 'neighbour_index', 'together_users', 'lift'], var('similar_items_per_item')
        ) }} as neighbours
    from ordered
    group by item_index
),

exploded as (
    select
        item_index,
        {{ explode('neighbours') }} as neighbour
    from nearest
),

unpacked as (
    select
        exploded.item_index,
        neighbour.neighbour_index,
        neighbour.score,
        neighbour.together_users,
        neighbour.lift
    from exploded
),

final as (
    select
        matrix_items.item_id,
        cast(row_number() over (
            partition by unpacked.item_index
            order by unpacked.score desc, unpacked.neighbour_index asc
        ) as integer) as rank,
        neighbour_items.item_id as similar_item_id,
        unpacked.score,
        unpacked.together_users,
        unpacked.lift
    from unpacked
    inner join matrix_items
        on unpacked.item_index = matrix_items.item_index
    inner join matrix_items as neighbour_items
        on unpacked.neighbour_index = neighbour_items.item_index
)

select * from final
