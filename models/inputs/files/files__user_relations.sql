{{ select_file('user_relations') }}
