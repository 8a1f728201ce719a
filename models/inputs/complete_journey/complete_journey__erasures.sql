{{ empty_input('erasures') }}
