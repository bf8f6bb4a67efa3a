from flask import Flask, render_template


def create_app() -> Flask:
    app = Flask(__name__)

    @app.get("/")
    def page() -> str:
        return render_template("page.html", articles=["a bicycle", "a <bell>"])

    return app
