import webcolors
from flask import Flask, jsonify, request

app = Flask(__name__)


@app.get("/")
def name():
    value = request.args.get("hex", "#daa520")
    return jsonify(hex=value, name=webcolors.hex_to_name(value))
