from flask import Flask, jsonify, request
from slugify import slugify


def create_app() -> Flask:
    app = Flask(__name__)

    @app.get("/")
    def index():
        return jsonify(slug=slugify(request.args.get("title", "Crème Brûlée, à la carte")))

    return app
