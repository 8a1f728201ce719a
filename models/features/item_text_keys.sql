with items as (
    select * from {{ ref('stg_items') }}
),

wall as (
    select * from {{ ref('wall') }}
),

known_items as (
    select items.*
    from items
    cross join wall
    where
        (items.released_at is null or items.released_at < wall.as_of)
        and items.is_described
        and (items.has_title or items.category is not null)
),

-- Where a title only adds brand and size to the subcategory, the subcategory says it all.
described as (
    select
        item_id,
        lower(
            case
                when subcategory is not null and (not has_title or lower(title) like lower(subcategory) || '%')
                    then subcategory
                when has_title then title || coalesce(', ' || subcategory, '')
                else ''
            end
            || coalesce(', ' || category, '')
            || coalesce(', ' || substr(description, 1, 200), '')
        ) as text
    from known_items
),

-- Sizes and counts say little about meaning, and without them far fewer texts are distinct.
normalised as (
    select
        item_id,
        trim({{ replace_matches(
            replace_matches(
                replace_matches('text', '[0-9][0-9./x-]*[ ]*(oz|lb|g|kg|ml|l|ct|pk|pack|ga|gal|cl|cm|mm|in|inch|dz|pt|qt|m)?([^a-z]|$)', ' '),
                '(, *)+', ', '
            ),
            '[ ]+', ' '
        ) }}, ' ,') as text
    from described
),

final as (
    select
        item_id,
        text,
        md5(text) as text_key
    from normalised
    where text <> ''
)

select * from final
