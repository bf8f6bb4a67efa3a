from flask import Flask
from sizes import in_words

app = Flask(__name__)


@app.get("/")
def index():
    return in_words(1 << 20)
