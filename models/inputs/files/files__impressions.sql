{{ select_file('impressions') }}
