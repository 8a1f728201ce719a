{{ select_input('users') }}
