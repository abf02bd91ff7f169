"""A small app that shows which secrets arrived, without revealing their values."""

import hashlib
import os

from flask import Flask, jsonify

REQUIRED = ("SUPABASE_URL", "SUPABASE_KEY", "SECRET_KEY")
OPTIONAL = ("DATABASE_URL", "REDIS_URL", "API_KEY", "JWT_SECRET")

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY")


def seen(name):
    """Enough to compare with the value that was sent, too little to recover a long random value."""
    value = os.environb[name.encode()]
    return {"length": len(value), "sha256_begins": hashlib.sha256(value).hexdigest()[:8]}


@app.get("/")
def secrets():
    return jsonify(
        environment=os.environ.get("APP_ENV"),
        color=os.environ.get("DEPLOYMENT_COLOR"),
        secrets={name: seen(name) for name in REQUIRED + OPTIONAL if name in os.environ},
        missing=[name for name in REQUIRED if name not in os.environ],
    )


@app.get("/health")
def health():
    return jsonify(ok=True)
