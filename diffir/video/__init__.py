"""Video files: ffmpeg decodes them, a restorer restores each frame, ffmpeg encodes the result."""
