{%- set known_sources = source_names() %}

-- Stops the build with one sentence when source_weights cannot be what it is for: shares of a list's score.
with weights as (
    select * from {{ ref('source_weights') }}
),

lists as (
    select 'for_you' as list
    union all
    select 'discover' as list
),

sums as (
    select
        lists.list,
        round(coalesce(sum(weights.weight), 0), 6) as weight_sum
    from lists
    left join weights
        on lists.list = weights.list
    group by lists.list
),

judged as (
    select
        case
            when list is null or list not in ('for_you', 'discover')
                then 'there is no list ''' || coalesce(list, '') || '''; the lists are for_you and discover'
            when
                source is null
                or source not in (
                    {% for source in known_sources %}
                        '{{ source }}'{{ "," if not loop.last }}
                    {% endfor %}
                )
                then 'there is no source ''' || coalesce(source, '') || '''; README.md names those that there are'
            when weight is null or weight < 0
                then 'the weight of ''' || source || ''' in the list ''' || list || ''' must be a number of 0 or more'
        end as problem
    from weights
    union all
    select
        case
            when weight_sum <> 1
                then 'the weights of the list ''' || list || ''' add up to ' || weight_sum || ', not to 1'
        end as problem
    from sums
),

-- One sentence, whatever the number of mistakes and the order of the rows.
summed_up as (
    select min('seeds/source_weights.csv cannot work: ' || problem) as first_problem
    from judged
),

-- One row at least: without any there would be nobody to say it.
final as (
    select
        weights.list,
        weights.source,
        case
            when summed_up.first_problem is null then weights.weight
            else {{ raise("'manyfaces: ' || summed_up.first_problem || '.'") }}
        end as weight
    from summed_up
    left join weights
        on true
)

select * from final
