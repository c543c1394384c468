#!/usr/bin/env python3
"""Writes documents with the libraries that are installed in a moment, and has keyspill read them.

    pip install -r tests/pdf/requirements.txt
    tests/pdf/produce.py target/release/keyspill

The other producers are recorded beside this file. Exits with 1 if a pair is missing or wrong.
"""

import json
import random
import string
import subprocess
import sys
import tempfile
from pathlib import Path

import fpdf
import matplotlib
import reportlab
from matplotlib import pyplot
from reportlab.lib.enums import TA_JUSTIFY
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, SimpleDocTemplate, Table

COUNT = 6
# So that a failure can be repeated.
chance = random.Random(2026)


def pair():
    key_id = "AKIA" + "".join(chance.choices(string.ascii_uppercase + "234567", k=16))
    # Both cases, digits and a sign, as nearly all secrets have.
    secret = "".join(chance.sample(string.ascii_uppercase, 13) + chance.sample(string.ascii_lowercase, 18))
    secret += "".join(chance.sample(string.digits, 8)) + chance.choice("+/")
    return key_id, "".join(chance.sample(secret, len(secret)))


def sentence(number, key_id, secret):
    return f"The access key id of account {number} is {key_id} and its secret access key is {secret} until further notice. "


def fpdf2_page(size=10):
    page = fpdf.FPDF()
    page.add_page()
    page.set_font("Helvetica", size=size)
    return page


def fpdf2_labelled(path, pairs):
    page = fpdf2_page()
    for key_id, secret in pairs:
        page.cell(text=f"Access key ID: {key_id}", new_x="LMARGIN", new_y="NEXT")
        page.cell(text=f"Secret access key: {secret}", new_x="LMARGIN", new_y="NEXT")
    page.output(path)


def fpdf2_table(path, pairs):
    page = fpdf2_page(8)
    with page.table() as table:
        for row in [("Access key ID", "Secret access key"), *pairs]:
            table.row(row)
    page.output(path)


def reportlab_labelled(path, pairs):
    page = Canvas(path)
    for number, (key_id, secret) in enumerate(pairs):
        page.drawString(72, 760 - 60 * number, f"Access key ID: {key_id}")
        page.drawString(72, 740 - 60 * number, f"Secret access key: {secret}")
    page.save()


def reportlab_table(path, pairs):
    SimpleDocTemplate(path).build([Table([("Access key ID", "Secret access key"), *pairs])])


def reportlab_prose(path, pairs):
    style = ParagraphStyle("body", alignment=TA_JUSTIFY)
    SimpleDocTemplate(path).build([Paragraph(sentence(number, *pair), style) for number, pair in enumerate(pairs)])


def matplotlib_labelled(path, pairs):
    figure = pyplot.figure(figsize=(9, 6))
    for number, (key_id, secret) in enumerate(pairs):
        figure.text(0.1, 0.9 - 0.14 * number, f"Access key ID: {key_id}")
        figure.text(0.1, 0.85 - 0.14 * number, f"Secret access key: {secret}")
    figure.savefig(path)


def found(keyspill, path):
    run = subprocess.run(
        [keyspill, "scan", "--format", "json", "--show-secrets", path], capture_output=True, check=False, timeout=60
    )
    if run.returncode not in (0, 1):
        sys.exit(f"{path}: {run.stderr.decode()}")
    findings = json.loads(run.stdout)["findings"]
    pairs = [finding for finding in findings if finding["rule"] == "aws-access-key-pair"]
    return {(finding["id"]["value"], finding["secret"]["value"]) for finding in pairs}


def main():
    keyspill = str(Path(sys.argv[1]).resolve())
    producers = [
        fpdf2_labelled, fpdf2_table, reportlab_labelled, reportlab_table, reportlab_prose, matplotlib_labelled
    ]
    is_bad = False
    print(f"fpdf2 {fpdf.__version__}, ReportLab {reportlab.__version__}, matplotlib {matplotlib.__version__}")
    with tempfile.TemporaryDirectory() as directory:
        for produce in producers:
            pairs = {pair() for _ in range(COUNT)}
            path = str(Path(directory) / f"{produce.__name__}.pdf")
            produce(path, sorted(pairs))
            seen = found(keyspill, path)
            print(f"{produce.__name__}: {len(seen & pairs)} of {COUNT} right, {len(seen - pairs)} wrong")
            is_bad |= seen != pairs
    sys.exit(is_bad)


if __name__ == "__main__":
    main()
