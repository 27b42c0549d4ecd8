"""The page of a check: whole in one file, safe whatever files are named, and of a size that opens."""

import html.parser
import io
import os
import re
import urllib.parse
import urllib.request

import PIL.Image
import pytest
from data import picture_zoo as zoo

from tf_stylegan import cli
from tf_stylegan.data import check, check_report
from tf_stylegan.data.check_report import write_report
from tf_stylegan.data.fingerprint import fingerprint
from tools import prepare_images


class Page(html.parser.HTMLParser):
    """What a browser would see: tags with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def all(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


def page_of(file):
    return Page(file.read_text(encoding="utf-8"))


def report(folder, file, **options):
    write_report(file, check.check(folder, **options))
    return page_of(file)


@pytest.fixture
def zoo_page(folder):
    zoo.fill(folder, zoo.special() | {f"sub/{name}": entry for name, entry in zoo.broken().items()})
    zoo.fill(folder, {f"names/{name}": (zoo.encoded(zoo.photo(seed=i)),) for i, name in enumerate(zoo.NAMES)})
    zoo.photo(seed=3).save(folder / "copy.bmp")
    return report(folder, folder.parent / "page.html")


def test_nothing_comes_from_anywhere_else(zoo_page):
    policy = next(meta["content"] for meta in zoo_page.all("meta") if "http-equiv" in meta)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    allowed = {"html", "meta", "title", "style", "h1", "h2", "p", "nav", "a", "main", "section", "div", "figure", "img"}
    allowed |= {"figcaption", "em", "b", "span", "details", "summary", "ul", "li"}
    assert {tag for tag, _ in zoo_page.tags} <= allowed  # no script, no link
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in zoo_page.all("img"))
    assert all(link["href"].startswith(("#p", "./")) for link in zoo_page.all("a"))
    style = zoo_page.text
    assert "url(" not in style and "@import" not in style and "prefers-color-scheme: dark" in style
    assert any(meta.get("content") == "width=device-width, initial-scale=1" for meta in zoo_page.all("meta"))


def test_names_are_shown_as_text_and_links_lead_to_the_files(folder, zoo_page):
    names = {os.fsencode(f"names/{name}") for name in zoo.NAMES}
    linked = {urllib.parse.unquote_to_bytes(link["href"]) for link in zoo_page.all("a") if link["href"][0] == "."}
    assert names <= {os.path.relpath(path, b"./in") for path in linked}
    assert all(os.path.exists(os.path.join(os.fsencode(folder.parent), path)) for path in linked)
    for shown in ("<script>alert('x')<∕script>.png", "\"quoted\" & 'single'.png", "bell\\x07\\x1b[31mred.png"):
        assert f"names/{shown}" in zoo_page.text
        assert any(figure["title"] == f"names/{shown}" for figure in zoo_page.all("figure"))


def test_sections_and_duplicates_side_by_side(folder, zoo_page):
    sections = zoo_page.all("section")
    links = [link for link in zoo_page.all("a") if link["href"].startswith("#")]
    assert [f"#{section['id']}" for section in sections] == [link["href"] for link in links]
    kinds = [section.get("class") for section in sections]
    assert kinds == ["must"] * kinds.count("must") + [None] * kinds.count(None) and kinds.count("must") == 2
    text = (folder.parent / "page.html").read_text()
    group = re.search(r'<div class="group">.*?</div></div>', text, re.S)[0]
    assert "the one to keep" in group and group.count("<img") == 2 and "copy.bmp" in group


def test_thumbnails_show_the_pictures_upright_and_in_srgb(folder):
    image = zoo.photo((300, 150), seed=8)
    turned = image.transpose(PIL.Image.Transpose.ROTATE_90)
    turned.save(folder / "a.jpg", quality=95, exif=zoo.exif(6), icc_profile=zoo.icc_profile())
    page = report(folder, folder.parent / "page.html")
    address = urllib.parse.urlparse(page.all("img")[0]["src"])
    with urllib.request.urlopen(address.geturl()) as stream:
        thumbnail = PIL.Image.open(io.BytesIO(stream.read()))
    assert thumbnail.size == (240, 120)
    expected = check.survey.image_files.read(folder / "a.jpg", (255,) * 3, srgb=True)[0].resize((240, 120))
    assert (fingerprint(thumbnail).look ^ fingerprint(expected).look).bit_count() <= 2
    assert max(abs(a - b) for a, b in zip(fingerprint(thumbnail).color, fingerprint(expected).color)) <= 2


def test_thousands_of_findings_make_a_page_of_limited_size(folder):
    zoo.photo().save(folder / "a.png")
    bad = {f"{number:05d}.png": "an empty file" for number in range(9_000)}
    group = check.Finding("a.png", others=tuple((path, "2 bits") for path in bad))
    picture = check.examine(folder, "a.png")
    problems = [*check.judge([], bad), check.Problem("alike", False, [group] * 5000)]
    write_report(folder.parent / "page.html", check.Result(str(folder), [picture], bad, [], problems, 1))
    page = page_of(folder.parent / "page.html")
    assert (folder.parent / "page.html").stat().st_size < 3_000_000
    assert len(page.all("figure")) == 40 + 40 * 8 and "8,960 more, without pictures" in page.text
    assert "00999.png" in page.text and "… and 7,960 more" in page.text and "and 8,993 more" in page.text


def test_groups_without_pictures_say_what_they_leave_out(folder):
    zoo.photo().save(folder / "a.png")
    picture = check.examine(folder, "a.png")
    groups = [check.Finding("a.png", others=tuple((f"{n}.png", what) for n in range(30))) for what in ("2 bits", "")]
    problems = [check.Problem(kind, False, [group] * 41) for kind, group in zip(("alike", "same"), groups)]
    write_report(folder.parent / "page.html", check.Result(str(folder), [picture], {}, [], problems, 1))
    text = page_of(folder.parent / "page.html").text
    assert "a.png ~ 0.png (2 bits), 1.png (2 bits)," in text and "a.png = 0.png, 1.png, " in text
    assert text.count("6.png (2 bits), and 23 more") == 1 and text.count("6.png, and 23 more") == 1


def test_thumbnails_are_made_by_as_many_threads_as_asked_for(folder, monkeypatch):
    zoo.photo((64, 64)).save(folder / "a.png")
    asked, pool = [], check_report.concurrent.futures.ThreadPoolExecutor
    monkeypatch.setattr(
        check_report.concurrent.futures, "ThreadPoolExecutor", lambda count: asked.append(count) or pool(count)
    )
    arguments = ["check", str(folder), f"--report={folder.parent}/page.html", "--threads=3"]
    assert cli.run(prepare_images.main, arguments) == 0 and asked == [3, 3]


def test_the_command_writes_it_whole_or_not_at_all(folder, capsys, monkeypatch):
    zoo.photo((64, 64)).save(folder / "a.png")
    file = folder.parent / "page.html"
    assert cli.run(prepare_images.main, ["check", str(folder), f"--report={file}"]) == 0
    assert capsys.readouterr().out.endswith(f"nothing to complain about\npage: {file}\n")
    assert "nothing to complain about" in page_of(file).text and page_of(file).all("section") == []
    before = file.read_bytes()
    monkeypatch.setattr(check.Result, "num_must_fix", property(lambda self: 1 / 0))
    with pytest.raises(ZeroDivisionError):
        report(folder, file)
    assert file.read_bytes() == before and sorted(os.listdir(folder.parent)) == ["in", "page.html"]
