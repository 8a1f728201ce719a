{{ config(enabled=var('input') == 'complete_journey') }}

{{ empty_input('erasures') }}
