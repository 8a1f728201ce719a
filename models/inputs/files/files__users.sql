{{ select_file('users') }}
