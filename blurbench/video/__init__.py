"""Where frames come from: video files, image folders, rendered footage."""
