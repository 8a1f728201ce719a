{{ config(enabled=var('input') == 'files') }}

{{ select_file('user_relations') }}
