def build_description():
    return {}
