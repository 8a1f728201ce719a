{%- set sources = var('sources') | select('in', source_names()) | list %}
{%- set is_learning = var('ranker') != 'fixed' %}
{%- set features = ranking_features() + ['repeated'] %}
{%- set lists = ['for_you', 'discover'] %}
{%- set parts = {'for_you': [], 'discover': []} %}
{%- set strengths = [] %}
{%- for source in sources %}{% do strengths.append('strength_' ~ source) %}{% endfor %}
{%- for list in lists %}
    {%- for source in sources %}{% do parts[list].append(list ~ '_' ~ source) %}{% endfor %}
{%- endfor %}

-- One wide row with the weights of all sources.
with source_weights as (
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

{% if is_learning %}
    learned as (
        select distinct segment_id from {{ ref('ranking_weights') }}
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
{% endif %}

candidates as (
    {% if is_learning %}
        select
            features.*,
            -- Nothing was learned about users without a history: they get the fixed weights.
            case when features.user_items > 0 then coalesce(learned.segment_id, 'everyone') end as weights_of
        from {{ ref('candidate_features') }} as features
        left join learned
            on features.segment_id = learned.segment_id
        where features.wall_number = 0
    {% else %}
        select * from {{ ref('candidate_strengths') }}
    {% endif %}
),

weighed as (
    select
        {% for strength in strengths %}
            candidates.{{ strength }},
        {% endfor %}
        {% for list in lists %}
            {% for source in sources %}
                candidates.strength_{{ source }} * source_weights.{{ list }}_{{ source }} as {{ list }}_{{ source }},
            {% endfor %}
            {% if is_learning %}
                weights.{{ list }}_intercept
                {% for feature in features %}
                    + candidates.{{ feature }}
                    * (
                        weights.{{ list }}_{{ feature }}
                        + candidates.{{ feature }} * weights.{{ list }}_{{ feature }}_squared
                    )
                {% endfor %}
            {% else %}
                cast(null as double)
            {% endif %}
                as {{ list }}_logit,
        {% endfor %}
        candidates.user_number,
        candidates.item_number,
        candidates.is_repeat
    from candidates
    cross join source_weights
    {% if is_learning %}
        left join weights
            on candidates.weights_of = weights.segment_id
    {% endif %}
),

scored as (
    select
        {% for list in lists %}
            round({{ list }}_logit, 6) as {{ list }}_logit,
            round(coalesce({{ list }}_logit, {{ parts[list] | join(' + ') }}), 6) as {{ list }}_score,
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
            end as {{ list }}_source,
        {% endfor %}
        user_number,
        item_number,
        is_repeat
    from weighed
),

{% for list in lists %}
    {{ list }} as (
        select
            '{{ list }}' as list,
            user_number,
            item_number,
            is_repeat,
            {{ list }}_logit as logit,
            {{ list }}_score as score,
            {{ list }}_source as source
        from scored
        {{ 'where not is_repeat' if list == 'discover' }}
        qualify row_number() over (
            partition by user_number
            order by {{ list }}_score desc, item_number asc
        ) <= {{ var('rerank_depth') }}
    ),
{% endfor %}

combined as (
    {% for list in lists %}
        select * from {{ list }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        user_number,
        list,
        item_number,
        logit,
        -- Without learned weights: what the fixed ones give.
        case when logit is null then score end as fixed_score,
        source,
        is_repeat
    from combined
)

select * from final
