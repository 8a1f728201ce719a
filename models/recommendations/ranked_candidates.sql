{%- set sources = ['buy_again', 'collaborative', 'content', 'segment', 'popular'] %}
{%- set lists = ['for_you', 'discover'] %}
{%- set parts = {'for_you': [], 'discover': []} %}
{%- for list in lists %}
    {%- for source in sources %}{% do parts[list].append(list ~ '_' ~ source) %}{% endfor %}
{%- endfor %}

-- The best candidates of a user by weight x strength, as they come out of the sources: nothing is shaped yet.
with candidates as (
    select * from {{ ref('user_candidates') }}
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
            {{ top_rows(['score', 'use_order', 'item_number', 'source', 'is_repeat'], var('rerank_depth')) }} as items
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

final as (
    select
        exploded.user_number,
        item.item_number,
        exploded.list,
        item.score,
        item.source,
        item.is_repeat
    from exploded
)

select * from final
