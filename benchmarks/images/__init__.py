"""Images: our denoiser against classical filters and the same network trained otherwise."""
