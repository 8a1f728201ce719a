{{ select_input('item_vectors') }}
