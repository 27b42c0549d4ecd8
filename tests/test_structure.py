"""The house rules, held as data and checked on the syntax tree of every file: nothing here imports the package."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ("tf_stylegan", "tools", "benchmarks")
LONGEST_FILE = 500  # lines

# Module -> floor. "a.b.*" means the package a.b and everything in it; the longest matching name counts. Imports go
# down, or stay inside one folder. A file that matches nothing fails the test: place it here first.
FLOORS = {
    "tf_stylegan.errors": 0,
    "tf_stylegan.files": 0,
    "tf_stylegan.images": 0,
    "tf_stylegan.config": 0,
    "tf_stylegan.cli": 0,
    "tf_stylegan.download": 0,
    "tf_stylegan.published": 0,
    "tf_stylegan.ops.*": 1,
    "tf_stylegan.legacy.pickle_*": 1,
    "tf_stylegan.legacy.torch_*": 1,
    "tf_stylegan.legacy.names": 1,
    "tf_stylegan.legacy.npz_io": 1,
    "tf_stylegan.legacy.summary": 1,
    "tf_stylegan.layers.*": 2,
    "tf_stylegan.networks.*": 3,
    "tf_stylegan.data.*": 3,
    "tf_stylegan.data.importers.*": 3.5,  # other people's data sets: they use what the data sets of one's own use
    "tf_stylegan.augment.*": 3,
    "tf_stylegan.legacy": 4,
    "tf_stylegan.legacy.networks": 4,
    "tf_stylegan.legacy.export": 4,
    "tf_stylegan.legacy.reading": 4,
    "tf_stylegan.training.*": 4,
    "tf_stylegan.metrics.*": 4,
    "tf_stylegan.training.loop": 5,
    "tf_stylegan.training.report": 5,
    "tf_stylegan.training.start": 5,
    "tf_stylegan.pictures.*": 5,
    "tf_stylegan.project": 5,
    "tf_stylegan": 5.5,  # the public names: nothing below a command may lean on them
    "tf_stylegan.run_*": 6,
    "tf_stylegan.commands.*": 5.75,  # what run_generator puts together
    "tf_stylegan.interpolation_videos": 6,
    "tf_stylegan.explore": 6,
    "tf_stylegan.explore.*": 6,
    "tf_stylegan.doctor": 6,
    "tools.*": 6,
    "benchmarks.*": 6,
}

# (who, exceptions, whom, why): imports that the floors alone would allow, or that deserve their own words.
FORBIDDEN = [
    ("tf_stylegan.metrics.*", (), "tf_stylegan.training.*", "metrics judge any network, however it was trained"),
    ("tf_stylegan.training.*", ("tf_stylegan.training.loop",), "tf_stylegan.metrics.*", "only the loop calls metrics"),
    (
        "tf_stylegan.training.*",
        ("tf_stylegan.training.loop", "tf_stylegan.training.report", "tf_stylegan.training.start"),
        "tf_stylegan.legacy.*",
        "only where a run starts are files of networks read, only the loop's report writes them",
    ),
    ("tf_stylegan.networks.*", (), "tf_stylegan.data.*", "networks know tensors, not files"),
    *((who, (), "benchmarks.*", "benchmarks are run, never imported") for who in ("tf_stylegan.*", "tools.*")),
    *(
        (who, (), whom, "standard library and NumPy only, so that a file can be looked at without TensorFlow")
        for who in FLOORS
        if re.match(r"tf_stylegan\.legacy\.(?!networks|export)", who)
        for whom in ("tensorflow.*", "keras.*")
    ),
]

# (name, where it is allowed, why): names that may not be used, whatever they were imported as.
BANNED = [
    ("tensorflow.compat.v1", (), "TensorFlow 1's ways end here"),
    ("tensorflow.python", (), "private: it moves with every release"),
    ("keras.src", (), "private: it moves with every release"),
    ("eval", (), "runs text as code"),
    ("exec", (), "runs text as code"),
    *(
        (f"{module}.{name}", ("tf_stylegan.legacy.*",), "runs code that a file brings: read pickles through legacy")
        for module in ("pickle", "_pickle")
        for name in ("load", "loads", "Unpickler")
    ),
]

# Import name -> name in setup.cfg, where they differ.
DISTRIBUTIONS = {"PIL": "pillow", "absl": "absl-py", "sklearn": "scikit-learn", "imageio_ffmpeg": "imageio-ffmpeg"}

PYTEST_CHECKS = {"pytest.raises", "pytest.warns", "pytest.fail"}

MACHINE_PATH = re.compile(r"(?<![\w.:/$)}~*-])/(?:root|home|Users|work|mnt|srv|private)/[\w.]|\b[A-Z]:\\+Users\\")


def matches(name, pattern):
    """Whether a module is the one meant: `*` stands within one name, a last `.*` for the package and all in it."""
    if pattern.endswith(".*"):
        return f"{name}.".startswith(pattern[:-1])
    return re.fullmatch(re.escape(pattern).replace(r"\*", r"[^.]*"), name) is not None


def matches_any(name, patterns):
    return any(matches(name, pattern) for pattern in patterns)


def module_of(path):
    """`tf_stylegan/ops/conv.py` -> `tf_stylegan.ops.conv`; a package's `__init__.py` is the package."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def floor_of(module):
    found = max((pattern for pattern in FLOORS if matches(module, pattern)), key=len, default=None)
    return None if found is None else FLOORS[found]


def is_package(name):
    return f"{name}.*" in FLOORS or (ROOT / name.replace(".", "/")).is_dir()


def is_module(name):
    """Whether `name` is a file or folder of ours rather than something a file defines."""
    placed = any(matches(name, pattern) for pattern in FLOORS if not pattern.endswith(".*"))
    return placed or is_package(name) or (ROOT / f"{name.replace('.', '/')}.py").is_file()


def imports_of(tree, path):
    """Yields (line, imported module, local name, full name) for every import, wherever it stands in the file."""
    package = module_of(path).split(".") if path.endswith("__init__.py") else module_of(path).split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                local = name.asname or name.name.partition(".")[0]
                yield node.lineno, name.name, local, name.name if name.asname else local
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            for name in node.names:
                full = f"{base}.{name.name}"
                ours = full.partition(".")[0] in OURS
                yield node.lineno, full if ours and is_module(full) else base, name.asname or name.name, full
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("__import__", "importlib.import_module"):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant):
                    yield node.lineno, argument.value, "", argument.value


def names_of(tree, aliases):
    """Yields (line, dotted name) for every use of a name, with imported names written out in full."""
    for node in ast.walk(tree):
        parts, base = [], node
        while isinstance(base, ast.Attribute):
            parts.insert(0, base.attr)
            base = base.value
        if isinstance(base, ast.Name):
            yield node.lineno, ".".join([aliases.get(base.id, base.id), *parts])


def check_source(path, source, declared=None):
    """Lists what a file of the package or the tools does against the rules.

    Args:
        path: file relative to the root, with forward slashes.
        source: its text.
        declared: distributions named in setup.cfg, None to leave other people's packages unchecked.
    Returns:
        list of `path:line: complaint`.
    """
    module, tree, complaints = module_of(path), ast.parse(source), []
    imports = list(imports_of(tree, path))
    own_floor, folder = floor_of(module), path.rpartition("/")[0].replace("/", ".")

    def complain(line, text):
        complaints.append(f"{path}:{line}: {text}")

    if own_floor is None:
        complain(1, f"{module} has no floor: place it in FLOORS (tests/test_structure.py)")
    for line, target, _, _ in imports:
        top = target.partition(".")[0]
        if top in OURS and own_floor is not None:
            floor, target_folder = floor_of(target), target if is_package(target) else target.rpartition(".")[0]
            if floor is None:
                complain(line, f"imports {target}, which has no floor")
            elif floor > own_floor:
                complain(line, f"floor {own_floor} imports upward: {target} is on floor {floor}")
            elif floor == own_floor and target_folder != folder:
                complain(line, f"imports {target} of the same floor {floor} from another folder")
        elif declared is not None and top not in OURS and top not in sys.stdlib_module_names:
            name = DISTRIBUTIONS.get(top, top)
            if name not in declared:
                complain(line, f"imports {top}, but setup.cfg does not name {name}")
        for who, exceptions, whom, why in FORBIDDEN:
            if matches(module, who) and not matches_any(module, exceptions) and matches(target, whom):
                complain(line, f"may not import {target}: {why}")

    aliases = {local: full for _, _, local, full in imports if local}
    used = [*names_of(tree, aliases), *((line, name) for line, target, _, full in imports for name in (target, full))]
    for name, allowed, why in BANNED:
        lines = {line for line, use in used if use.removeprefix("builtins.") == name or use.startswith(f"{name}.")}
        if lines and not matches_any(module, allowed):
            complain(min(lines), f"uses {name}: {why}")
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and ast.unparse(node.value) != "False":
            complain(node.value.lineno, "allow_pickle: runs code that a file brings")
    return complaints + check_length(path, source)


def check_length(path, source):
    lines = source.count("\n")
    return [f"{path}:{lines}: longer than {LONGEST_FILE} lines: split it by idea"] if lines > LONGEST_FILE else []


def check_machine_paths(path, text):
    """Lists the lines of a file that name a folder of somebody's machine."""
    found = ((number, MACHINE_PATH.search(line)) for number, line in enumerate(text.splitlines(), 1))
    return [f"{path}:{number}: names a folder of one machine: {match[0]}…" for number, match in found if match]


def asserting_functions(tree, known=()):
    """Names of the functions that check something, by themselves or through one that does.

    A check is an `assert`, `pytest.raises`, `warns` or `fail`, a call to something named assert… or check…, or a call
    to one of `known`.
    """
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    checking = set(known)

    def checks(node):
        if isinstance(node, ast.Assert):
            return True
        if not isinstance(node, ast.Call):
            return False
        name = ast.unparse(node.func).rpartition(".")[2]
        return name in checking or re.match(r"_*(assert|check)", name) or ast.unparse(node.func) in PYTEST_CHECKS

    while True:
        found = {f.name for f in functions if any(checks(node) for part in f.body for node in ast.walk(part))}
        if found <= checking:
            return found
        checking |= found


def check_tests(path, source, known=()):
    """Lists the tests of one file that can never fail, other than by an error."""
    tree = ast.parse(source)
    checking = asserting_functions(tree, known)
    return [
        f"{path}:{node.lineno}: {node.name} asserts nothing"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test") and node.name not in checking
    ]


def declared_distributions():
    """Every distribution setup.cfg names, extras included."""
    options = configparser.ConfigParser()
    options.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = [options["options"]["install_requires"], *options["options.extras_require"].values()]
    return {re.match(r"[\w-]+", line)[0] for text in lines for line in text.splitlines() if line and line[0] != "#"}


def sources(*folders):
    """Yields (path relative to the root, text) of the Python files under some folders, "" for the root's own."""
    for folder in folders:
        for file in sorted((ROOT / folder).glob("**/*.py" if folder else "*.py")):
            yield file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")


def project_files():
    """Every file of the project: what git tracks or would track; without git, what lies in the usual places."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        folders = (*OURS, "tests", "custom_ops", "docs", ".ci")
        files = [*ROOT.glob("*"), *(file for folder in folders for file in (ROOT / folder).rglob("*"))]
        names = [file.relative_to(ROOT).as_posix() for file in files if "__pycache__" not in file.parts]
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


# The tree as it is ---------------------------------------------------------------------------------------------------


def test_package_and_tools_keep_the_rules():
    declared = declared_distributions()
    files = [*sources(*OURS)]
    complaints = [complaint for path, source in files for complaint in check_source(path, source, declared)]
    assert len(files) > 10, "the walk missed the package"
    assert not complaints, "\n".join(["", *complaints])


def test_tests_assert_and_stay_short():
    files = [*sources("tests")]
    helpers = ast.parse("\n".join(source for path, source in files if not Path(path).name.startswith("test_")))
    known = asserting_functions(helpers)
    complaints = [complaint for path, source in files for complaint in check_length(path, source)]
    complaints += [
        complaint
        for path, source in files
        if Path(path).name.startswith("test_")
        for complaint in check_tests(path, source, known)
    ]
    assert not complaints, "\n".join(["", *complaints])


def test_no_file_names_a_folder_of_one_machine():
    complaints, read = [], 0
    for file in project_files():
        data = file.read_bytes()
        if b"\0" not in data:  # pictures and recorded arrays are not text
            complaints += check_machine_paths(file.relative_to(ROOT).as_posix(), data.decode("utf-8", "replace"))
            read += 1
    assert read > 10, "the walk missed the project"
    assert not complaints, "\n".join(["", *complaints])
