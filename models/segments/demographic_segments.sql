{%- set columns = var('demographic_columns') %}

with users as (
    select * from {{ ref('user_attributes') }}
),

described as (
    select
        user_key,
        {{ columns[0] }} as first_value,
        {% for column in columns -%}
            coalesce({{ '\', \' || ' if not loop.first }}{{ column }}, ''){{ ' || ' if not loop.last }}
        {%- endfor %} as full_value
    from users
    where {{ columns[0] }} is not null
),

counted as (
    select
        *,
        count(*) over (partition by full_value) as cell_users,
        count(*) over () as all_users
    from described
),

named as (
    select
        user_key,
        case
            when cell_users >= {{ var('min_demographic_share') }} * all_users then full_value
            else first_value || ', other'
        end as segment_name
    from counted
),

-- Letters and digits of every script stay, so that names in Chinese or with an umlaut keep codes of their own.
coded as (
    select
        user_key,
        segment_name,
        trim({{ replace_matches('lower(segment_name)', '[^\\p{L}\\p{N}+]+', '-') }}, '-') as code
    from named
),

final as (
    select
        user_key,
        case
            when
                code <> ''
                and min(segment_name) over (partition by code) = max(segment_name) over (partition by code)
                then code
            -- Names that differ in signs only, such as < 18 and 18.
            else code || '-' || substr(md5(segment_name), 1, 4)
        end as segment_code,
        segment_name,
        'Stated attributes: ' || segment_name as reason
    from coded
)

select * from final
