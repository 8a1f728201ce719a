{{ segment_category_activity('day') }}
