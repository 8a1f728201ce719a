{%- set cells = ['list', 'segment_id', 'item_id', 'category', 'rule', 'value', 'starts_on', 'ends_on'] %}

-- Stops the build with one sentence when a rule cannot work. Items and categories are looked up among all that the
-- input knows and not among those before the wall, so that a build with an earlier wall does not stop.
with rules as (
    select * from {{ ref('recommendation_rules') }}
),

items as (
    select * from {{ ref('stg_items') }}
),

-- One row, also when there are no events.
wall as (
    select max(as_of) as as_of from {{ ref('wall') }}
),

trimmed as (
    select
        {% for cell in cells %}
            nullif(trim({{ cell }}), '') as {{ cell }},
        {% endfor %}
        note
    from rules
),

numbered as (
    select
        {% for cell in cells %}
            coalesce({{ cell }}, '') || ','
            ||
        {% endfor %}
        coalesce(note, '') as line,
        list,
        segment_id,
        item_id,
        category,
        rule,
        value as value_text,
        try_cast(value as double) as value,
        starts_on as starts_text,
        try_cast(starts_on as date) as starts_on,
        ends_on as ends_text,
        try_cast(ends_on as date) as ends_on,
        row_number() over (order by {{ cells | join(', ') }}, note) as rule_number
    from trimmed
),

known_items as (
    select distinct item_id from items
),

known_categories as (
    select distinct category from items
    where category is not null
),

looked_up as (
    select
        numbered.*,
        known_items.item_id is not null as has_item,
        known_categories.category is not null as has_category
    from numbered
    left join known_items
        on numbered.item_id = known_items.item_id
    left join known_categories
        on numbered.category = known_categories.category
),

-- Two pins that some list of some user would have at one place, or one item twice, on the same day.
pin_pairs as (
    select
        pins.rule_number,
        min(other_pins.line) as other_line
    from numbered as pins
    inner join numbered as other_pins
        on
            pins.rule = other_pins.rule
            and (pins.value = other_pins.value or pins.item_id = other_pins.item_id)
            and pins.rule_number <> other_pins.rule_number
    where
        pins.rule = 'pin'
        and coalesce(pins.list = other_pins.list, true)
        and coalesce(pins.segment_id = other_pins.segment_id, true)
        and coalesce(pins.starts_on <= other_pins.ends_on, true)
        and coalesce(other_pins.starts_on <= pins.ends_on, true)
    group by pins.rule_number
),

judged as (
    select
        looked_up.*,
        case
            when looked_up.rule is null or looked_up.rule not in ('ban', 'pin', 'boost', 'cap')
                then 'the rule must be ban, pin, boost or cap, not ''' || coalesce(looked_up.rule, '') || ''''
            when looked_up.list not in ('for_you', 'discover')
                then 'there is no list ''' || looked_up.list || '''; the lists are for_you and discover'
            when looked_up.item_id is not null and looked_up.category is not null
                then 'a rule is about an item or about a category, not about both'
            when looked_up.rule = 'pin' and looked_up.item_id is null
                then 'a pin needs an item_id'
            when looked_up.rule = 'cap' and looked_up.category is null
                then 'a cap needs a category'
            when looked_up.item_id is null and looked_up.category is null
                then 'an item_id or a category is missing'
            when looked_up.item_id is not null and not looked_up.has_item
                then 'there is no item ''' || looked_up.item_id || ''''
            when looked_up.category is not null and not looked_up.has_category
                then 'there is no category ''' || looked_up.category || ''''
            when looked_up.rule = 'ban' and looked_up.value_text is not null
                then 'a ban has no value'
            when
                looked_up.rule = 'pin'
                and not coalesce(
                    looked_up.value between 1 and {{ var('top_n') }}
                    and looked_up.value = floor(looked_up.value),
                    false
                )
                then
                    'the value of a pin is its place, a whole number from 1 to top_n ({{ var("top_n") }}), not '''
                    || coalesce(looked_up.value_text, '') || ''''
            when looked_up.rule = 'boost' and not coalesce(looked_up.value > 0 and looked_up.value <= 1000, false)
                then
                    'the value of a boost is a factor above 0 and up to 1000, not '''
                    || coalesce(looked_up.value_text, '') || ''''
            when
                looked_up.rule = 'cap'
                and not coalesce(
                    looked_up.value between 1 and 1000000
                    and looked_up.value = floor(looked_up.value),
                    false
                )
                then
                    'the value of a cap is a number of items, a whole number from 1, not '''
                    || coalesce(looked_up.value_text, '') || ''''
            when looked_up.starts_text is not null and looked_up.starts_on is null
                then 'starts_on is no date such as 2025-06-30: ''' || looked_up.starts_text || ''''
            when looked_up.ends_text is not null and looked_up.ends_on is null
                then 'ends_on is no date such as 2025-06-30: ''' || looked_up.ends_text || ''''
            when looked_up.ends_on < looked_up.starts_on
                then 'it ends before it starts'
            when pin_pairs.rule_number is not null
                then
                    'another pin has the same place or the same item at the same time, '''
                    || pin_pairs.other_line || ''''
        end as problem
    from looked_up
    left join pin_pairs
        on looked_up.rule_number = pin_pairs.rule_number
),

-- One sentence, whatever the number of mistakes and the order of the rows.
summed_up as (
    select
        judged.*,
        min('the row ''' || judged.line || ''' of seeds/recommendation_rules.csv cannot work: ' || judged.problem)
            over () as first_problem
    from judged
),

final as (
    select
        cast(summed_up.rule_number as integer) as rule_number,
        summed_up.list,
        summed_up.segment_id,
        summed_up.item_id,
        summed_up.category,
        summed_up.rule,
        summed_up.value,
        summed_up.starts_on,
        summed_up.ends_on,
        case
            when summed_up.first_problem is not null
                then {{ raise("'manyfaces: ' || summed_up.first_problem || '.'") }}
            else
                coalesce(summed_up.starts_on <= cast(wall.as_of as date), true)
                and coalesce(summed_up.ends_on >= cast(wall.as_of as date), true)
        end as is_in_force
    from summed_up
    cross join wall
)

select * from final
