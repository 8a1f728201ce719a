{{ select_input('user_relations') }}
