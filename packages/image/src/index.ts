export { type DetectedImage, detectImage } from "./detect.js";
export {
  IMAGE_AMBIGUOUS,
  IMAGE_BITMAPS,
  IMAGE_CHECKSUM,
  IMAGE_DIRTY,
  IMAGE_EXTENT_ALONE,
  IMAGE_FILE_MISSING,
  IMAGE_FILE_UNREADABLE,
  IMAGE_FINDINGS,
  IMAGE_LOG,
  IMAGE_MARKED_CORRUPT,
  IMAGE_PARENT_MISMATCH,
  IMAGE_REFCOUNTS,
  IMAGE_SNAPSHOTS,
} from "./findings.js";
export { openImage } from "./open.js";
export type {
  AllocationRun,
  DiskImage,
  FileReference,
  ForeignFormat,
  ImageFormat,
  ImageInfo,
  OpenImageOptions,
  ReferenceKind,
  ResolveFile,
  Snapshot,
} from "./types.js";
