{{ select_file('item_vectors') }}
