{{ segment_category_activity('week') }}
