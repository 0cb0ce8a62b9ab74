"""Holds manifests (a JSON list in a file) against the schemas of a version of Kubernetes, unknown fields included.

Prints what is wrong; says nothing of kinds that Kubernetes itself does not have.
"""

import json
import sys

import kubernetes_validate

version, file = sys.argv[1:]
with open(file) as manifests:
    objects = json.load(manifests)
for thing in objects:
    if thing["apiVersion"].startswith("monitoring.coreos.com/"):
        continue
    try:
        kubernetes_validate.validate(thing, version, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        print(f"{thing['kind']} {thing['metadata']['name']}: {error}")
