{{ select_file('events') }}
