{{ select_input('user_labels') }}
