with events as (
    select * from {{ ref('stg_events') }}
),

-- One row, whatever the number of events: the aggregate stays when the setting gives the time.
final as (
    select
        {% if var('as_of') %}
            coalesce(cast('{{ var("as_of") }}' as timestamp), max(event_at)) as as_of
        {% else %}
            date_trunc('second', max(event_at)) + interval '1' second as as_of
        {% endif %}
    from events
)

select * from final
where as_of is not null
