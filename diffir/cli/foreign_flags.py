"""Flags of other programs for the same work, each answered by one sentence that says what does it here.

The programs are Real-ESRGAN (Python and ncnn), Upscayl, Restormer's scripts and BasicSR. Their flags that mean the
same as one of ours simply work; ``restore`` declares them beside its own. Keys are written as the parser sees flags,
with underscores.
"""

ANSWERS = {
    # Real-ESRGAN
    "--tile_pad": "use --tile_overlap, which is twice the padding",
    "--pre_pad": "drop it, since photos are continued by their mirror image at the border",
    "--face_enhance": "diffir has no network for faces; restore without it",
    "--alpha_upsampler": "drop it, since alpha is kept, and enlarged with the photo",
    "--half": "use --precision fp16, or leave it to auto, which takes bf16 where that is faster",
    "--fps": "drop it, since a video keeps its frame rate",
    "--ffmpeg_bin": "drop it, since ffmpeg is found on the PATH",
    "--extract_frame_first": "drop it, since frames are read one by one",
    "--num_process_per_gpu": "use --batch_size, or several processes with one output folder, which share it",
    "--model": "use -n NAME for a network of diffir models, or --model_path FILE",
    # Real-ESRGAN ncnn and Upscayl
    "-m": "use --model_path FILE, or -n NAME for a network of diffir models",
    "-j": "drop it, since reading, restoring and writing overlap; --batch_size restores several photos together",
    "-z": "drop it, since the weights know their scale; -s gives any size",
    "-c": "use --quality 1-100",
    "-w": "use -s FACTOR for the size",
    "--width": "use -s FACTOR for the size",
    "--compress": "use --quality 1-100",
    # Restormer
    "--task": "use -n with one of deblur, derain, denoise and the other networks of diffir models",
    "--dataset": "use diffir eval -d SET, which restores and scores a benchmark",
    "--datasets": "use diffir eval -d SET, which restores and scores a benchmark",
    "--sigmas": "use diffir eval --sigma, which adds noise, restores and scores",
    "--model_type": "drop it, since denoise is blind: it knows noise of any strength",
    "--save_images": "drop it, since restored photos are always written",
    "--niter": "drop it: the network runs once",
    # BasicSR
    "--launcher": "use torchrun -m diffir train to train on several devices",
}
