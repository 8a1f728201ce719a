{{ select_input('erasures') }}
