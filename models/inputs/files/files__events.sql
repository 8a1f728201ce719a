{{ config(enabled=var('input') == 'files') }}

{{ select_file('events') }}
