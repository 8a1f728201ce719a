{%- set sources = ['buy_again', 'collaborative', 'content', 'segment', 'popular'] %}
{%- set lists = ['for_you', 'discover'] %}
{%- set parts = {'for_you': [], 'discover': []} %}
{%- for list in lists %}
    {%- for source in sources %}{% do parts[list].append(list ~ '_' ~ source) %}{% endfor %}
{%- endfor %}

with candidates as (
    select * from {{ ref('user_candidates') }}
),

users as (
    select * from {{ ref('user_attributes') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

weights as (
    select
        {% for list in lists %}
            {% for source in sources %}
                sum(case when list = '{{ list }}' and source = '{{ source }}' then weight else 0 end)
                    as {{ list }}_{{ source }},
            {% endfor %}
        {% endfor %}
        count(*) as weights
    from {{ ref('source_weights') }}
),

-- One row per user and item, with the strength of each source beside the others.
gathered as (
    select
        user_number,
        item_number,
        {% for source in sources %}
            max(case when source = '{{ source }}' then strength else 0 end) as {{ source }},
        {% endfor %}
        bool_or(is_repeat) as is_repeat
    from candidates
    group by user_number, item_number
),

weighted as (
    select
        gathered.user_number,
        gathered.item_number,
        gathered.is_repeat,
        {% for list in lists %}
            {% for source in sources %}
                gathered.{{ source }} * weights.{{ list }}_{{ source }} as {{ list }}_{{ source }},
            {% endfor %}
        {% endfor %}
        -gathered.item_number as use_order
    from gathered
    cross join weights
),

-- The source that contributes most gives the reason.
scored as (
    select
        user_number,
        item_number,
        is_repeat,
        {% for list in lists %}
            round({{ parts[list] | join(' + ') }}, 6) as {{ list }}_score,
            case greatest({{ parts[list] | join(', ') }})
                {% for source in sources %}
                    when {{ list }}_{{ source }} then '{{ source }}'
                {% endfor %}
            end as {{ list }}_source,
        {% endfor %}
        use_order
    from weighted
),

{% for list in lists %}
    {{ list }}_rows as (
        select
            user_number,
            {{ list }}_score as score,
            use_order,
            item_number,
            {{ list }}_source as source,
            is_repeat
        from scored
        where {{ list }}_score > 0 {{ 'and not is_repeat' if list == 'discover' }}
    ),

    {{ list }}_best as (
        select
            user_number,
            {{ top_rows(['score', 'use_order', 'item_number', 'source', 'is_repeat'], var('top_n')) }} as items
        from {{ list }}_rows
        group by user_number
    ),

    {{ list }}_exploded as (
        select
            '{{ list }}' as list,
            user_number,
            {{ explode('items') }} as item
        from {{ list }}_best
    ),
{% endfor %}

exploded as (
    select * from for_you_exploded
    union all
    select * from discover_exploded
),

unpacked as (
    select
        exploded.user_number,
        exploded.list,
        item.item_number,
        item.score,
        item.source,
        item.is_repeat
    from exploded
),

final as (
    select
        users.user_key,
        unpacked.list,
        cast(row_number() over (
            partition by unpacked.user_number, unpacked.list
            order by unpacked.score desc, unpacked.item_number asc
        ) as integer) as rank,
        item_stats.item_id,
        unpacked.score,
        unpacked.source,
        unpacked.is_repeat
    from unpacked
    inner join users
        on unpacked.user_number = users.user_number
    inner join item_stats
        on unpacked.item_number = item_stats.item_number
)

select * from final
