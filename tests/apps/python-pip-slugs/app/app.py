from slugs import create_app

app = create_app()
