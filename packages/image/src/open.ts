import type { BlockDevice } from "@guestprobe/block";
import { openChain } from "./chain.js";
import type { DiskImage, OpenImageOptions } from "./types.js";

/**
 * Opens a disk image, whatever its container, as the disk that the guest sees. Put a page cache above `device`: what it
 * keeps itself is mapping tables and decoded clusters.
 *
 * A file that a header names is opened only through `options.resolve`. Where it is not supplied the image opens all the
 * same, with a finding `image-file-missing`, and reads of what lies in that file reject with `io`.
 *
 * @throws ImageError `not-this-format` when `options.format` is not what the file is; `unsupported` for a format or a
 * feature by name, compressed files among them; `encrypted`; `corrupt`, `past-end`, `io`; `not-found` for a snapshot.
 */
export function openImage(file: BlockDevice, options: OpenImageOptions = {}): Promise<DiskImage> {
  return openChain(file, options.format, options);
}
