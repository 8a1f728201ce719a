{{ select_file('items') }}
