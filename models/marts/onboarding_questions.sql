{%- set cell_minimum = 'least(' ~ var('min_users_per_cell') ~ ', ceil(sizes.users / 10.0e0))' %}

with segment_item_stats as (
    select * from {{ ref('segment_item_stats') }}
),

sizes as (
    select * from {{ ref('segment_sizes') }}
    where not is_unassigned
),

segment_names as (
    select * from {{ ref('segment_labels') }}
),

item_stats as (
    select * from {{ ref('item_stats') }}
),

user_counts as (
    select cast(count(*) as double) as users
    from {{ ref('user_attributes') }}
    where positive_events > 0
),

known_items as (
    select
        item_stats.item_id,
        item_stats.title,
        item_stats.category,
        item_stats.users / user_counts.users as item_share
    from item_stats
    cross join user_counts
    where
        item_stats.is_active
        and item_stats.users >= greatest(
            {{ var('onboarding_min_share') }} * user_counts.users,
            least({{ var('min_users_per_cell') }}, ceil(user_counts.users / 10.0e0))
        )
),

-- Cells of few users, and cells of all but few, are published as half of the smallest number that may be: no single
-- user shows, and no answer alone rules a segment out.
cells as (
    select
        sizes.segmentation,
        sizes.segment_id,
        known_items.item_id,
        sizes.users / sum(cast(sizes.users as double)) over (
            partition by sizes.segmentation, known_items.item_id
        ) as segment_share,
        case
            when coalesce(segment_item_stats.users, 0) < {{ cell_minimum }} then {{ cell_minimum }} / 2.0e0
            when segment_item_stats.users > sizes.users - {{ cell_minimum }}
                then sizes.users - {{ cell_minimum }} / 2.0e0
            else segment_item_stats.users
        end / sizes.users as yes_share
    from sizes
    cross join known_items
    left join segment_item_stats
        on
            sizes.segment_id = segment_item_stats.segment_id
            and known_items.item_id = segment_item_stats.item_id
),

-- Rounded, so that the order in which the segments are summed up never shows in the last digit of a share.
answers as (
    select
        cells.*,
        round(sum(cells.segment_share * cells.yes_share) over (
            partition by cells.segmentation, cells.item_id
        ), 12) as overall_yes
    from cells
),

-- What the answer says about the segment, in bits: the mutual information of both.
gains as (
    select
        segmentation,
        item_id,
        round(sum(segment_share * (
            yes_share * ln(yes_share / overall_yes)
            + (1 - yes_share) * ln((1 - yes_share) / (1 - overall_yes))
        )) / ln(2), 6) as information_gain,
        max_by(segment_id, (round(segment_share * yes_share, 9), segment_id)) as yes_segment_id,
        max_by(segment_id, (round(segment_share * (1 - yes_share), 9), segment_id)) as no_segment_id
    from answers
    group by segmentation, item_id
),

-- Of each category the best item first, then of each the second: items of one category ask much the same.
in_category as (
    select
        gains.segmentation,
        gains.item_id,
        gains.information_gain,
        gains.yes_segment_id,
        gains.no_segment_id,
        known_items.title,
        known_items.category,
        known_items.item_share,
        row_number() over (
            partition by gains.segmentation, coalesce(known_items.category, 'item ' || known_items.item_id)
            order by gains.information_gain desc, gains.item_id asc
        ) as category_place
    from gains
    inner join known_items
        on gains.item_id = known_items.item_id
    where gains.information_gain > 0
),

questions as (
    select
        segmentation,
        row_number() over (
            partition by segmentation
            order by category_place asc, information_gain desc, item_id asc
        ) as rank,
        item_id,
        title,
        category,
        item_share,
        information_gain,
        yes_segment_id,
        no_segment_id
    from in_category
    qualify rank <= {{ var('onboarding_items') }}
),

final as (
    select
        cast(questions.segmentation as string) as segmentation,
        cast(questions.rank as integer) as rank,
        cast(questions.item_id as string) as item_id,
        cast(questions.title as string) as title,
        cast(questions.category as string) as category,
        cast(round(questions.item_share, 6) as double) as item_share,
        cast(questions.information_gain as double) as information_gain,
        cast(questions.yes_segment_id as string) as yes_segment_id,
        cast(questions.no_segment_id as string) as no_segment_id,
        cast(answers.segment_id as string) as segment_id,
        cast(segment_names.name as string) as segment_name,
        cast(round(answers.segment_share, 6) as double) as segment_share,
        cast(round(answers.yes_share, 6) as double) as yes_share,
        cast(round(answers.segment_share * answers.yes_share / answers.overall_yes, 6) as double)
            as probability_if_yes,
        cast(round(answers.segment_share * (1 - answers.yes_share) / (1 - answers.overall_yes), 6) as double)
            as probability_if_no
    from questions
    inner join answers
        on
            questions.segmentation = answers.segmentation
            and questions.item_id = answers.item_id
    inner join segment_names
        on answers.segment_id = segment_names.segment_id
)

select * from final
