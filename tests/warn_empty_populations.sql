-- Warns, with a row per segmentation, when nobody fits the condition of its population: its tables are then empty.
-- A warning, because the first user may come tomorrow.
{{ config(severity='warn') }}

with segmentation_users as (
    select * from {{ ref('segmentation_users') }}
),

users as (
    select count(*) as users from {{ ref('user_attributes') }}
),

declared as (
    {% for segmentation in declared_segmentations() %}
        select '{{ segmentation.name }}' as segmentation
        {{ "union all" if not loop.last }}
    {% endfor %}
)

select declared.segmentation
from declared
cross join users
left join segmentation_users
    on declared.segmentation = segmentation_users.segmentation
where users.users > 0 and segmentation_users.segmentation is null
