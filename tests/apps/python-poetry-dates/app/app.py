from datetime import date

from dateutil.easter import easter
from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/")
def sunday():
    year = request.args.get("year", date(2026, 1, 1).year, type=int)
    return jsonify(year=year, easter=easter(year).isoformat())
