"""The runs behind docs/benchmarks.md: each has a name, its file in docs/benchmarks/, and flags of ``diffir eval``.

A run lists baselines first, then the networks trained for its task, then other networks that a user might try. Each
weights file that ships is in at least one run, and must be measured in its current state by every run that names it.
"""

CLEAN = "set5,set14,cbsd68,kodak24,live1,classic5"
PAIRS = "rain100l,rain100h,gopro,sots_indoor,lol,polyu,realsr_ntire19"
RUNS = {
    "denoising": "-n input,nlm,dct,denoise,photo -d cbsd68,kodak24,set14 --sigma 15,25,50",
    "damage": f"-n input,nlm,photo,denoise -d {CLEAN} --recipe photo --metrics psnr,ssim,lpips",
    "blur": "-n input,deblur,photo -d set14,cbsd68,kodak24 --recipe deblur --metrics psnr,ssim,lpips",
    "jpeg": "-n input,jpeg,photo -d live1,classic5 --quality 10,20,30,40",
    "jpeg_grey": "-n input,jpeg,photo -d classic5 --quality 10,20,30,40 --grey --metrics psnr,ssim,psnr_b",
    "pairs": f"-n input,denoise,photo,derain,deblur,enhance -d {PAIRS} --metrics psnr,ssim,lpips",
    "light": "-n input,enhance,photo -d kodak24 --recipe enhance --metrics psnr,ssim,lpips",
    "dark": "-n input,lowlight,enhance -d kodak24 --recipe low_light --metrics psnr,ssim,lpips",
    "dark_pairs": "-n lowlight -d lol --metrics psnr,ssim,lpips",
    "old_prints": "-n input,old,photo -d kodak24 --recipe old_print --metrics psnr,ssim,lpips",
    "real_photos": "-n input,photo,denoise,derain,jpeg,deblur -d real_photos --metrics niqe",
    "inpainting": "-n input,telea,navier_stokes,membrane,inpaint -d kodak24 --mask thin,medium,wide",
    "bicubic_x2": "-n bicubic_x2 -d set5,set14",  # alone, hence on float luma as its published rows
    "bicubic_x4": "-n bicubic_x4 -d set5,set14",
    "enlarging_x2": "-n bicubic_x2,sr_x2 -d set5,set14",
    "enlarging_x4": "-n bicubic_x4,sr_x4,ldm_sr_x4 -d set5,set14 --metrics psnr,ssim,lpips,niqe",
    "enlarging_damaged": "-n bicubic_x4,sr_x4,realsr_x4,realesrgan_general_x4 -d set14,kodak24 --recipe realesrgan "
    "--metrics psnr,ssim,lpips,niqe",
}


def words_after(flag: str, flags: str) -> list[str]:
    """Return the comma-separated words that follow a flag of a run, in their order."""
    words = flags.split()
    return words[words.index(flag) + 1].split(",")
