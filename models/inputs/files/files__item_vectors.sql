{{ config(enabled=var('input') == 'files') }}

{{ select_file('item_vectors') }}
