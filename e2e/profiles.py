"""Whom boto3 signs as, with the profile files of each directory: an ARN or `nobody`, one line each. The file `profile`, if
there is one, names the profile.

usage: profiles.py ENDPOINT DIRECTORY...
"""
import os
import sys

import boto3

endpoint, *directories = sys.argv[1:]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_ENDPOINT_URL_STS"] = endpoint
os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = "eu-central-1"
os.environ["AWS_STS_REGIONAL_ENDPOINTS"] = "regional"


def identity(directory):
    os.environ["AWS_CONFIG_FILE"] = os.path.join(directory, "config")
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.path.join(directory, "credentials")
    os.environ.pop("AWS_PROFILE", None)
    name = os.path.join(directory, "profile")
    if os.path.exists(name):
        os.environ["AWS_PROFILE"] = open(name).read()
    try:
        return boto3.Session().client("sts").get_caller_identity()["Arn"]
    except Exception as error:
        print(f"{directory}: {error}", file=sys.stderr)
        return "nobody"


for directory in directories:
    print(identity(directory))
