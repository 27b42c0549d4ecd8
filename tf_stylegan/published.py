"""The networks that authors of the StyleGAN family published, by name (F0: nothing but this table).

The addresses are those of the file or page named above each part.
"""

_CDN = "https://nvlabs-fi-cdn.nvidia.com"
_KINDS = ("orig", "resnet", "skip")
PUBLISHED = {}
"""Names in lower case, to addresses."""

# NVlabs/stylegan2, pretrained_networks.py: "gdrive:networks/stylegan2-ffhq-config-f.pkl", with short forms.
for _path in (
    *(f"stylegan2-{data}-config-{config}" for data in ("ffhq", "car") for config in "abcdef"),
    *(f"stylegan2-{data}-config-{config}" for data in ("cat", "church", "horse") for config in "af"),
    *(f"table2/stylegan2-{data}-config-e-G{g}-D{d}" for data in ("ffhq", "car") for g in _KINDS for d in _KINDS),
):
    _file = _path.lower().removeprefix("table2/")
    for _name in (_file, _file.removeprefix("stylegan2-"), f"gdrive:networks/{_path}.pkl".lower()):
        PUBLISHED[_name] = f"{_CDN}/stylegan2/networks/{_path}.pkl"
for _name in ("ffhq", "car", "cat", "church", "horse"):
    PUBLISHED[_name] = PUBLISHED[f"{_name}-config-f"]
PUBLISHED["cars"] = PUBLISHED["car"]

# NVlabs/stylegan2-ada and stylegan2-ada-pytorch: README.md and, for those that a transfer starts from, train.py.
_TRANSFER = "transfer-learning-source-nets"
for _name, _path in {
    **{name: name for name in ("ffhq", "metfaces", "brecahad", "afhqcat", "afhqdog", "afhqwild", "cifar10")},
    "ffhq256": f"{_TRANSFER}/ffhq-res256-mirror-paper256-noaug",
    "ffhq512": f"{_TRANSFER}/ffhq-res512-mirror-stylegan2-noaug",
    "ffhq1024": f"{_TRANSFER}/ffhq-res1024-mirror-stylegan2-noaug",
    "celebahq256": f"{_TRANSFER}/celebahq-res256-mirror-paper256-kimg100000-ada-target0.5",
    "lsundog256": f"{_TRANSFER}/lsundog-res256-paper256-kimg100000-noaug",
}.items():
    for _project in ("stylegan2-ada", "stylegan2-ada-pytorch"):
        PUBLISHED[f"{_project}-{_name}"] = f"{_CDN}/{_project}/pretrained/{_path}.pkl"
    PUBLISHED.setdefault(_name, PUBLISHED[f"stylegan2-ada-{_name}"])  # "ffhq" stays StyleGAN2's

# NVlabs/stylegan3, visualizer.py: StyleGAN2 networks in PyTorch's format.
for _name in (
    *("afhqcat-512x512", "afhqdog-512x512", "afhqv2-512x512", "afhqwild-512x512", "brecahad-512x512"),
    *("celebahq-256x256", "cifar10-32x32", "ffhq-1024x1024", "ffhq-256x256", "ffhq-512x512", "ffhqu-1024x1024"),
    *("ffhqu-256x256", "lsundog-256x256", "metfaces-1024x1024", "metfacesu-1024x1024"),
):
    PUBLISHED[f"stylegan2-{_name}"] = (
        f"https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files/stylegan2-{_name}.pkl"
    )

# NVlabs/stylegan, README.md; the last one: tkarras/progressive_growing_of_gans, README.md.
for _name, _path, _key in (
    ("stylegan1-ffhq", "karras2019stylegan-ffhq-1024x1024", "1MEGjdvVpUsu1jB4zrXZN7Y4kBBOzizDQ"),
    ("stylegan1-celebahq", "karras2019stylegan-celebahq-1024x1024", "1MGqJl28pN4t7SAtSrPdSRJSQJqahkzUf"),
    ("stylegan1-bedrooms", "karras2019stylegan-bedrooms-256x256", "1MOSKeGF0FJcivpBI7s63V9YHloUTORiF"),
    ("stylegan1-cars", "karras2019stylegan-cars-512x384", "1MJ6iCfNtMIRicihwRorsM3b7mmtmK9c3"),
    ("stylegan1-cats", "karras2019stylegan-cats-256x256", "1MQywl0FNt6lHu8E_EUqnRbviagS7fbiJ"),
    ("progan-celebahq", "karras2018iclr-celebahq-1024x1024", "188K19ucknC6wg1R6jbuPEhTq9zoufOx4"),
):
    PUBLISHED[_name] = PUBLISHED[_path] = f"https://drive.google.com/uc?id={_key}"
