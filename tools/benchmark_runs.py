"""What docs/benchmarks.md is made of: its runs, a file of docs/benchmarks/ each, and the flags of ``diffir eval``.

Networks stand for themselves: each that ships takes part in every run that has them. The first methods are baselines.
"""

from diffir.weights.catalogue import catalogue

NETWORKS = ",".join(entry.name for entry in catalogue().values() if entry.path is not None)
CLEAN = "set5,set14,cbsd68,kodak24,live1,classic5"
RUNS = {
    "denoising": f"-n input,nlm,dct,{NETWORKS} -d cbsd68,kodak24,set14 --sigma 15,25,50",
    "damage": f"-n input,nlm,{NETWORKS} -d {CLEAN} --recipe photo --metrics psnr,ssim,lpips",
    "jpeg": f"-n input,{NETWORKS} -d live1,classic5 --quality 10,20,30,40",
    "jpeg_grey": f"-n input,{NETWORKS} -d classic5 --quality 10,20,30,40 --grey --metrics psnr,ssim,psnr_b",
    "pairs": f"-n input,{NETWORKS} -d rain100l,rain100h,gopro,sots_indoor,lol,polyu,realsr_ntire19 "
    "--metrics psnr,ssim,lpips",
    "real_photos": f"-n input,{NETWORKS} -d real_photos --metrics niqe",
    "inpainting": "-n input,telea,navier_stokes -d kodak24 --mask thin,medium,wide",
    "bicubic_x2": "-n bicubic_x2 -d set5,set14",
    "bicubic_x4": "-n bicubic_x4 -d set5,set14",
}
