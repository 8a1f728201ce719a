with users as (
    select * from {{ ref('backtest_users') }}
),

final as (
    select
        user_number,
        'all' as group_kind,
        'all' as group_value
    from users
    union all
    select
        user_number,
        'segment' as group_kind,
        segment_id as group_value
    from users
    union all
    select
        user_number,
        'history' as group_kind,
        history_length as group_value
    from users
    union all
    select
        user_number,
        'history' as group_kind,
        '0-4' as group_value
    from users
    where events < 5
)

select * from final
