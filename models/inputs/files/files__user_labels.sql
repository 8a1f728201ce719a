{{ select_file('user_labels') }}
