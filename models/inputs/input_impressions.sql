{{ select_input('impressions') }}
