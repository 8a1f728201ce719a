{{ empty_input('user_labels') }}
