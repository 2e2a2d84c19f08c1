"""Renders the Helm chart by Helm's own code: render.py CHART VALUES, the values as JSON; prints its files as JSON."""

import json
import sys

import helm_python as helm

directory, values = sys.argv[1], json.loads(sys.argv[2])
try:
    report = helm.lint(directory, values, strict=True)
    with helm.Chart.load(directory) as chart:
        files = chart.render(values, name="oura", namespace="health")
except helm.HelmError as error:
    sys.exit(str(error))
print(json.dumps({"files": files, "errors": report["errors"]}))
