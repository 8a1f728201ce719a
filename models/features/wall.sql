with events as (
    select * from {{ ref('stg_events') }}
),

-- The wall in time. By default it stands one second after the newest event.
final as (
    select
        {% if var('as_of') %}
            cast('{{ var("as_of") }}' as timestamp) as as_of,
        {% else %}
            date_trunc('second', max(event_at)) + interval '1' second as as_of,
        {% endif %}
        cast(count(*) as bigint) as events
    from events
)

select * from final
where as_of is not null
