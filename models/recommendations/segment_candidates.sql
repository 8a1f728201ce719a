{{ config(materialized='view') }}

{{ segment_list_candidates('segment', 'popular') }}
