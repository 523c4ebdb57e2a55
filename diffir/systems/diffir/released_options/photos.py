"""Translate upstream's data sets, degradation and sharpened targets.

In: the mapping of the whole file. Out: our section ``datasets``, and options that belong to our section ``train``. A
second-order degradation must equal that of all released options, which our recipes ``realesrgan*`` contain.
"""

from diffir.errors import ConfigError
from diffir.systems.diffir.released_options.take import Section, kept, only, section, take

# The degradation of all released real-world options; the recipes realesrgan* have the same values.
_SECOND_ORDER: Section = {
    "resize_prob": [0.2, 0.7, 0.1],
    "resize_range": [0.15, 1.5],
    "gaussian_noise_prob": 0.5,
    "noise_range": [1, 30],
    "poisson_scale_range": [0.05, 3],
    "gray_noise_prob": 0.4,
    "jpeg_range": [30, 95],
    "second_blur_prob": 0.8,
    "resize_prob2": [0.3, 0.4, 0.3],
    "resize_range2": [0.3, 1.2],
    "gaussian_noise_prob2": 0.5,
    "noise_range2": [1, 25],
    "poisson_scale_range2": [0.05, 2.5],
    "gray_noise_prob2": 0.4,
    "jpeg_range2": [30, 95],
    "final_sinc_prob": 0.8,
    "blur_sigma": [0.2, 3],
    "blur_sigma2": [0.2, 1.5],
    **{
        f"{key}{times}": value
        for times in ("", "2")
        for key, value in {
            "blur_kernel_size": 21,
            "kernel_list": ["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"],
            "kernel_prob": [0.45, 0.25, 0.12, 0.03, 0.12, 0.03],
            "sinc_prob": 0.1,
            "betag_range": [0.5, 4],
            "betap_range": [1, 2],
        }.items()
    },
}


def take_second_order(left: Section) -> bool:
    """Remove the keys of the second-order degradation; return True if there were any.

    Raises:
        ConfigError: a value differs from that of the recipes.
    """
    places = [left, section(section(left, "datasets"), "train")]
    given = {key: place.pop(key) for place in places for key in _SECOND_ORDER if key in place}
    for key, value in given.items():
        if value != _SECOND_ORDER[key]:
            raise ConfigError(
                f"{key} is {value!r}, and {_SECOND_ORDER[key]!r} in the recipe realesrgan: write the steps you want "
                "into datasets.train.degradation of an option file of ours"
            )
    return bool(given)


def photo_sets(left: Section, task: str, is_second_order: bool) -> tuple[Section, Section]:
    """Translate the data sets into our section ``datasets``; the second result are progressive patch sizes."""
    # Training photos.
    sets = section(left, "datasets")
    if not sets.get("train"):
        raise ConfigError(
            "datasets.train is missing: test options cannot be trained; use diffir restore or diffir eval"
        )
    given = sets["train"]
    train = _photos(given, "datasets.train") | kept(
        given, "gt_size", "batch_size_per_gpu", "num_worker_per_gpu", "use_hflip", "use_rot"
    )
    if take(given, "geometric_augs", False):
        train |= {"use_hflip": True, "use_rot": True}
    if "gt_size" in left:  # as in the real-world options
        train["gt_size"] = take(left, "gt_size")

    # Without low-quality images, they are made from the ground truth.
    if "dataroot_lq" not in train:
        if not is_second_order:
            raise ConfigError(
                f"datasets.train.dataroot_lq is missing: name the folder of low-quality images, or see options/{task}"
            )
        suffix = {"realsr_x2": "_x2", "realsr_x1": "_x1"}.get(task, "")
        train["degradation"] = [{"type": "recipe", "name": f"realesrgan{suffix}"}]

    # Validation photos, if there are any.
    datasets = {"train": train}
    val = section(sets, "val")
    if val.get("dataroot_gt") is not None:
        datasets["val"] = _photos(val, "datasets.val")
        if "dataroot_lq" in datasets["val"]:
            datasets["val"]["gt_size"] = None
    return datasets, kept(given, "iters", "gt_sizes", "mini_batch_sizes")


def _photos(given: Section, where: str) -> Section:
    """Translate the folders of photos; labels and class names of data sets have no meaning here."""
    for label in ("name", "type"):
        take(given, label)
    only(section(given, "io_backend"), f"{where}.io_backend", "type", "disk", "lmdb")
    photos = kept(given, "dataroot_gt", "dataroot_lq", "filename_tmpl", "meta_info_file")
    listing = take(given, "meta_info")
    return photos | ({"meta_info_file": listing} if listing is not None else {})


def targets(left: Section) -> Section:
    """Translate the options for sharpened targets.

    With a sharpened target of the L1 loss, upstream also sharpens the input of the teacher and of the degradation.
    """
    whole = bool(take(left, "gt_usm", False))
    flags = {key: bool(take(left, key, False)) for key in ("l1_gt_usm", "percep_gt_usm", "gan_gt_usm")}
    flags["l1_gt_usm"] = flags["prior_gt_usm"] = whole or flags["l1_gt_usm"]
    return {"targets": flags} if any(flags.values()) else {}
