{{ config(materialized='view') }}

{{ segment_list_candidates('distinctive', 'distinctive') }}
