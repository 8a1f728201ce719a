{%- set sources = var('sources') | select('in', source_models()) | list %}
{%- set features = ranking_features() + ['repeated'] %}
{%- set lists = ['for_you', 'discover'] %}
{%- set parts = {'for_you': [], 'discover': []} %}
{%- set strengths = [] %}
{%- for source in sources %}{% do strengths.append('strength_' ~ source) %}{% endfor %}
{%- for list in lists %}
    {%- for source in sources %}{% do parts[list].append(list ~ '_' ~ source) %}{% endfor %}
{%- endfor %}

with learned as (
    select distinct segment_id from {{ ref('ranking_weights') }}
),

candidates as (
    select
        features.*,
        -- Nothing was learned about users without a history: they get the fixed weights.
        case when features.user_items > 0 then coalesce(learned.segment_id, 'everyone') end as weights_of
    from {{ ref('candidate_features') }} as features
    left join learned
        on features.segment_id = learned.segment_id
    where features.wall_number = 0
),

-- One wide row with the weights of all sources.
source_weights as (
    select
        {% for list in lists %}
            {% for source in sources %}
                sum(case when list = '{{ list }}' and source = '{{ source }}' then weight else 0 end)
                    as {{ list }}_{{ source }},
            {% endfor %}
        {% endfor %}
        count(*) as weights
    from {{ ref('checked_weights') }}
),

ranking_weights as (
    select * from {{ ref('ranking_weights') }}
),

-- A segment may have weights of its own for one list only: for the other it has those of everyone.
complete_weights as (
    select
        learned.segment_id,
        everyone.list,
        everyone.feature,
        coalesce(own.weight, everyone.weight) as weight,
        coalesce(own.squared_weight, everyone.squared_weight) as squared_weight
    from ranking_weights as everyone
    cross join learned
    left join ranking_weights as own
        on
            learned.segment_id = own.segment_id
            and everyone.list = own.list
            and everyone.feature = own.feature
    where everyone.segment_id = 'everyone'
),

-- One wide row with the learned weights of each segment, and of everyone.
weights as (
    select
        segment_id,
        {% for list in lists %}
            {% for feature in features %}
                max(case when list = '{{ list }}' and feature = '{{ feature }}' then weight end)
                    as {{ list }}_{{ feature }},
                max(case when list = '{{ list }}' and feature = '{{ feature }}' then squared_weight end)
                    as {{ list }}_{{ feature }}_squared,
            {% endfor %}
            max(case when list = '{{ list }}' and feature = 'intercept' then weight end) as {{ list }}_intercept,
        {% endfor %}
        count(*) as weights
    from complete_weights
    group by segment_id
),

scored as (
    select
        candidates.user_number,
        candidates.item_number,
        candidates.is_repeat,
        {% for strength in strengths %}
            candidates.{{ strength }},
        {% endfor %}
        {% for list in lists %}
            {% for source in sources %}
                candidates.strength_{{ source }} * source_weights.{{ list }}_{{ source }} as {{ list }}_{{ source }},
            {% endfor %}
            weights.{{ list }}_intercept
            {% for feature in features %}
                + candidates.{{ feature }}
                * (
                    weights.{{ list }}_{{ feature }}
                    + candidates.{{ feature }} * weights.{{ list }}_{{ feature }}_squared
                )
            {% endfor %}
                as {{ list }}_logit,
        {% endfor %}
        -candidates.item_number as use_order
    from candidates
    cross join source_weights
    left join weights
        on candidates.weights_of = weights.segment_id
),

{% for list in lists %}
    {{ list }}_best as (
        select
            user_number,
            {{ top_rows(['score', 'use_order', 'item_number', 'logit', 'source', 'is_repeat'], var('rerank_depth')) }}
                as items
        from (
            select
                user_number,
                item_number,
                is_repeat,
                use_order,
                round({{ list }}_logit, 6) as logit,
                round(coalesce({{ list }}_logit, {{ parts[list] | join(' + ') }}), 6) as score,
                -- The source that speaks most for it gives the reason. Learned weights may choose what only sources
                -- without a weight of their own have named.
                case
                    when greatest({{ parts[list] | join(', ') }}) > 0
                        then
                            case greatest({{ parts[list] | join(', ') }})
                                {% for source in sources %}
                                    when {{ list }}_{{ source }} then '{{ source }}'
                                {% endfor %}
                            end
                    else
                        case greatest({{ strengths | join(', ') }})
                            {% for source in sources %}
                                when strength_{{ source }} then '{{ source }}'
                            {% endfor %}
                        end
                end as source
            from scored
            {{ 'where not is_repeat' if list == 'discover' }}
        ) as {{ list }}_rows
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
        exploded.list,
        item.item_number,
        item.logit,
        -- Without learned weights: what the fixed ones give.
        case when item.logit is null then item.score end as fixed_score,
        item.source,
        item.is_repeat
    from exploded
)

select * from final
