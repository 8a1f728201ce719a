{{ empty_input('item_vectors') }}
