{{ config(enabled=var('input') == 'complete_journey') }}

{{ empty_input('item_vectors') }}
