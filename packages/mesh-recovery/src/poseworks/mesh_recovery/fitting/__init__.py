"""Bodies fitted to keypoints and joints: pose, place and shape by least squares."""
