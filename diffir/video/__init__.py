"""Video files: probed, restored frame by frame, encoded by ffmpeg."""
