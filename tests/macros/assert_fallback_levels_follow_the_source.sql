-- Fails when a source has another level than docs/shaping.md says, with much and with little history.
with expected (source, user_events, fallback_level) as (
    values
    ('buy_again', 100, 0),
    ('buy_again', {{ var('thin_history_events') }}, 0),
    ('buy_again', {{ var('thin_history_events') }} - 1, 1),
    ('collaborative', 100, 0),
    ('content', 0, 1),
    ('category', 100, 0),
    ('new_item', 0, 1),
    ('segment', 100, 2),
    ('distinctive', 100, 2),
    ('attribute', 0, 2),
    ('social', 0, 2),
    ('context', 100, 2),
    ('popular', 100, 3),
    ('rising', 0, 3),
    ('rule', 100, 3)
)

select
    source,
    user_events,
    fallback_level
from expected
where fallback_level <> {{ fallback_level('source', 'user_events') }}
