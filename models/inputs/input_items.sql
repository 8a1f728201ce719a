{{ select_input('items') }}
