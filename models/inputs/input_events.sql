{{ select_input('events') }}
