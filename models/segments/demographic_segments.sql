with segmentation_users as (
    select * from {{ ref('segmentation_users') }}
    where {{ is_made_by('demographic') }}
),

user_attributes as (
    select * from {{ ref('user_attributes') }}
),

users as (
    select
        segmentation_users.segmentation,
        user_attributes.*
    from segmentation_users
    inner join user_attributes
        on segmentation_users.user_key = user_attributes.user_key
),

described as (
    {% for segmentation in declared_segmentations('demographic') %}
        select
            segmentation,
            user_key,
            {{ segmentation.columns[0] }} as first_value,
            {% for column in segmentation.columns -%}
                coalesce({{ '\', \' || ' if not loop.first }}{{ column }}, ''){{ ' || ' if not loop.last }}
            {%- endfor %} as full_value,
            {{ segmentation.min_share or 0 }} as min_share
        from users
        where segmentation = '{{ segmentation.name }}'
        union all
    {% endfor %}
    select
        segmentation,
        user_key,
        cast(null as string) as first_value,
        cast(null as string) as full_value,
        0 as min_share
    from users
    where false
),

counted as (
    select
        *,
        count(*) over (partition by segmentation, full_value) as cell_users,
        count(*) over (partition by segmentation) as all_users
    from described
    where first_value is not null
),

-- Ids are made of the plain name, so that they are the same in every language.
named as (
    select
        segmentation,
        user_key,
        case when cell_users >= min_share * all_users then full_value else first_value || ', other' end as plain_name,
        case
            when cell_users >= min_share * all_users then full_value
            else {{ phrase('name_other_attributes', {'value': 'first_value'}) }}
        end as segment_name
    from counted
),

coded as (
    select
        *,
        {{ plain_code('plain_name') }} as plain_code
    from named
),

distinctly_coded as (
    select
        *,
        {{ distinct_code('plain_code', 'plain_name') }} as segment_code
    from coded
),

final as (
    select
        described.segmentation,
        described.user_key,
        coalesce(distinctly_coded.segment_code, 'unassigned') as segment_code,
        distinctly_coded.segment_name,
        coalesce(
            {{ phrase('reason_attributes', {'attributes': 'distinctly_coded.segment_name'}) }},
            {{ phrase('reason_no_attributes') }}
        ) as reason
    from described
    left join distinctly_coded
        on
            described.segmentation = distinctly_coded.segmentation
            and described.user_key = distinctly_coded.user_key
)

select * from final
