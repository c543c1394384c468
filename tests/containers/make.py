#!/usr/bin/env python3
"""Writes the cases beside it, with other libraries than those that keyspill reads them with.

    pip install Aspose.Email-for-Python-via-NET extract-msg fpdf2 lz4 odfpy openpyxl pikepdf py7zr python-docx python-pptx reportlab
        zstandard
    apt-get install brotli cpio lzip rpm
    tests/containers/make.py

The key in all of them is the example of AWS's documentation, so that a scan of this repository counts none.
"""

import bz2
import gzip
import io
import json
import lzma
import mailbox
import os
import shutil
import sqlite3
import struct
import subprocess
import tarfile
import tempfile
import zipfile
from email import policy
from email.message import EmailMessage
from pathlib import Path

import docx
import extract_msg
import fpdf
import lz4.frame
import odf.opendocument
import odf.text
import openpyxl
import pikepdf
import pptx
import py7zr
import reportlab.pdfgen.canvas
import zstandard

ID = "AKIAIOSFODNN7" + "EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"
ENV = f"# settings\naws_access_key_id = {ID}\naws_secret_access_key = {SECRET}\n"
CSV = f"Access key ID,Secret access key\r\n{ID},{SECRET}\r\n"
PROSE = f"Hello,\n\nthe id is {ID} and the secret, which nobody else must ever get to see, is {SECRET}\n\nBye\n"

here = Path(__file__).parent
cases = here / "cases"


def write(name, data):
    path = cases / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def zipped(files, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files, mode="w", format=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, format=format) as archive:
        link = tarfile.TarInfo("link")
        link.type = tarfile.SYMTYPE
        link.linkname = "../../etc/passwd"
        archive.addfile(link)
        for name, data in files.items():
            data = data if isinstance(data, bytes) else data.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def archives():
    write("zip/deflated.zip", zipped({"etc/app.env": ENV, "README": "nothing\n"}))
    write("zip/stored.zip", zipped({"etc/app.env": ENV}, zipfile.ZIP_STORED))
    write("zip/bzip2.zip", zipped({"etc/app.env": ENV}, zipfile.ZIP_BZIP2))
    write("zip/nested.zip", zipped({"one.zip": zipped({"two.tar.gz": tarred({"three.env": ENV}, "w:gz")})}))
    write("zip/script.jar", b"#!/bin/sh\nexec java -jar $0\n" + zipped({"application.properties": ENV}))
    write("zip/absolute.zip", zipped({"/etc/app.env": ENV, "../up.env": ENV}))
    long_name = "a" * 120 + "/" + "b" * 120 + ".env"
    write("tar/pax.tar", tarred({"etc/app.env": ENV, long_name: ENV}))
    write("tar/gnu.tar", tarred({long_name: ENV}, format=tarfile.GNU_FORMAT))
    write("tar/ustar.tar", tarred({"etc/app.env": ENV}, format=tarfile.USTAR_FORMAT))
    for kind in ("gz", "bz2", "xz"):
        write(f"tar/app.tar.{kind}", tarred({"etc/app.env": ENV}, f"w:{kind}"))
    # As the program zstd writes it.
    write("tar/app.tar.zst", zstandard.ZstdCompressor(write_checksum=True).compress(tarred({"etc/app.env": ENV})))
    write("compressed/app.env.gz", gzip.compress(b"# first member\n") + gzip.compress(ENV.encode()))
    write("compressed/app.env.bz2", bz2.compress(ENV.encode()))
    write("compressed/app.env.xz", lzma.compress(ENV.encode()))
    write("compressed/app.env.zst", zstandard.compress(ENV.encode()))
    write("compressed/app.env.lzma", lzma.compress(ENV.encode(), format=lzma.FORMAT_ALONE))
    write("compressed/app.env.lz4", lz4.frame.compress(ENV.encode()))
    write("compressed/app.env.lz", subprocess.run(["lzip"], input=ENV.encode(), capture_output=True, check=True).stdout)
    brotli = subprocess.run(["brotli", "-c"], input=ENV.encode(), capture_output=True, check=True)
    write("compressed/app.env.br", brotli.stdout)
    write("compressed/no-extension", gzip.compress(ENV.encode()))
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory) / "app"
        (package / "DEBIAN").mkdir(parents=True)
        (package / "DEBIAN/control").write_text(
            "Package: app\nVersion: 1\nArchitecture: all\nMaintainer: Ann <ann@example.com>\nDescription: app\n"
        )
        (package / "etc").mkdir()
        (package / "etc/app.env").write_text(ENV)
        subprocess.run(["dpkg-deb", "-b", package, cases / "ar/app.deb"], check=True, capture_output=True)
        subprocess.run(["ar", "rcs", cases / "ar/keys.a", package / "etc/app.env"], check=True)
        for form in ("newc", "crc", "odc"):
            packed = ["cpio", "-o", "-H", form, "--reproducible", "--owner", "0:0"]
            made = subprocess.run(packed, input=b"etc/app.env\n", cwd=package, capture_output=True, check=True)
            write(f"cpio/{form}.cpio", made.stdout)
        # As an initial file system of Linux: an archive for the processor, then the compressed one.
        write("cpio/initrd.img", made.stdout + bytes(512) + gzip.compress(made.stdout))
        spec = Path(directory) / "app.spec"
        spec.write_text(
            "Name: app\nVersion: 1\nRelease: 1\nSummary: app\nLicense: none\nBuildArch: noarch\n%description\napp\n"
            f"%install\nmkdir -p %{{buildroot}}/etc\ncp {package}/etc/app.env %{{buildroot}}/etc\n"
            f"%post\nexport {' '.join(ENV.split(chr(10))[1:3]).replace(' = ', '=')}\n%files\n/etc/app.env\n"
        )
        options = ["--define", f"_topdir {directory}/rpm", "--define", "_build_id_links none"]
        subprocess.run(["rpmbuild", "-bb", *options, spec], check=True, capture_output=True)
        shutil.copy(next(Path(directory).glob("rpm/RPMS/noarch/*.rpm")), cases / "cpio/app.rpm")
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        archive.writestr(ENV, "etc/app.env")
        archive.writestr("nothing\n", "README")
    write("7z/app.7z", buffer.getvalue())


def images():
    layer = tarred({"app/.env": ENV})
    config = json.dumps({"config": {"Env": ["PATH=/bin", f"AWS_ACCESS_KEY_ID={ID}", f"AWS_SECRET_ACCESS_KEY={SECRET}"]}})
    manifest = json.dumps([{"Config": "config.json", "Layers": ["0123/layer.tar"]}])
    write("image/docker-save.tar", tarred({"manifest.json": manifest, "config.json": config, "0123/layer.tar": layer}))
    write("image/oci.tar", tarred({"index.json": "{}", "blobs/sha256/0123": gzip.compress(layer)}))


def credential_report():
    """IAM's credential report, saved as a workbook: no key, but the root user's are active."""
    header = "user arn user_creation_time password_enabled password_last_used mfa_active access_key_1_active access_key_1_last_rotated"
    book = openpyxl.Workbook()
    book.active.append(header.split())
    arn = "arn:aws:iam::111122223333:"
    day = "2022-09-20T00:00:00+00:00"
    book.active.append(["<root_account>", arn + "root", day, "not_supported", "no_information", False, True, day])
    book.active.append(["ann", arn + "user/ann", day, True, day, True, False, "N/A"])
    return book


def documents():
    document = docx.Document()
    paragraph = document.add_paragraph()
    paragraph.add_run("id: " + ID[:7])
    paragraph.add_run(ID[7:]).bold = True
    paragraph = document.add_paragraph("secret: " + SECRET[:20])
    paragraph.add_run(SECRET[20:])
    document.save(cases / "document/runs.docx")
    book = openpyxl.Workbook()
    book.active.append(["Access key ID", "Secret access key"])
    book.active.append([ID, SECRET])
    book.save(cases / "document/table.xlsx")
    credential_report().save(here / "reports/credential-report.xlsx")
    slides = pptx.Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[1])
    slide.shapes.title.text = "Key " + ID
    slide.placeholders[1].text = "secret: " + SECRET
    slides.save(cases / "document/slides.pptx")
    text = odf.opendocument.OpenDocumentText()
    paragraph = odf.text.P(text="id " + ID[:9])
    paragraph.addElement(odf.text.Span(text=ID[9:]))
    text.text.addElement(paragraph)
    text.text.addElement(odf.text.P(text="secret access key: " + SECRET))
    text.save(cases / "document/spans.odt")
    pdf = fpdf.FPDF()
    for line in (f"aws_access_key_id={ID}", f"aws_secret_access_key={SECRET}"):
        pdf.add_page() if pdf.page == 0 else None
        pdf.set_font("Helvetica", size=10)
        pdf.cell(text=line, new_x="LMARGIN", new_y="NEXT")
    pdf.output(cases / "document/fpdf.pdf")
    canvas = reportlab.pdfgen.canvas.Canvas(str(cases / "document/reportlab.pdf"))
    canvas.drawString(50, 700, f"aws_access_key_id={ID}")
    canvas.drawString(50, 680, f"aws_secret_access_key={SECRET}")
    canvas.save()
    canvas = reportlab.pdfgen.canvas.Canvas(str(cases / "document/form.pdf"))
    canvas.beginForm("box")
    canvas.drawString(50, 700, f"aws_access_key_id={ID}")
    canvas.drawString(50, 680, f"aws_secret_access_key={SECRET}")
    canvas.endForm()
    canvas.doForm("box")
    canvas.save()
    pdf = pikepdf.new()
    pdf.add_blank_page()
    pdf.attachments["app.zip"] = pikepdf.AttachedFileSpec(pdf, zipped({"app.env": ENV}))
    pdf.save(cases / "document/embedded.pdf", object_stream_mode=pikepdf.ObjectStreamMode.generate)


def databases():
    def make(name, encoding="UTF-8", count=1, after=()):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "app.db"
            connection = sqlite3.connect(path)
            connection.execute("PRAGMA secure_delete = OFF")
            connection.execute(f"PRAGMA encoding = '{encoding}'")
            connection.execute("PRAGMA page_size = 512")
            # What is not written back stays beside the file.
            connection.execute(f"PRAGMA journal_mode = {'WAL' if name.endswith('-wal') else 'DELETE'}")
            connection.execute("CREATE TABLE keys (number INTEGER PRIMARY KEY, name TEXT, id TEXT, secret TEXT)")
            for number in range(count):
                connection.execute("INSERT INTO keys (name, id, secret) VALUES (?, ?, ?)", (f"user {number}", ID, SECRET))
            connection.commit()
            for statement in after:
                connection.execute(statement)
                connection.commit()
            write(f"database/{name}", path.with_name("app.db" + ("-wal" if name.endswith("-wal") else "")).read_bytes())
            connection.close()

    make("rows.db")
    make("utf-16.sqlite", encoding="UTF-16le")
    make("deleted.db", count=3, after=["DELETE FROM keys"])
    make("dropped.db", count=20, after=["DROP TABLE keys"])
    make("log.db-wal")


def message(body=PROSE, cte=None, charset="utf-8", to="Bob <bob@partner.example>"):
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = "Ann Ärger <ann@corp.example>"
    mail["To"] = to
    mail["Cc"] = "Carol <carol@corp.example>, dave@corp.example"
    mail["Reply-To"] = "keys@corp.example"
    mail["Subject"] = "Schlüssel für dich"
    mail["Date"] = "Thu, 01 Jan 2026 10:00:00 +0100"
    mail["Message-ID"] = "<1@corp.example>"
    mail.set_content(body, cte=cte, charset=charset)
    return mail


def attached(name, data, kind="octet-stream"):
    mail = message("See the attachment.\n")
    mail.add_attachment(data, maintype="application", subtype=kind, filename=name)
    return mail


def mails():
    write("mail/plain.eml", message(cte="7bit").as_bytes())
    write("mail/quoted-printable.eml", message(cte="quoted-printable").as_bytes())
    write("mail/base64.eml", message(cte="base64").as_bytes())
    write("mail/utf-16.eml", message(cte="base64", charset="utf-16").as_bytes())
    write("mail/csv.eml", attached("rootkey.csv", CSV.encode(), "csv").as_bytes())
    write("mail/zip.eml", attached("Schlüssel.zip", zipped({"rootkey.csv": CSV}), "zip").as_bytes())
    html = message("See below.\n")
    html.add_alternative(f"<p>id {ID}</p><p>secret access key {SECRET.replace('/', '&#47;')}</p>", subtype="html")
    write("mail/html.eml", html.as_bytes())
    subject = message("Nothing here.\n")
    subject.replace_header("Subject", f"the key ä {ID}: {SECRET}")
    write("mail/subject.eml", subject.as_bytes())
    forwarded = message("Forwarded.\n", to="list@lists.example")
    forwarded["List-Id"] = "Everyone <everyone.lists.example>"
    forwarded.add_attachment(attached("app.env.gz", gzip.compress(ENV.encode())))
    write("mail/forwarded.eml", forwarded.as_bytes())
    path = cases / "mail/sent.mbox"
    path.unlink(missing_ok=True)
    box = mailbox.mbox(path)
    for mail in (message("Nothing.\n"), message("From here on there are keys\n\nFrom me:\n" + PROSE), forwarded):
        box.add(mail)
    box.close()
    shutil.rmtree(cases / "mail/Maildir", ignore_errors=True)
    maildir = mailbox.Maildir(cases / "mail/Maildir")
    maildir.add(message(cte="base64"))
    maildir.close()
    for entry in (cases / "mail/Maildir/new").iterdir():
        entry.rename(cases / "mail/Maildir/cur/1767258000.M1P1.host:2,S")
    (cases / "mail/Maildir/cur/1767258000.M1P1.host:2,S").rename(cases / "mail/Maildir/cur/1767258000.M1P1.host")


def outlook():
    """A message with an attachment and one attached to that, as [MS-OXMSG] has it; and one of Teams, as eDiscovery hands it
    out: <https://learn.microsoft.com/purview/edisc-search-teams>."""
    writer = extract_msg.OleWriter()

    def storage(path, prefix, properties):
        rows = b""
        for number, kind, value in properties:
            data = value.encode("utf-16-le") if kind == 0x001F else value if kind == 0x0102 else None
            short = struct.pack("<q", value) if data is None else struct.pack("<q", len(data) + 2 * (kind == 0x001F))
            rows += struct.pack("<HHI", kind, number, 6) + short
            if data is not None:
                writer.addEntry([*path, f"__substg1.0_{number:04X}{kind:04X}"], data)
        writer.addEntry([*path, "__properties_version1.0"], bytes(prefix) + rows)

    def recipient(index, kind, name, address):
        properties = [(0x0C15, 0x0003, kind), (0x3001, 0x001F, name), (0x39FE, 0x001F, address)]
        writer.addEntry([f"__recip_version1.0_#0000000{index}"], storage=True)
        storage([f"__recip_version1.0_#0000000{index}"], 8, properties)

    storage([], 32, [
        (0x0037, 0x001F, "Keys"), (0x0039, 0x0040, 134116956000000000), (0x0042, 0x001F, "Ann A"),
        (0x5D02, 0x001F, "ann@corp.example"), (0x1035, 0x001F, "<1@corp.example>"),
        (0x1000, 0x001F, f"the id is {ID}\r\nthe secret access key is {SECRET}\r\n"),
    ])
    recipient(0, 1, "Bob", "bob@partner.example")
    recipient(1, 3, "Dave", "dave@corp.example")
    attachment, attached = (["__attach_version1.0_#00000000"], ["__attach_version1.0_#00000001"])
    inner = [*attached, "__substg1.0_3701000D"]
    for path in (attachment, attached, inner):
        writer.addEntry(path, storage=True)
    table = f"AWSAccessKeyId={ID}\r\nAWSSecretKey={SECRET}\r\n".encode()
    storage(attachment, 8, [(0x3707, 0x001F, "rootkey.csv"), (0x3705, 0x0003, 1), (0x3701, 0x0102, table)])
    storage(attached, 8, [(0x3001, 0x001F, "Fwd: keys"), (0x3705, 0x0003, 5)])
    storage(inner, 24, [(0x0037, 0x001F, "Fwd: keys"), (0x1000, 0x001F, f"{ID} {SECRET}")])
    writer.write(str(cases / "mail/outlook.msg"))
    writer = extract_msg.OleWriter()
    storage([], 32, [
        (0x001A, 0x001F, "IPM.SkypeTeams.Message"), (0x0037, 0x001F, "Ops / General"),
        (0x0039, 0x0040, 134116956000000000), (0x0042, 0x001F, "Ann A"), (0x5D02, 0x001F, "ann@corp.example"),
        (0x1000, 0x001F, f"the id is {ID}\r\nthe secret access key is {SECRET}\r\n"),
    ])
    recipient(0, 1, "Bob", "bob@partner.example")
    writer.write(str(cases / "mail/teams.msg"))


def store():
    """A store of Outlook's."""
    os.environ["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "1"
    from aspose.email.mapi import MapiMessage
    from aspose.email.storage.pst import FileFormatVersion, PersonalStorage

    path = cases / "mail/outlook.pst"
    folders = PersonalStorage.create(str(path), FileFormatVersion.UNICODE)
    folders.root_folder.add_sub_folder("Inbox")
    text = f"id {ID}\r\nsecret access key {SECRET}\r\n"
    outer = MapiMessage("ann@corp.example", "bob@partner.example", "Keys", text)
    outer.attachments.add("rootkey.csv", f"AWSAccessKeyId={ID}\r\nAWSSecretKey={SECRET}\r\n".encode())
    folders.root_folder.get_sub_folder("Inbox").add_message(outer)
    del folders
    write("mail/outlook.pst.gz", gzip.compress(path.read_bytes(), 9, mtime=0))
    path.unlink()


def winmail():
    """What Outlook sends as `winmail.dat`, with compressed rich text."""
    from aspose.email.mapi import BodyContentType, MapiMessage

    text = f"id {ID}\r\nsecret access key {SECRET}\r\n"
    message = MapiMessage("ann@corp.example", "bob@partner.example", "Keys", "See below.")
    message.set_body_content("{\\rtf1 " + text.replace("\r\n", "\\par ") + "}", BodyContentType.RTF)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("rootkey.csv"), f"AWSAccessKeyId={ID}\r\nAWSSecretKey={SECRET}\r\n")
    message.attachments.add("keys.zip", packed.getvalue())
    message.save_as_tnef(str(cases / "mail/winmail.dat"))


def patches():
    repository = cases / "patch"
    shutil.rmtree(repository, ignore_errors=True)
    repository.mkdir()
    git = lambda *args: subprocess.run(
        ["git", "-c", "user.name=Ann", "-c", "user.email=ann@corp.example", *args], cwd=repository, check=True, capture_output=True
    ).stdout
    git("init", "-q")
    (repository / "app.env").write_text(ENV)
    git("add", ".")
    git("commit", "-qm", "Add settings", "--date=2026-01-01T00:00:00Z")
    unsent = git("format-patch", "--root", "--stdout")
    sent = git("format-patch", "--root", "--stdout", "--to=list@lists.example")
    shutil.rmtree(repository)
    write("patch/unsent.patch", unsent)
    write("patch/sent.patch", sent)


def chats():
    users = [
        {"id": "U1", "name": "ann", "real_name": "Ann A", "profile": {"email": "ann@corp.example"}},
        {"id": "U2", "name": "guest", "profile": {"real_name": "Gus Guest", "email": "gus@partner.example"}, "is_restricted": True},
    ]
    export = {
        "users.json": users,
        "channels.json": [{"id": "C1", "name": "ops", "is_ext_shared": True, "members": ["U1", "U2"]}],
        "dms.json": [{"id": "D1", "members": ["U1", "U2"]}],
        "ops/2026-01-04.json": [
            {"type": "message", "user": "U2", "text": "hello &amp; welcome", "ts": "1767520800.000100"},
            {"type": "message", "user": "U1", "text": f"id {ID} secret {SECRET}", "ts": "1767520860.000200"},
        ],
        "D1/2026-01-05.json": [{"type": "message", "user": "U2", "text": ENV, "ts": "1767607200.000300"}],
    }
    write("chat/slack.zip", zipped({name: json.dumps(data) for name, data in export.items()}))
    for name, data in export.items():
        write(f"chat/slack/{name}", json.dumps(data, indent=2))
    teams = {
        "id": "1", "createdDateTime": "2026-01-04T10:00:00Z", "subject": "Keys",
        "from": {"user": {"displayName": "Ann A", "id": "u-1"}},
        "body": {"contentType": "html", "content": f"<p>{ID}</p><p>secret access key {SECRET}</p>"},
        "channelIdentity": {"teamId": "t", "channelId": "19:ops"},
    }
    write("chat/teams.json", json.dumps({"value": [teams]}, indent=1))
    discord = {
        "guild": {"name": "Corp"}, "channel": {"name": "ops", "topic": "Operations"},
        "messages": [{"id": "9", "timestamp": "2026-01-04T10:00:00+00:00", "content": PROSE, "author": {"name": "ann", "nickname": "Ann A"}}],
    }
    write("chat/discord.json", json.dumps(discord, indent=1))
    ticket = {
        "id": 7, "subject": "Access", "status": "open", "requester": {"name": "Gus Guest", "email": "gus@partner.example"},
        "created_at": "2026-01-04T10:00:00Z", "description": "Please send the keys.",
        "comments": [{"author": {"name": "Ann A", "email": "ann@corp.example"}, "created_at": "2026-01-04T11:00:00Z", "body": PROSE}],
    }
    write("chat/zendesk.ndjson", json.dumps({**ticket, "comments": []}) + "\n" + json.dumps(ticket) + "\n")
    issue = (
        "<rss><channel><item><title>[OPS-1] Access</title><project key=\"OPS\">Operations</project><key>OPS-1</key>"
        "<reporter username=\"gus\">Gus Guest</reporter><created>Sun, 4 Jan 2026</created><description>Please.</description>\n"
        "<comments><comment author=\"ann\" created=\"Mon, 5 Jan 2026\">&lt;p&gt;id "
        f"{ID} secret {SECRET}&lt;/p&gt;</comment></comments></item></channel></rss>\n"
    )
    write("chat/jira.xml", issue)


def notebooks():
    cell = lambda lines, outputs: {"cell_type": "code", "metadata": {}, "source": lines, "outputs": outputs}
    output = {"output_type": "stream", "name": "stdout", "text": [f"{ID} {SECRET}\n"]}
    lines = [f"key = '{ID}'\n", f"secret = '{SECRET}'\n", "print(key, secret)"]
    notebook = {"cells": [cell(lines, [output])], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    write("document/notebook.ipynb", json.dumps(notebook, indent=1))


if __name__ == "__main__":
    shutil.rmtree(cases, ignore_errors=True)
    for directory in ("document", "mail"):
        (cases / directory).mkdir(parents=True)
    for make in (archives, images, databases, documents, notebooks, mails, patches, chats):
        make()
    outlook()
    store()
    winmail()
