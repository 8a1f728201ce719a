{{ select_file('erasures') }}
