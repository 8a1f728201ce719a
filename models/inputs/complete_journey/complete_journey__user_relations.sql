{{ empty_input('user_relations') }}
